// verace weights convert and diff through the real program.
#include <nlohmann/json.hpp>

#include "tests/cli/world.h"

namespace verace::weights_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::expect_refusal;
using test::read_text;
using test::Words;
using test::World;
using test::write_text;

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a run's network goes to .pth and back without loss, and judges as before") {
  const World& world = World::get();
  const test::Finished pth =
      world.run({"weights", "convert", world / "run", "--out", world / "m.pth"});
  INFO(pth.err);
  CHECK(pth.code == 0);
  CHECK(says(pth.out, "269 tensors as PyTorch .pth"));
  CHECK(pth.err.empty());  // nothing to assume
  CHECK(world
            .run({"weights", "convert", world / "m.pth", "--out", world / "back.any", "--to",
                  "safetensors"})
            .code == 0);
  const Json difference =
      Json::parse(world.run({"weights", "diff", world / "run", world / "back.any", "--json"}).out);
  CHECK(difference["settings"].empty());
  for (const Json& layer : difference["layers"]) CHECK(layer["unchanged"] == true);
  const Words judge = {"eval", "--data", world / "data", "--quiet", "--json", "--model"};
  const auto figures = [&](const std::string& model) {
    Words words = judge;
    words.push_back(model);
    return Json::parse(world.run(words).out)["faces"];
  };
  CHECK(figures(world / "m.pth") == figures(world / "run/best.safetensors"));
}

TEST_CASE("what a training has changed") {
  const World& world = World::get();
  Words words = {"train",
                 "--data",
                 world / "data",
                 "--weights",
                 world / "run/best.safetensors",
                 "--quiet",
                 "--out",
                 world / "tuned",
                 "--freeze",
                 "stages:2",
                 "--epochs",
                 "1",
                 "--batch",
                 "8",
                 "--lr",
                 "1e-3",
                 "--threads",
                 "1"};
  const test::Finished tuned = world.run(words);
  INFO(tuned.err);
  REQUIRE(tuned.code == 0);
  const std::string after = world / "tuned/last.safetensors";
  const test::Finished table = world.run({"weights", "diff", world / "run", after});
  INFO(table.err);
  CHECK(table.code == 0);
  CHECK(says(table.out, "conv1 ... "));
  CHECK(says(table.out, ": unchanged ("));
  const Json json = Json::parse(world.run({"weights", "diff", world / "run", after, "--json"}).out);
  size_t changed = 0;
  for (const Json& layer : json["layers"]) {
    const std::string name = layer["layer"];
    const bool frozen =
        name.starts_with("conv1") || name.starts_with("bn1") || name.starts_with("layer1");
    if (frozen) CHECK_MESSAGE(layer["unchanged"] == true, name);
    if (name.starts_with("layer4") && layer["part"] == "weights")
      CHECK_MESSAGE(layer["relative"] > 0, name);
    changed += layer.value("unchanged", true) ? 0 : 1;
  }
  CHECK(changed > 10);
  CHECK(json["backbone"]["relative"] > 0);
}

TEST_CASE("assumptions and foldings are said, unless quiet") {
  const World& world = World::get();
  const std::string keras = std::string(VERACE_GOLDENS) + "/h5/keras1_notop.h5";
  const test::Finished loud = world.run({"weights", "convert", keras, "--out", world / "k1.pth"});
  CHECK(loud.code == 0);
  CHECK(says(loud.err, "ASSUMPTION: variant = v1 "));
  CHECK(says(loud.err, "ASSUMPTION: batch-norm epsilon = 0.001 "));
  CHECK(says(loud.err, "biases of 53 convolutions"));
  CHECK(says(loud.err, "torchvision's resnet50() computes variant v1.5"));
  CHECK(says(loud.err,
             "torchvision's networks take RGB as (x/255 - mean) / deviation, those of "
             "ImageNet; this one takes BGR as x - (103.939, 116.779, 123.68)\n"));
  const test::Finished quiet = world.run({"weights", "convert", keras, "--out", world / "k2.pth",
                                          "--quiet", "--variant", "v1.5", "--bn-epsilon", "1e-5"});
  CHECK(quiet.code == 0);
  CHECK(quiet.err.empty());
  const std::string table = world.run({"weights", "inspect", world / "k2.pth"}).out;
  CHECK(says(table, "k2.pth: PyTorch zip"));
  CHECK_FALSE(says(table, "ASSUMPTION"));
  CHECK(says(world.run({"weights", "inspect", keras}).out, "Keras HDF5"));
  CHECK(says(world.run({"weights", "inspect", keras}).out, "res2a_branch2a"));
}

