// The commands as people type them: what they print, what they leave behind, and bad input.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/dataset.h"
#include "data/image.h"
#include "kernels/exec.h"
#include "tests/cli/world.h"

namespace verace {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::expect_refusal;
using test::Words;
using test::World;

TEST_CASE("help, version and unknown words") {
  const World& world = World::get();
  const test::Finished alone = world.run({});
  CHECK(alone.code == 0);
  CHECK(alone.out.find("predict") != std::string::npos);
  CHECK(world.run({"--version"}).out.starts_with("verace "));
  for (const Words& words :
       {Words{"train"}, Words{"eval"}, Words{"threshold"}, Words{"predict"}, Words{"demo"},
        Words{"info"}, Words{"attack", "fgsm"}, Words{"weights", "inspect"}}) {
    Words help = words;
    help.push_back("--help");
    const test::Finished finished = world.run(help);
    INFO(words[0], finished.err);
    CHECK(finished.code == 0);
    CHECK(finished.out.find("Examples:") != std::string::npos);
  }
  CHECK(world.run({"attack"}).code == 0);
  expect_refusal({"trian"}, "did you mean train?");
  expect_refusal({"train", "--epoch", "3"}, "did you mean --epochs?");
  expect_refusal({"eval", "--frobnicate"}, "there is no flag --frobnicate");
  expect_refusal({"train", "--epochs"}, "--epochs");
  expect_refusal({"attack", "fgms"}, "did you mean fgsm?");
  expect_refusal({"info", "extra"}, "'extra' was not expected");
}

TEST_CASE("a training run leaves its files, and they are judged") {
  const World& world = World::get();
  for (const char* name :
       {"best.safetensors", "last.safetensors", "metrics.jsonl", "curve.svg", "config.toml"}) {
    INFO(std::string(name));
    CHECK(fs::exists(world / (std::string("run/") + name)));
  }
  const test::Finished eval =
      world.run({"eval", "--model", world / "run", "--data", world / "data", "--json", "--csv",
                 world / "faces.csv", "--device", "cpu", "--quiet"});
  INFO(eval.err);
  REQUIRE(eval.code == 0);
  CHECK(eval.err.empty());
  const Json json = Json::parse(eval.out);
  CHECK(json["faces"]["count"] == 12);
  CHECK(json["videos"]["count"] == 12);
  CHECK(json["split"] == "test");
  CHECK(json["faces"]["confusion"]["real"]["real"].get<int>() +
            json["faces"]["confusion"]["real"]["fake"].get<int>() ==
        6);
  const std::string csv = test::read_text(world / "faces.csv");
  CHECK(csv.starts_with("path,video,label,probability,loss\n"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 13);
  const test::Finished table =
      world.run({"eval", "--model", world / "run/best.safetensors", "--data", world / "data"});
  CHECK(table.code == 0);
  CHECK(table.out.find("balanced accuracy") != std::string::npos);
  CHECK(table.err.find("device: cpu (auto") != std::string::npos);
}

TEST_CASE("eval: curves as CSV, intervals that a seed repeats") {
  const World& world = World::get();
  const auto eval = [&](const Words& more) {
    Words words = {"eval",   "--model",  world / "run", "--data", world / "data",
                   "--json", "--device", "cpu",         "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    const test::Finished finished = world.run(words);
    INFO(finished.err);
    REQUIRE(finished.code == 0);
    return Json::parse(finished.out);
  };
  const Json first = eval({"--curves", world / "curves"});
  for (const char* name : {"roc.csv", "precision_recall.csv", "reliability.csv"}) {
    const std::string csv = test::read_text(world / (std::string("curves/") + name));
    INFO(std::string(name));
    CHECK(csv.starts_with("level,"));
    CHECK(csv.find("\nfaces,") != std::string::npos);
    CHECK(csv.find("\nvideos,") != std::string::npos);
  }
  CHECK(first["bootstrap"]["resamples"] == 1000);
  CHECK(first["threshold"]["source"] == "default");
  CHECK(first["faces"]["undefined"].is_null());
  for (const char* level : {"faces", "videos"}) {
    for (const auto& [key, interval] : first[level]["intervals"].items()) {
      INFO(std::string(level), " ", key);
      CHECK(interval[0].get<double>() <= interval[1].get<double>());
    }
    CHECK(first[level]["intervals"].size() == 7);
  }
  CHECK(eval({})["faces"] == first["faces"]);
  CHECK(eval({"--seed", "2"})["faces"]["intervals"] != first["faces"]["intervals"]);
  const Json plain = eval({"--bootstrap", "0"});
  CHECK(plain["bootstrap"].is_null());
  CHECK_FALSE(plain["faces"].contains("intervals"));
  CHECK(plain["faces"]["auc"] == first["faces"]["auc"]);
}

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

TEST_CASE("predict judges files and folders; a broken one costs the exit code, not the rest") {
  const World& world = World::get();
  const test::Finished all =
      world.run({"predict", "--model", world / "run", world / "data/test", "--json"});
  REQUIRE(all.code == 0);
  const Json json = Json::parse(all.out);
  CHECK(json["pictures"].size() == 12);
  CHECK(json["verdict"].is_string());
  test::write_text(world / "broken.jpg", "no picture");
  const test::Finished some =
      world.run({"predict", "--model", world / "run", json["pictures"][0]["path"],
                 world / "broken.jpg", json["pictures"][1]["path"]});
  CHECK(some.code == 2);
  CHECK(some.out.find("all 2 together") != std::string::npos);
  CHECK(some.err.find("broken.jpg") != std::string::npos);
  CHECK(some.err.find("1 of 3 pictures") != std::string::npos);
  CHECK(some.err.find("ASSUMPTION: --fit stretch") != std::string::npos);
}

TEST_CASE("attack fgsm writes figures and pictures") {
  const World& world = World::get();
  const Words words = {"attack",       "fgsm",      "--model",  world / "run", "--data",
                       world / "data", "--epsilon", "0.01,0.1", "--out",       world / "attacked",
                       "--limit",      "2"};
  const test::Finished finished = world.run(words);
  INFO(finished.err);
  REQUIRE(finished.code == 0);
  CHECK(finished.out.find("FGSM on 4 pictures") != std::string::npos);
  const Json json = Json::parse(test::read_text(world / "attacked/attack.json"));
  CHECK(json["epsilons"].size() == 2);
  CHECK(json["pictures"].size() == 4);
  CHECK(json["epsilons"][1]["mse"].get<double>() > json["epsilons"][0]["mse"].get<double>());
  const std::string stored = json["pictures"][0]["after"][0]["picture"];
  CHECK(stored.starts_with(world / "attacked/eps_0.01/test/real/"));
  CHECK(data::read_image(stored).width == 32);
  expect_refusal(words, "--overwrite");
  Words again = words;
  again.push_back("--overwrite");
  CHECK(world.run(again).code == 0);
}

TEST_CASE("weights inspect and info") {
  const World& world = World::get();
  const test::Finished table = world.run({"weights", "inspect", world / "run/best.safetensors"});
  CHECK(table.code == 0);
  CHECK(table.out.find("layer4.2.conv3.weight") != std::string::npos);
  const test::Finished json =
      world.run({"weights", "inspect", world / "run/best.safetensors", "--json"});
  CHECK(Json::parse(json.out)["tensors"].size() > 250);
  const test::Finished info = world.run({"info", "--json"});
  CHECK(Json::parse(info.out)["devices"].size() == 3);
  const char* cuda = kernels::have_cuda ? "networks do not use them" : "no CUDA operations";
  CHECK(world.run({"info"}).out.find(cuda) != std::string::npos);
}

TEST_CASE("a stopped run goes on with --resume and gives the same bits") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("part", {"--max-steps", "2"})).code == 0);
  expect_refusal({"train", "--resume", world / "part", "--weights", "none"},
                 "--resume and --weights contradict each other");
  expect_refusal({"train", "--resume", world / "part", "--lr", "0.1"}, "--lr");
  const test::Finished resumed = world.run({"train", "--resume", world / "part", "--quiet"});
  INFO(resumed.err);
  CHECK(resumed.code == 0);
  CHECK(test::read_text(world / "part/best.safetensors") ==
        test::read_text(world / "run/best.safetensors"));
}

