// Thresholds through the real program: chosen on val, stored with the model, used, overridden.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "tests/cli/world.h"

namespace verace::thresholds_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::expect_refusal;
using test::Words;
using test::World;

// Pictures with a validation split, two of them a video: with-val.csv, and the folder with-val.
std::string data_with_val(const World& world) {
  const std::string manifest = world / "with-val.csv";
  if (fs::exists(manifest)) return manifest;
  data::SyntheticOptions options;
  options.size = 32;
  options.pictures_per_class = {8, 10, 4};
  data::write_synthetic_dataset(world / "with-val", options);
  std::string lines = "path,label,video,split\n";
  int i = 0;
  const data::Dataset dataset = data::load_dataset(world / "with-val");
  for (const data::Sample& sample : dataset.samples) {
    const std::string label = data::kClassNames[static_cast<size_t>(sample.label)];
    const std::string split = data::kSplitNames[static_cast<size_t>(sample.split)];
    const std::string video = label + split + std::to_string(i++ / 2);
    lines += sample.path.string() + "," + label + "," + video + "," + split + "\n";
  }
  test::write_text(manifest, lines);
  return manifest;
}

TEST_CASE("a threshold is chosen on val, stored, used, and overridden") {
  const World& world = World::get();
  const std::string data = data_with_val(world), model = world / "chosen.safetensors";
  const test::Finished chosen = world.run(
      {"threshold", "--model", world / "run", "--data", data, "--fpr", "0.2", "--out", model});
  INFO(chosen.err);
  REQUIRE(chosen.code == 0);
  CHECK(chosen.out.starts_with("faces: fake above "));
  CHECK(chosen.out.find("of 10 real") != std::string::npos);
  const auto eval = [&](const std::string& file, const Words& more) {
    Words words = {"eval", "--model", file, "--data", data, "--split", "val", "--json", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const test::Finished finished = world.run(words);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    return Json::parse(finished.out);
  };
  const Json used = eval(model, {});
  CHECK(used["threshold"]["source"] == "model");
  CHECK(used["threshold"]["model"]["rate"] == 0.2);
  CHECK(used["threshold"]["model"]["data"] == "with-val.csv");
  CHECK(used["threshold"]["faces"] == used["threshold"]["model"]["faces"]["threshold"]);
  CHECK(used["threshold"]["faces"] != used["threshold"]["videos"]);
  for (const auto& [level, reals] : {std::pair("faces", 10), std::pair("videos", 5)}) {
    const Json& confusion = used[level]["confusion"];
    const Json& model_says = used["threshold"]["model"][level];
    CHECK(model_says["reals"] == reals);
    CHECK(model_says["false_positive_rate"] == 0.2);  // scores without ties reach it
    CHECK(confusion["real"]["fake"] == reals / 5);
    CHECK(confusion["fake"]["fake"].get<double>() / reals == model_says["true_positive_rate"]);
  }
  CHECK(eval(world / "run", {})["threshold"]["source"] == "default");  // --out left it alone
  const Json overridden = eval(model, {"--threshold", "0"});
  CHECK(overridden["threshold"]["source"] == "flag");
  CHECK(overridden["threshold"]["model"]["rate"] == 0.2);
  CHECK(overridden["faces"]["confusion"]["real"]["fake"] == 10);  // all are above 0
  CHECK(overridden["faces"]["auc"] == used["faces"]["auc"]);

  const auto predict = [&](const Words& more) {
    Words words = {"predict", "--model", model, world / "with-val/val/real", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    const test::Finished finished = world.run(words);
    REQUIRE(finished.code == 0);
    int fakes = 0;
    const Json json = Json::parse(finished.out);
    for (const Json& picture : json["pictures"]) fakes += picture["verdict"] == "fake";
    return std::pair(fakes, finished.err);
  };
  const auto [stored, note] = predict({});
  CHECK(stored == 2);
  CHECK(note.find("chosen on val of with-val.csv for a false-positive rate of 0.2") !=
        std::string::npos);
  const auto [all, flag_note] = predict({"--threshold", "0"});
  CHECK(all == 10);
  CHECK(flag_note.find("--threshold, instead of the model's") != std::string::npos);
  CHECK(predict({"--threshold", "1", "--quiet"}) == std::pair(0, std::string()));
  CHECK(note.find("WARNING") == std::string::npos);
  CHECK(predict({"--fit", "crop"})
            .second.find("WARNING: the model's threshold was chosen with "
                         "--fit stretch") != std::string::npos);

  // In place, and another choice replaces the first.
  REQUIRE(world.run({"threshold", "--model", model, "--data", data, "--fpr", "0.1"}).code == 0);
  CHECK(eval(model, {})["threshold"]["model"]["rate"] == 0.1);
  CHECK(world.run({"weights", "inspect", model}).out.find("verace.threshold") != std::string::npos);
}

TEST_CASE("answers that are no numbers are refused, and no threshold is stored on them") {
  const World& world = World::get();
  const std::string path = world / "broken.safetensors", data = data_with_val(world);
  const apps::LoadedModel model = apps::load_model(world / "run/best.safetensors");
  // Each weight is a number, so that the file loads, but no sum of them is.
  const auto& parameters = model.classifier->table().parameters();
  const auto weights = parameters.at(parameters.size() - 2)->value.f32_span();
  std::fill(weights.begin(), weights.end(), std::numeric_limits<float>::max());
  apps::save_model(path, *model.classifier);
  const std::string before = test::read_text(path);
  expect_refusal({"eval", "--model", path, "--data", data}, "not finite numbers");
  expect_refusal({"predict", "--model", path, world / "with-val/val"}, "not a finite number");
  expect_refusal({"threshold", "--model", path, "--data", data, "--fpr", "0.1"},
                 "not finite numbers");
  CHECK(test::read_text(path) == before);
}

TEST_CASE("training stores a threshold with its best model") {
  const World& world = World::get();
  Words words = world.train("run-fpr", {"--fpr", "0.25"});
  words[2] = data_with_val(world);
  const test::Finished trained = world.run(words);
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(trained.out.find("threshold 0.") != std::string::npos);
  const auto best = world.run({"weights", "inspect", world / "run-fpr/best.safetensors", "--json"});
  const Json stored =
      Json::parse(Json::parse(best.out)["metadata"]["verace.threshold"].get<std::string>());
  CHECK(stored["rate"] == 0.25);
  CHECK(stored["faces"]["reals"] == 10);
  const Json eval = Json::parse(world
                                    .run({"eval", "--model", world / "run-fpr", "--data", words[2],
                                          "--split", "val", "--json"})
                                    .out);
  CHECK(eval["faces"]["confusion"]["real"]["fake"].get<double>() / 10 ==
        stored["faces"]["false_positive_rate"]);
  // Training goes on from last: its weights are not yet those that will be judged.
  CHECK(world.run({"weights", "inspect", world / "run-fpr/last.safetensors"})
            .out.find("verace.threshold") == std::string::npos);
}

}  // namespace
}  // namespace verace::thresholds_test
