// The commands on a CUDA device: a run from training to the attack, and what is said where memory
// or the device fails.
#include <doctest/doctest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "kernels/dispatch.h"
#include "tests/apps/training_support.h"
#include "tests/cli/world.h"
#include "tests/support/devices.h"

namespace verace::device_test {
namespace {

using apps::first_difference;
using test::contains;
using test::Finished;
using test::Words;
using test::World;

const std::string kEager = "export VERACE_SIMT_LAZY=0";
const std::string kLazy = "export VERACE_SIMT_LAZY=1";

// A run of two epochs of three steps.
Words train(const std::string& out, const Words& more = {}) {
  Words words = {"--device", "cuda"};
  if (std::ranges::find(more, "--epochs") == more.end())
    words.insert(words.end(), {"--epochs", "2"});
  words.insert(words.end(), more.begin(), more.end());
  return World::get().train(out, words);
}

Finished good(const Finished& finished) {
  INFO(finished.out, finished.err);
  CHECK(finished.code == 0);
  return finished;
}

// Made once: the run that nothing disturbs.
const std::string& whole_run() {
  static const std::string folder = [] {
    const Finished run = good(World::get().run_in_shell(kLazy, train("whole")));
    CHECK(contains(run.out, "device: cuda:0 ("));
    CHECK(contains(run.out, "fp32, steps as CUDA graphs, "));
    CHECK(contains(run.out, " MB on the GPU; pictures "));
    return World::get() / "whole";
  }();
  return folder;
}

void check_same_run(const std::string& folder) {
  for (const char* file : {"/last.safetensors", "/best.safetensors"}) {
    CHECK(first_difference(folder + file, whole_run() + file) == "");
  }
}

TEST_CASE("a run on a GPU is stopped, goes on, and ends in the same bits") {
  test::note_skipped_devices();
  if (!test::cuda_is_present()) return;
  const World& world = World::get();
  const Finished stopped = good(world.run_in_shell(
      kEager, train("parts", {"--max-steps", "2", "--launch", "eager", "--workers", "3"})));
  CHECK(contains(stopped.out, "fp32, operation by operation, "));
  CHECK(contains(stopped.out, "stopped in epoch 1 after step 2: go on with --resume"));
  good(world.run({"train", "--resume", world / "parts", "--quiet", "--max-steps", "3", "--launch",
                  "checked"}));
  const Finished rest =
      good(world.run_in_shell(kLazy, {"train", "--resume", world / "parts", "--quiet"}));
  CHECK(contains(rest.out, "device: cuda:0 ("));
  CHECK(contains(rest.out, "epoch 2/2 | train loss"));
  check_same_run(world / "parts");
}

TEST_CASE("a signal ends a run on a GPU resumably") {
  if (!test::cuda_is_present()) return;
  const World& world = World::get();
  const auto process = world.start(train("signalled", {"--epochs", "1000"}));
  const std::string metrics = world / "signalled/metrics.jsonl";
  for (int i = 0; i < 6000 && !std::filesystem::exists(metrics); ++i) usleep(10'000);
  process->signal(SIGINT);
  const Finished finished = process->wait();
  INFO(finished.err);
  CHECK(finished.code == 128 + SIGINT);
  CHECK(contains(finished.out, "go on with --resume"));
  good(world.run({"train", "--resume", world / "signalled", "--quiet", "--max-steps", "1"}));
}

TEST_CASE("evaluation, predictions, attack and dump of a GPU's run on both devices") {
  if (!test::cuda_is_present()) return;
  const World& world = World::get();
  const std::string run = whole_run();
  const auto both = [&](Words words) {
    words.insert(words.end(), {"--model", run, "--quiet", "--device"});
    std::vector<nlohmann::json> answers;
    for (const char* device : {"cpu", "cuda"}) {
      Words all = words;
      all.push_back(device);
      answers.push_back(nlohmann::json::parse(good(world.run_in_shell(kLazy, all)).out));
    }
    return answers;
  };
  const auto near = [](const nlohmann::json& got, const nlohmann::json& want) {
    return std::abs(got.get<double>() - want.get<double>()) <= 1e-3;
  };
  const auto judged = both({"eval", "--data", world / "data", "--json"});
  CHECK(near(judged[1]["faces"]["loss"], judged[0]["faces"]["loss"]));
  CHECK(judged[1]["faces"]["count"] == 12);
  const auto predicted = both({"predict", world / "data/test", "--json", "--batch", "5"});
  REQUIRE(predicted[0]["pictures"].size() == 12);
  for (size_t i = 0; i < 12; ++i) {
    const auto fake = [&](size_t device) {
      return predicted[device]["pictures"][i]["probabilities"]["fake"];
    };
    CHECK(near(fake(1), fake(0)));
  }
  std::vector<nlohmann::json> attacked;
  for (const std::string device : {"cpu", "cuda"}) {
    good(world.run_in_shell(
        kLazy, {"attack", "fgsm", "--model", run, "--data", world / "data", "--epsilon", "0.02",
                "--quiet", "--device", device, "--out", world / ("attack-" + device)}));
    attacked.push_back(
        nlohmann::json::parse(test::read_text(world / ("attack-" + device + "/attack.json"))));
  }
  CHECK(attacked[1]["count"] == 12);
  // At most epsilon^2 = 4e-4 (pixels that are clipped, or without gradient, change less).
  const double mse = attacked[0]["epsilons"][0]["mse"];
  CHECK(mse > 2e-4);
  CHECK(std::abs(attacked[1]["epsilons"][0]["mse"].get<double>() - mse) <= 0.01 * mse);
  good(world.run({"dump", "--model", run, "--device", "cuda", "--faces", "2", "--no-pictures",
                  "--quiet", "--out", world / "look"}));
  CHECK(std::filesystem::exists(world / "look/index.csv"));
}

TEST_CASE("--precision and --plans arrive where they act") {
  if (!test::cuda_is_present()) return;
  const World& world = World::get();
  const auto fake = [&](const std::string& precision) {
    const Finished finished =
        good(world.run({"predict", "--model", whole_run(), world / "data/test", "--json", "--quiet",
                        "--device", "cuda", "--precision", precision}));
    std::vector<double> all;
    const auto answers = nlohmann::json::parse(finished.out);
    for (const auto& picture : answers["pictures"]) {
      all.push_back(picture["probabilities"]["fake"]);
    }
    return all;
  };
  const std::vector<double> fp32 = fake("fp32"), fp16 = fake("fp16");
  REQUIRE(fp32.size() == 12);
  REQUIRE(fp16.size() == 12);
  CHECK(fp16 != fp32);
  // Coarse: a network of two epochs is all but undecided, and amplifies rounding (up to 0.042
  // seen).
  for (size_t i = 0; i < 12; ++i) CHECK(std::abs(fp16[i] - fp32[i]) <= 0.1);
  const Finished tuned = good(world.run(train("tuned", {"--max-steps", "1", "--plans", "tuned"})));
  CHECK(contains(tuned.out, " 0 by the heuristics' first engine"));
}

TEST_CASE("info measures the processor, whatever the device") {
  const World& world = World::get();
  test::expect_error(world.run({"info", "--bench", "--device", "reference", "--launch", "eager"}),
                     {"--launch"});
  if (!kernels::have_cuda) return;
  test::expect_error(world.run({"info", "--bench", "--device", "cuda"}),
                     {"--device cuda:0: --bench measures the processor: use cpu"});
}

TEST_CASE("what only a GPU has is refused elsewhere") {
  const World& world = World::get();
  for (const Words& flag : {Words{"--launch", "eager"}, Words{"--plans", "tuned"}}) {
    Words words = {"demo", "--out", world / "none", "--quiet", "--device", "cpu"};
    words.insert(words.end(), flag.begin(), flag.end());
    test::expect_error(world.run(words), {flag[0] + ": is a matter of CUDA devices", "is cpu"});
  }
}

TEST_CASE("a GPU without enough memory: bytes, and the batch that fits") {
  if (!kernels::cuda_is_emulated) return;
  const World& world = World::get();
  const std::string small = "export VERACE_SIMT_MEMORY=3000000";
  const auto before = world.listing();
  const Finished refused = world.run_in_shell(small, train("small"));
  test::expect_error(refused, {"--batch 8: needs ", " MB on the GPU, 3.0 MB are available, ",
                               " bytes (", " are missing: use --batch "});
  CHECK(world.listing() == before);
  const std::string batch = refused.err.substr(refused.err.find("use --batch ") + 12, 1);
  good(world.run_in_shell(small, train("small", {"--max-steps", "1", "--batch", batch})));
  const std::string smaller = "export VERACE_SIMT_MEMORY=1000000";
  test::expect_error(world.run_in_shell(smaller, {"eval", "--model", whole_run(), "--data",
                                                  world / "data", "--device", "cuda", "--quiet"}),
                     {"--batch 64: needs ", "on the GPU", "use --batch "});
  test::expect_error(world.run_in_shell("export VERACE_SIMT_MEMORY=1500000",
                                        {"attack", "fgsm", "--model", whole_run(), "--data",
                                         world / "data", "--device", "cuda", "--quiet", "--epsilon",
                                         "0.02", "--out", world / "no-attack"}),
                     {"--batch 32: needs ", "on the GPU", "bytes", "use --batch "});
  test::expect_error(world.run_in_shell("export VERACE_SIMT_MEMORY=200000",
                                        {"predict", "--model", whole_run(), world / "data/test",
                                         "--device", "cuda", "--quiet"}),
                     {"not enough memory on the GPU", "bytes"});
}

TEST_CASE("a device that is lost: one line, exit code 1, and the run goes on from its checkpoint") {
  if (!kernels::cuda_is_emulated) return;
  const World& world = World::get();
  good(world.run(train("lost", {"--max-steps", "4"})));
  const std::string last = world / "lost/last.safetensors";
  const std::string stored = test::read_text(last);
  for (const char* fault : {"cudaGraphLaunch:1", "simt::launch:300"}) {
    INFO(std::string(fault));
    const Finished lost = world.run_in_shell(std::string("export VERACE_SIMT_LOSE=") + fault,
                                             {"train", "--resume", world / "lost", "--quiet"});
    INFO(lost.err);
    CHECK(lost.code == 1);
    CHECK(std::count(lost.err.begin(), lost.err.end(), '\n') == 1);
    CHECK(lost.err.starts_with("verace: epoch 2, after step "));
    CHECK(contains(lost.err, "uncorrectable ECC error encountered (cudaErrorECCUncorrectable)"));
    CHECK(contains(lost.err, "holds the state of epoch 2, after step 1: go on with --resume"));
    CHECK((test::read_text(last) == stored));
  }
  good(world.run({"train", "--resume", world / "lost", "--quiet"}));
  check_same_run(world / "lost");
}

}  // namespace
}  // namespace verace::device_test