TEST_CASE("what a head's file does not say can be said") {
  const World& world = World::get();
  const test::Finished made =
      world.run({"weights", "convert", world / "run", "--out", world / "turned.safetensors",
                 "--class-order", "fake,real", "--head-slope", "0.1", "--force"});
  INFO(made.err);
  CHECK(made.code == 0);
  const Json network = Json::parse(
      world.run({"weights", "inspect", world / "turned.safetensors", "--json"}).out)["network"];
  CHECK(network["class_names"] == Json{"fake", "real"});
  CHECK(network["head_slope"] == 0.1);
  expect_refusal(
      {"weights", "convert", world / "run", "--out", world / "x.pth", "--head-slope", "2"},
      "--head-slope: '2'");
  expect_refusal(
      {"weights", "convert", world / "run", "--out", world / "x.pth", "--class-order", "a"},
      "--class-order: 'a'");
  expect_refusal(
      {"eval", "--model", world / "run", "--data", world / "data", "--head-slope", "0.2"},
      {"--head-slope 0.2 contradicts", "--force"});
}

TEST_CASE("bad input is refused in one line and nothing is lost") {
  const World& world = World::get();
  const std::string model = world / "run/best.safetensors", out = world / "new.safetensors";
  expect_refusal({"weights", "convert"}, "INPUT is missing");
  expect_refusal({"weights", "convert", model}, "--out is missing");
  expect_refusal({"weights", "convert", model, "--out", world / "new.bin"},
                 {"--out", "new.bin", "--to safetensors or --to pth"});
  expect_refusal({"weights", "convert", model, "--out", out, "--to", "h5"}, "--to: 'h5'");
  expect_refusal({"weights", "convert", model, "--out", model}, {"--out", "the file exists"});
  expect_refusal({"weights", "convert", model, "--out", world / "run"}, {"--out", "is a folder"});
  expect_refusal({"weights", "convert", model, "--out", world / "no/where.pth"},
                 {"--out", "there is no folder"});
  expect_refusal({"weights", "convert", world / "absent", "--out", out}, "absent: cannot open");
  expect_refusal({"weights", "convert", world / "run/metrics.jsonl", "--out", out},
                 "metrics.jsonl");
  expect_refusal({"weights", "convert", model, "--out", out, "--variant", "v1"},
                 {"--variant v1 contradicts", "--force"});
  expect_refusal({"weights", "convert", model, model, "--out", out}, "was not expected");
  expect_refusal({"weights", "diff"}, "BEFORE is missing");
  expect_refusal({"weights", "diff", model}, "AFTER is missing");
  expect_refusal({"weights", "diff", model, world / "absent"}, "absent: cannot open");
  expect_refusal({"weights", "diff", model, model, model}, "was not expected");
  expect_refusal({"weights", "diff", model, std::string(VERACE_GOLDENS) + "/ops.safetensors"},
                 "ops.safetensors: has no tensor");
  expect_refusal({"weights", "diff", model, std::string(VERACE_GOLDENS) + "/h5/keras3_full.h5"},
                 {"best.safetensors", "keras3_full.h5", "different networks"});
  expect_refusal({"weights", "inspect", std::string(VERACE_GOLDENS) + "/h5/gzip.h5"}, "gzip.h5");
  expect_refusal(
      {"predict", "--model", std::string(VERACE_GOLDENS) + "/h5/keras1_notop.h5", world / "data"},
      "a backbone without a head");
  expect_refusal({"threshold", "--model", std::string(VERACE_GOLDENS) + "/h5/keras3_full.h5",
                  "--data", world / "data", "--fpr", "0.1", "--out", out},
                 {"keras3_full.h5: only a safetensors file can keep thresholds", "convert"});
  write_text(world / "evil.index.json", "{\"weight_map\": {\"conv1.weight\": \"../run/best\"}}");
  expect_refusal({"weights", "inspect", world / "evil.index.json"},
                 {"evil.index.json", "not the name of a file beside the index"});
}

