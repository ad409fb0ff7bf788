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
#include "kernels/dispatch.h"
#include "kernels/exec.h"
#include "tests/cli/world.h"
#include "tests/support/event_reader.h"

namespace verace::cli_test {
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
  expect_refusal({"trane", "--help"}, "there is no command 'trane': did you mean train?");
  expect_refusal({"train", "--epochs"}, "--epochs");
  expect_refusal({"attack", "fgms"}, "did you mean fgsm?");
  expect_refusal({"info", "extra"}, "'extra' was not expected");
}

TEST_CASE("a training run leaves its files, and they are judged") {
  const World& world = World::get();
  for (const char* name : {"best.safetensors", "last.safetensors", "metrics.jsonl", "curve.svg",
                           "config.toml", "tensorboard/events.out.tfevents.verace"}) {
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
  CHECK(Json::parse(info.out)["video"].get<std::string>() != "");
  CHECK(Json::parse(info.out)["devices"].size() >= 3);
  const std::string text = world.run({"info"}).out;
  CHECK(test::contains(text, "\nvideo       "));
  if (!kernels::have_cuda) {
    CHECK(text.find("cuda       not usable: this build has no CUDA: install") != std::string::npos);
    CHECK(Json::parse(info.out)["cuda"].empty());
  } else {
    CHECK(text.find("cuda        runtime ") != std::string::npos);
  }
  if (kernels::cuda_is_emulated) {
    CHECK(text.find("CPU emulation") != std::string::npos);
    CHECK(text.find("compute capability 9.0") != std::string::npos);
  }
  // What the loops were compiled for, not what the program around them was.
  const Json build = Json::parse(info.out);
  CHECK(build["libraries"].dump().find("oneDNN ") != std::string::npos);
#if defined(__x86_64__)
  const bool native = build["build"].get<std::string>().find("-march=native") != std::string::npos;
  if (native && __builtin_cpu_supports("avx2")) {
    CHECK(build["instructions"].dump().find("avx2") != std::string::npos);
  }
#endif
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
  // Elsewhere, if that is said.
  REQUIRE(world.run(world.train("elsewhere", {"--max-steps", "1"})).code == 0);
  const test::Finished moved = world.run({"train", "--resume", world / "elsewhere", "--max-steps",
                                          "1", "--device", "reference", "--quiet"});
  INFO(moved.err);
  CHECK(moved.code == 0);
  CHECK(moved.out.find("resume: reference instead of cpu") != std::string::npos);
  CHECK(moved.out.find("device: reference, 1 threads") != std::string::npos);
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
  CHECK(fs::exists(world / "twice/tensorboard/events.out.tfevents.verace"));
  CHECK(world.run(world.train("twice", {"--overwrite", "--seed", "2"})).code == 0);
  CHECK(test::read_text(world / "twice/notes.txt") == "mine");
  CHECK(test::read_text(world / "twice/best.safetensors") != model);
  CHECK_FALSE(fs::exists(world / "twice/best.safetensors.replaced"));
  // TensorBoard shows the new run, and nothing of the old one.
  CHECK(test::read_events(test::read_text(world / "twice/tensorboard/events.out.tfevents.verace"))
            .size() == 2);
  const auto folder = fs::directory_iterator(world / "twice/tensorboard");
  CHECK(std::distance(folder, {}) == 1);
  CHECK_FALSE(fs::exists(world / "twice/tensorboard.replaced"));
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
  if (!kernels::have_cuda)
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
}  // namespace verace::cli_test
