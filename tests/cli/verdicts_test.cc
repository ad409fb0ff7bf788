// Verdicts of videos through the real program: policies, temperatures, videos without a verdict.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "tests/cli/world.h"

namespace verace::verdicts_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::expect_refusal;
using test::Words;
using test::World;

// Pictures with a validation split whose labels are what the network says, but for every third: a
// temperature needs mistakes, and not too many. Some pictures each are a video. The manifest lies
// in a folder of its own, as verace faces writes it.
std::string manifest_of(const World& world) {
  const fs::path path = world / "faces/manifest.csv";
  if (fs::exists(path)) return path.string();
  data::SyntheticOptions options;
  options.size = 32;
  options.pictures_per_class = {2, 30, 2};
  data::write_synthetic_dataset(world / "faces/pictures", options);
  const test::Finished said = world.run(
      {"predict", "--model", world / "run", world / "faces/pictures/val", "--json", "--quiet"});
  REQUIRE(said.code == 0);
  std::string lines = "path,label,video,split,frame\n";
  int i = 0;
  const Json pictures = Json::parse(said.out)["pictures"];
  for (const Json& picture : pictures) {
    const bool fake = (picture["verdict"] == "fake") != (++i % 3 == 0);
    const std::string label = fake ? "fake" : "real";
    lines += picture["path"].get<std::string>() + "," + label + "," + label +
             std::to_string(i / 9) + ",val," + std::to_string(i / 3) + "\n";
  }
  test::write_text(path, lines);
  return path.string();
}

Json eval(const std::string& model, const Words& more) {
  const World& world = World::get();
  Words words = {"eval",    "--model", model,         "--data", manifest_of(world),
                 "--split", "val",     "--bootstrap", "0",      "--json"};
  words.insert(words.end(), more.begin(), more.end());
  const test::Finished finished = world.run(words);
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  return Json::parse(finished.out);
}

TEST_CASE("a temperature is chosen on val, stored, and used by eval and predict") {
  const World& world = World::get();
  const std::string model = world / "calibrated.safetensors", data = manifest_of(world);
  const Json before = eval(world / "run", {});
  CHECK(before["threshold"]["calibration"].is_null());
  const test::Finished chosen = world.run(
      {"threshold", "--model", world / "run", "--data", data, "--calibrate", "--out", model});
  INFO(chosen.err);
  REQUIRE(chosen.code == 0);
  INFO(chosen.out);
  CHECK(chosen.out.starts_with("temperature "));
  CHECK(chosen.out.find("videos: calibration error ") != std::string::npos);
  CHECK(chosen.out.find("fake above") == std::string::npos);  // no rate, no threshold
  const Json after = eval(model, {});
  const Json& stored = after["threshold"]["calibration"];
  const double temperature = stored["temperature"];
  CHECK(temperature != 1);
  CHECK(stored["data"] == "manifest.csv");
  CHECK(stored["before"]["loss"].get<double>() ==
        doctest::Approx(before["faces"]["loss"].get<double>()).epsilon(1e-6));
  CHECK(after["faces"]["loss"].get<double>() ==
        doctest::Approx(stored["after"]["loss"].get<double>()).epsilon(1e-9));
  CHECK(after["faces"]["loss"] < before["faces"]["loss"]);
  CHECK(after["faces"]["auc"].get<double>() ==
        doctest::Approx(before["faces"]["auc"].get<double>()));
  CHECK(after["faces"]["confusion"] == before["faces"]["confusion"]);

  // predict gives what eval judges by: sigmoid of the margin over the temperature.
  const test::Finished predicted =
      world.run({"predict", "--model", model, world / "faces/pictures/test/fake", "--json"});
  REQUIRE(predicted.code == 0);
  const Json json = Json::parse(predicted.out);
  CHECK(json["threshold"]["calibration"]["temperature"] == temperature);
  for (const Json& picture : json["pictures"]) {
    const double margin = picture["logits"][1].get<double>() - picture["logits"][0].get<double>();
    CHECK(picture["probabilities"]["fake"].get<double>() ==
          doctest::Approx(1 / (1 + std::exp(-margin / temperature))).epsilon(1e-6));
    CHECK(picture["probabilities"]["real"].get<double>() ==
          doctest::Approx(1 / (1 + std::exp(margin / temperature))).epsilon(1e-6));
  }
  // Converted it is still the same network with the same temperature.
  REQUIRE(world.run({"weights", "convert", model, "--out", world / "converted.safetensors"}).code ==
          0);
  CHECK(eval(world / "converted.safetensors", {})["faces"]["loss"].get<double>() ==
        doctest::Approx(after["faces"]["loss"].get<double>()).epsilon(1e-9));
}