TEST_CASE("an earlier run is only replaced with --overwrite, other files never") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("twice")).code == 0);
  test::write_text(world / "twice/notes.txt", "mine");
  const std::string model = test::read_text(world / "twice/best.safetensors");
  expect_refusal(world.train("twice"), "--overwrite");
  // A run that fails before its first step gives everything back.
  Words bad = world.train("twice", {"--overwrite"});
  *(std::ranges::find(bad, "--data") + 1) = world / "nowhere";
  expect_refusal(bad, "nowhere");
  CHECK(test::read_text(world / "twice/best.safetensors") == model);
  CHECK(world.run(world.train("twice", {"--overwrite", "--seed", "2"})).code == 0);
  CHECK(test::read_text(world / "twice/notes.txt") == "mine");
  CHECK(test::read_text(world / "twice/best.safetensors") != model);
  CHECK_FALSE(fs::exists(world / "twice/best.safetensors.replaced"));
}

TEST_CASE("Ctrl-C stores the state and ends with 130") {
  const World& world = World::get();
  Words words = world.train("stopped");
  *(std::ranges::find(words, "--epochs") + 1) = "100000";
  const auto process = world.start(words);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fs::exists(world / "stopped/config.toml") && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  process->signal(SIGINT);
  const test::Finished finished = process->wait();
  INFO(finished.err);
  CHECK(finished.code == 130);
  CHECK(fs::exists(world / "stopped/last.safetensors"));
}