TEST_CASE("a full disk loses nothing") {
  const World& world = World::get();
  const auto before = world.listing();
  const test::Finished finished = world.run_in_shell(
      "ulimit -f 8", {"weights", "convert", world / "run", "--out", world / "full.pth"});
  test::expect_error(finished, {"full.pth"});
  test::expect_nothing_lost(before, {});
}

TEST_CASE("what inspect thinks of a file is its exit code, and stands in the JSON") {
  const World& world = World::get();
  const auto look = [&](const std::string& file, const Words& more = {}) {
    Words words = {"weights", "inspect", "--json", file};
    words.insert(words.end(), more.begin(), more.end());
    const test::Finished seen = world.run(words);
    CHECK(seen.err.empty());
    return std::pair(seen.code, Json::parse(seen.out));
  };
  // A run's folder stands for its best network.
  auto [code, seen] = look(world / "run");
  CHECK(code == 0);
  CHECK(says(seen["file"], "run/best.safetensors"));
  CHECK(seen["usable"] == true);
  CHECK(seen["refusal"].is_null());
  // Flags against the metadata, with and without force.
  std::tie(code, seen) = look(world / "run", {"--variant", "v1"});
  CHECK(code == 1);
  CHECK(seen["usable"] == false);
  CHECK(says(seen["refusal"], "--variant v1 contradicts"));
  CHECK(seen["tensors"].size() > 250);
  CHECK(look(world / "run", {"--variant", "v1", "--force"}).first == 0);
  // Another network, and a checkpoint with a damaged byte.
  const std::string other = std::string(VERACE_GOLDENS) + "/ops.safetensors";
  std::tie(code, seen) = look(other);
  CHECK(code == 1);
  CHECK(seen["network"].is_null());
  CHECK(says(seen["refusal"], "has no tensor"));
  CHECK(says(world.run({"weights", "inspect", other}).out, "REFUSED: "));
  std::string bytes = read_text(world / "run/last.safetensors");
  bytes.back() ^= 1;
  write_text(world / "damaged.safetensors", bytes);
  std::tie(code, seen) = look(world / "damaged.safetensors");
  CHECK(code == 1);
  CHECK(seen["checksum"] == "wrong");
  CHECK(look(world / "run/last.safetensors").first == 0);
  expect_refusal({"weights", "inspect", world / "absent", "--json"}, "absent: cannot open");
}

TEST_CASE("files that contradict a flag are compared by force") {
  const World& world = World::get();
  const std::string model = world / "run";
  expect_refusal({"weights", "diff", model, model, "--variant", "v1"}, {"--variant v1", "--force"});
  const test::Finished forced =
      world.run({"weights", "diff", model, model, "--variant", "v1", "--force", "--json"});
  INFO(forced.err);
  CHECK(forced.code == 0);
  CHECK(Json::parse(forced.out)["settings"].empty());
}

TEST_CASE("help of the new commands") {
  const World& world = World::get();
  for (const char* command : {"convert", "diff", "inspect"}) {
    const test::Finished help = world.run({"weights", command, "--help"});
    CHECK(help.code == 0);
    CHECK(says(help.out, "Examples:"));
    CHECK(says(help.out, ".keras"));
  }
}

}  // namespace
}  // namespace verace::weights_test