TEST_CASE("thresholds are of calibrated probabilities and of a policy; both stay with the model") {
  const World& world = World::get();
  const std::string model = world / "both.safetensors", data = manifest_of(world);
  const auto choose = [&](const Words& more) {
    Words words = {"threshold", "--data", data};
    words.insert(words.end(), more.begin(), more.end());
    const test::Finished finished = world.run(words);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    return finished.out;
  };
  choose({"--model", world / "run", "--fpr", "0.2", "--policy", "median", "--out", model});
  const Json plain = eval(model, {});
  CHECK(plain["threshold"]["policy"] == "median");
  CHECK(plain["threshold"]["model"]["temperature"] == 1);
  // Only the temperature is asked for: the threshold is chosen anew, for its rate and policy.
  CHECK(choose({"--model", model, "--calibrate"}).find("faces: fake above") != std::string::npos);
  const Json both = eval(model, {});
  CHECK(both["threshold"]["model"]["rate"] == 0.2);
  CHECK(both["threshold"]["policy"] == "median");
  CHECK(both["threshold"]["faces"] != plain["threshold"]["faces"]);
  for (const char* level : {"faces", "videos"}) {
    CHECK(both[level]["confusion"] == plain[level]["confusion"]);  // median and T keep the order
  }
  // A new threshold alone keeps the temperature.
  choose({"--model", model, "--fpr", "0.4"});
  const Json later = eval(model, {});
  CHECK(later["threshold"]["calibration"] == both["threshold"]["calibration"]);
  CHECK(later["threshold"]["model"]["rate"] == 0.4);
  CHECK(later["threshold"]["model"]["temperature"] ==
        both["threshold"]["calibration"]["temperature"]);
  // Another policy: not by this threshold, and said so.
  const test::Finished other = world.run({"eval", "--model", model, "--data", data, "--split",
                                          "val", "--policy", "mean", "--bootstrap", "0"});
  REQUIRE(other.code == 0);
  CHECK(
      other.err.find("WARNING: the model's threshold of videos was chosen with --policy median") !=
      std::string::npos);
  CHECK(other.out.find("videos, by the mean of their faces") != std::string::npos);
  CHECK(other.out.find("videos above 0.5 (the default)") != std::string::npos);
}

TEST_CASE("policies change videos, not faces") {
  const World& world = World::get();
  const Json mean = eval(world / "run", {}),
             majority = eval(world / "run", {"--policy", "majority"});
  CHECK(mean["threshold"]["policy"] == "mean");
  CHECK(majority["threshold"]["policy"] == "majority");
  CHECK(mean["faces"] == majority["faces"]);
  CHECK(mean["videos"]["loss"] != majority["videos"]["loss"]);
  CHECK(mean["videos"]["count"] == majority["videos"]["count"]);
  const Json most = eval(world / "run", {"--per-frame", "max"});
  CHECK(most["threshold"]["per_frame"] == "max");
  CHECK(most["faces"] == mean["faces"]);
  CHECK(most["videos"]["loss"] != mean["videos"]["loss"]);
  expect_refusal(
      {"eval", "--model", world / "run", "--data", manifest_of(world), "--policy", "vote"},
      {"--policy", "majority"});
}

TEST_CASE("videos without a face are in eval's totals") {
  const World& world = World::get();
  manifest_of(world);
  const std::string account = world / "faces/account.csv";
  CHECK(eval(world / "run", {})["failed_videos"]["count"] == 0);
  test::write_text(account,
                   "path,label,frames,looked_at,faces,shortfall,damage\n"
                   "a.mp4,real,300,32,0,no face found in 32 frames,\n"
                   "b.mp4,fake,0,0,0,,not a video\n"
                   "c.mp4,fake,300,32,32,,\n");
  const Json failed = eval(world / "run", {})["failed_videos"];
  CHECK(failed["count"] == 2);
  CHECK(failed["reasons"]["cannot be read"] == 1);
  CHECK(failed["videos"][1]["detail"] == "not a video");
  test::write_text(account, "path,label\na.mp4,real\n");
  expect_refusal({"eval", "--model", world / "run", "--data", manifest_of(world), "--split", "val"},
                 {"account.csv", "no column looked_at"});
  fs::remove(account);
}

TEST_CASE("what no temperature can be chosen on is refused, and nothing is stored") {
  const World& world = World::get();
  const std::string one_class = world / "one-class.csv";
  std::string lines = "path,label,video,split\n";
  for (const auto& entry : fs::directory_iterator(world / "faces/pictures/val/real")) {
    lines += entry.path().string() + ",real," + entry.path().stem().string() + ",val\n";
  }
  test::write_text(one_class, lines);
  const test::Finished finished = world.run(
      {"threshold", "--model", world / "run", "--data", one_class, "--calibrate", "--quiet"});
  CHECK(finished.code == 2);
  CHECK(finished.err.starts_with("verace: "));
  expect_refusal({"threshold", "--model", world / "run", "--data", manifest_of(world)}, "--fpr");
}

}  // namespace
}  // namespace verace::verdicts_test