TEST_CASE("bad input is refused by name, and nothing is left behind") {
  const World& world = World::get();
  const std::string model = world / "run", data = world / "data", out = world / "new";
  expect_refusal({"train", "--data", data, "--out", out}, "--weights is missing");
  expect_refusal({"train", "--weights", "none", "--out", out}, "--data is missing");
  expect_refusal({"train", "--weights", "none", "--data", data}, "--out is missing");
  expect_refusal(world.train("new", {"--device", "cuda"}), "--device cuda");
  expect_refusal(world.train("new", {"--device", "tpu"}), "'tpu' is not known");
  expect_refusal(world.train("new", {"--freeze", "keras:15"}), "--freeze");
  expect_refusal(world.train("new", {"--seed", "-1"}), "--seed: '-1'");
  expect_refusal(world.train("new", {"--class-weights", "1"}), "--class-weights");
  expect_refusal(world.train("new", {"--class-weights", "balanced", "--balanced-sampling"}),
                 "contradict");
  expect_refusal(world.train("new", {"--loss", "hinge"}), "--loss: 'hinge'");
  expect_refusal(world.train("new", {"--trace", world / "no/such/folder/trace.json"}), "--trace");
  expect_refusal({"train", "--data", data, "--weights", world / "run/config.toml", "--out", out},
                 "config.toml");
  expect_refusal({"train", "--data", data, "--weights", world / "run/best.safetensors", "--freeze",
                  "keras:176", "--out", out},
                 "--freeze");
  expect_refusal(
      {"train", "--data", data, "--weights", "none", "--out", out, "--activation", "leaky:0.05"},
      "--activation");
  expect_refusal({"train", "--data", data, "--weights", "none", "--out", out, "--width", "0.33"},
                 "--width");
  expect_refusal({"train", "--resume", world / "nothing"}, "nothing");
  expect_refusal({"eval", "--data", data}, "--model is missing");
  expect_refusal({"eval", "--model", model, "--data", world / "nowhere"}, "nowhere");
  expect_refusal({"eval", "--model", model, "--data", data, "--split", "valid"}, "--split");
  expect_refusal({"eval", "--model", world / "nothing", "--data", data}, "nothing");
  expect_refusal({"eval", "--model", model, "--data", data, "--batch", "0"}, "--batch: '0'");
  for (const char* rate : {"1", "-0.1", "nan", "much", ""}) {
    const std::string expected = std::string("--fpr: '") + rate + "'";
    expect_refusal({"threshold", "--model", model, "--data", data, "--fpr", rate}, expected);
    Words words = world.train("refused", {"--fpr", rate});
    expect_refusal(words, expected);
  }
  expect_refusal({"threshold", "--model", model, "--data", data}, "--fpr is missing");
  expect_refusal({"threshold", "--model", model, "--data", data, "--fpr", "0.1"}, "val");
  expect_refusal(world.train("refused", {"--fpr", "0.1"}), "--fpr: ");  // no val
  expect_refusal({"train", "--resume", world / "run", "--fpr", "0.1"}, "--fpr");
  for (const char* threshold : {"1.01", "-1", "nan", "high"}) {
    const std::string expected = std::string("--threshold: '") + threshold + "'";
    expect_refusal({"eval", "--model", model, "--data", data, "--threshold", threshold}, expected);
    expect_refusal({"predict", "--model", model, data, "--threshold", threshold}, expected);
  }
  expect_refusal({"eval", "--model", model, "--data", data, "--bootstrap", "-1"},
                 "--bootstrap: '-1'");
  expect_refusal({"eval", "--model", model, "--data", data, "--curves", world / "faces.csv"},
                 "--curves");
  expect_refusal({"predict", "--model", model}, "PICTURE is missing");
  expect_refusal({"predict", "picture.jpg"}, "--model is missing");
  expect_refusal({"predict", "--model", model, world / "absent.jpg"}, "absent.jpg");
  expect_refusal({"predict", "--model", model, "--labels", world / "faces.none", data}, "--labels");
  for (const char* epsilon : {"-0.01", "nan", "much", "2"}) {
    expect_refusal(
        {"attack", "fgsm", "--model", model, "--data", data, "--epsilon", epsilon, "--out", out},
        "--epsilon: '" + std::string(epsilon) + "'");
  }
  expect_refusal({"attack", "fgsm", "--model", model, "--data", data, "--out", out},
                 "--epsilon is missing");
  expect_refusal({"weights", "inspect"}, "FILE is missing");
  expect_refusal({"weights", "inspect", world / "run/metrics.jsonl"}, "metrics.jsonl");
  expect_refusal({"demo", "--out", data}, "is not empty");
}

}  // namespace
}  // namespace verace
