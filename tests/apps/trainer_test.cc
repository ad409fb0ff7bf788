// Whole training runs on a tiny drawn dataset: what they leave behind, resuming in every bit,
// frozen parts, signals, refusals.
#include "apps/lib/trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/lib/checkpoint.h"
#include "apps/lib/signals.h"
#include "apps/lib/trainer_batches.h"
#include "apps/lib/trainer_memory.h"
#include "apps/lib/trainer_recalibrate.h"
#include "apps/lib/trainer_setup.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

TrainOptions tiny_run(const std::string& out, bool with_val = false) {
  TrainOptions o;
  o.data = tiny_dataset(with_val);
  o.out = out;
  o.overrides.variant = engine::Variant::kV1;
  o.stem_channels = 4;
  o.input_size = 32;
  o.head_hidden = 6;
  o.head_slope = 0.05;
  o.epochs = 2;
  o.batch = 5;  // 22 pictures: 4 batches of 5 and one of 2
  o.learning_rate = 1e-3;
  o.flip = true;
  o.seed = 7;
  o.threads = 1;
  o.quiet = true;
  o.workers = 1;
  o.initialisation = layers::Initialisation::kPyTorch;
  return o;
}

std::string trained(const TrainOptions& options) {
  std::ostringstream out;
  train(options, out);
  return out.str();
}

TEST_CASE("a run leaves configuration, metrics, curve and weights") {
  const TempFolder folder;
  std::ostringstream report;
  const TrainResult result = train(tiny_run(folder / "run", true), report);
  CHECK(result.finished);
  CHECK(result.signal == 0);
  CHECK(result.global_step == 10);
  REQUIRE(result.history.size() == 2);
  CHECK(result.history[0].val.has_value());
  for (const char* part : {"device: cpu, 1 threads", "data: train 11 real, 11 fake", "frozen: 0 of",
                           "plan: batch 5", "by balanced accuracy on val", "epoch 2/2 | train loss",
                           "waiting for pictures", "best so far"}) {
    CHECK_MESSAGE(contains(report.str(), part), part);
  }
  TrainOptions recorded;
  read_config(read_text(folder / "run/config.toml"), "config.toml", recorded);
  CHECK(recorded.seed == 7);
  std::istringstream lines(read_text(folder / "run/metrics.jsonl"));
  int64_t epoch = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    CHECK(json.at("epoch") == ++epoch);
    for (const char* key :
         {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "test_auc",
          "val_balanced_accuracy", "images_per_second", "loader_wait_share"}) {
      CHECK_MESSAGE(json.at(key).is_number(), key);
    }
  }
  CHECK(epoch == 2);
  CHECK(contains(read_text(folder / "run/curve.svg"), "</svg>"));
  CHECK(load_model(folder / "run/best.safetensors").classifier->options().head_hidden == 6);
  CHECK(load_model(folder / "run/last.safetensors").classifier->options().input_size == 32);
  CHECK(contains(input_error([&] { trained(tiny_run(folder / "run")); }), "already holds a run"));
}

TEST_CASE("equal seeds give equal bits, other seeds do not") {
  const TempFolder folder;
  TrainOptions options = tiny_run(folder / "a");
  trained(options);
  options.out = folder / "b";
  options.workers = 0;  // the loader's threads have no say
  trained(options);
  CHECK(first_difference(folder / "a/last.safetensors", folder / "b/last.safetensors") == "");
  options.out = folder / "c";
  options.seed = 8;
  trained(options);
  test::expect_caught(
      "another seed",
      first_difference(folder / "a/last.safetensors", folder / "c/last.safetensors").empty());
}

// Runs that are stopped after `steps` and resumed, once or again and again.
void check_resume(const TempFolder& folder, const std::string& whole, int64_t steps) {
  CAPTURE(steps);
  TrainOptions part = tiny_run(folder / ("part" + std::to_string(steps)));
  part.max_steps = steps;
  const std::string last = part.out.string() + "/last.safetensors";
  CHECK(contains(trained(part), "go on with --resume"));
  TrainResult result;
  for (int i = 0; i < 12 && !result.finished; ++i) {
    TrainOptions resume;  // everything else comes from the checkpoint
    resume.resume = last;
    resume.quiet = true;
    resume.max_steps = steps;
    std::ostringstream out;
    result = train(resume, out);
  }
  CHECK(result.finished);
  CHECK(result.global_step == 10);
  CHECK(first_difference(whole + "/last.safetensors", last) == "");
  CHECK(first_difference(whole + "/best.safetensors", part.out.string() + "/best.safetensors") ==
        "");
  // The numbers of the epochs too; only times may differ.
  const auto a = read_checkpoint(whole + "/last.safetensors").state;
  const auto b = read_checkpoint(last).state;
  REQUIRE(a.history.size() == b.history.size());
  for (size_t i = 0; i < a.history.size(); ++i) {
    CHECK(a.history[i].train_loss == b.history[i].train_loss);
    CHECK(a.history[i].train_accuracy == b.history[i].train_accuracy);
    CHECK(a.history[i].test->loss == b.history[i].test->loss);
    CHECK(a.history[i].test->auc == b.history[i].test->auc);
  }
}

TEST_CASE("a stopped and resumed run ends in the same bits") {
  const TempFolder folder;
  trained(tiny_run(folder / "whole"));
  const weights::SafetensorsFile file(folder / "whole/last.safetensors");
  CHECK(file.find("optimizer.v.layer3.2.conv2.weight") != nullptr);
  CHECK(file.find("layer3.2.bn2.running_var") != nullptr);
  check_resume(folder, folder / "whole", 2);  // inside of an epoch, several times
  check_resume(folder, folder / "whole", 5);  // after the last step of an epoch
  check_resume(folder, folder / "whole", 7);  // in the second epoch

  TrainOptions resume;
  resume.resume = folder / "whole/last.safetensors";
  resume.quiet = true;
  CHECK(contains(input_error([&] { trained(resume); }), "--epochs"));
  resume.resume_epochs = 3;
  resume.threads = 2;
  resume.max_steps = 1;
  const std::string report = trained(resume);
  CHECK(contains(report, "2 threads instead of 1"));
  CHECK(contains(report, "stopped in epoch 3 after step 1"));
}

TEST_CASE("resuming needs all of the checkpoint") {
  const TempFolder folder;
  trained(tiny_run(folder / "whole"));
  TrainOptions part = tiny_run(folder / "part");
  part.max_steps = 4;
  trained(part);
  const std::string last = folder / "part/last.safetensors";
  const std::string untouched = read_text(last);
  const auto resumed_differs = [&](auto damage) {
    weights::write_file_atomically(last, untouched);
    LoadedModel model = load_model(last);
    optim::Adam adam(model.classifier->table(), {});
    load_moments(last, adam);
    Checkpoint checkpoint = read_checkpoint(last);
    damage(*model.classifier, adam, checkpoint);
    save_checkpoint(last, *model.classifier, adam, checkpoint);
    TrainOptions resume;
    resume.resume = last;
    resume.quiet = true;
    trained(resume);
    return !first_difference(folder / "whole/last.safetensors", last).empty();
  };
  CHECK_FALSE(resumed_differs([](auto&, auto&, auto&) {}));
  test::expect_caught("second moment lost", !resumed_differs([](auto&, auto& adam, auto&) {
                        std::ranges::fill(adam.moments().back().v.f32_span(), 0.0f);
                      }));
  test::expect_caught("optimiser's step lost",
                      !resumed_differs([](auto&, auto& adam, auto&) { adam.set_step(0); }));
  test::expect_caught("another place in the epoch", !resumed_differs([](auto&, auto&, auto& c) {
                        --c.state.step;
                        --c.state.global_step;
                      }));
  test::expect_caught("one bit of one weight", !resumed_differs([](auto& model, auto&, auto&) {
                        float& w =
                            *model.table().find("layer2.0.conv1")->parameter("weight").value.f32();
                        w = std::nextafter(w, 2.0f);
                      }));
}

TEST_CASE("fresh batch-norm statistics do not depend on the old ones") {
  const TempFolder folder;
  const auto statistics = [&](int64_t pictures, bool disturbed, const std::string& freeze) {
    TrainOptions options = tiny_run(folder / "run");
    options.recalibrate = pictures;
    options.freeze = freeze;
    std::ostringstream out;
    TrainingSetup setup = prepare_training(options, out);
    const auto stem = setup.model.classifier->table().find("bn1")->parameters.at(2).get();
    REQUIRE(stem->name == "bn1.running_mean");
    if (disturbed) std::ranges::fill(stem->value.f32_span(), 123.0f);
    const auto before = snapshot(*setup.model.classifier);
    recalibrate(setup, {});
    const auto after = snapshot(*setup.model.classifier);
    for (size_t i = 0; i < before.size(); ++i) {
      if (!contains(before[i].first, "running_")) CHECK(before[i].second == after[i].second);
    }
    return stem->value.f32()[0];
  };
  const float fresh = statistics(1024, false, "none");
  CHECK(fresh != 0.0f);
  CHECK(statistics(1024, true, "none") == fresh);
  CHECK(statistics(5, false, "none") != fresh);
  CHECK(statistics(0, false, "none") == 0.0f);
  CHECK(statistics(1024, false, "stages:0") == 0.0f);  // frozen
}

TEST_CASE("frozen parameters and statistics keep every byte") {
  const TempFolder folder;
  layers::Classifier start(narrow_network());
  start.initialise_all(layers::Initialisation::kPyTorch, 9);
  randomise(start, 9);
  save_model(folder / "start", start);
  for (const auto frozen_bn :
       {layers::FrozenBatchNorm::kInference, layers::FrozenBatchNorm::kBatch}) {
    TrainOptions o = tiny_run(folder / ("run" + to_text(frozen_bn)));
    o.weights = folder / "start";
    o.overrides = {};
    o.freeze = "keras:15";
    o.frozen_bn = frozen_bn;
    o.keep_head = true;
    o.head_hidden = 0;
    o.head_slope = 0;
    o.learning_rate = 1e-4;
    CHECK(contains(trained(o), "frozen: 8 of"));
    const LoadedModel end = load_model(o.out.string() + "/last.safetensors");
    const auto before = snapshot(start), after = snapshot(*end.classifier);
    int64_t moved = 0, kept = 0;
    size_t i = 0;
    for (const auto& layer : start.table().layers()) {
      const bool frozen = layer->keras_index >= 0 && layer->keras_index < 15;
      for (size_t p = 0; p < layer->parameters.size(); ++p, ++i) {
        const bool equal = same_bits(before[i].second, after[i].second);
        CHECK_MESSAGE(equal == frozen, before[i].first);
        (equal ? kept : moved) += 1;
      }
    }
    CHECK(kept == 5 + 3 * 4);  // five convolutions, three batch norms
    CHECK(moved > 200);
    const weights::SafetensorsFile file(o.out.string() + "/last.safetensors");
    CHECK(file.find("optimizer.m.conv1.weight") == nullptr);
  }
}

// Sends a signal when a text goes by.
class SignallingBuffer : public std::stringbuf {
 public:
  SignallingBuffer(std::string text, int number) : text_(std::move(text)), number_(number) {}
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    if (std::string(data, static_cast<size_t>(size)).find(text_) != std::string::npos) {
      std::raise(number_);
    }
    return std::stringbuf::xsputn(data, size);
  }

 private:
  std::string text_;
  int number_;
};

TEST_CASE("a signal ends the run resumably") {
  const TempFolder folder;
  trained(tiny_run(folder / "whole"));
  for (const std::string moment : {"best epoch:", "epoch 1/2"}) {
    const std::string name = moment == "epoch 1/2" ? "late" : "early";
    SignallingBuffer buffer(moment, SIGTERM);
    std::ostream out(&buffer);
    const TrainResult result = train(tiny_run(folder / name), out);
    CHECK_FALSE(result.finished);
    CHECK(result.signal == SIGTERM);
    CHECK(contains(buffer.str(), "stopped in epoch"));
    TrainOptions resume;
    resume.resume = folder / (name + "/last.safetensors");
    resume.quiet = true;
    trained(resume);
    CHECK(first_difference(folder / "whole/last.safetensors", resume.resume) == "");
  }
}

TEST_CASE("the guard sets the flag once and restores the handlers") {
  struct sigaction before = {}, after = {};
  sigaction(SIGINT, nullptr, &before);
  {
    const SignalGuard guard;
    CHECK(stop_signal() == 0);
    std::raise(SIGINT);
    CHECK(stop_signal() == SIGINT);
    struct sigaction now = {};
    sigaction(SIGINT, nullptr, &now);
    const bool is_default = now.sa_handler == SIG_DFL;
    CHECK(is_default);  // a second signal would end the process
  }
  sigaction(SIGINT, nullptr, &after);
  const bool restored = after.sa_handler == before.sa_handler;
  CHECK(restored);
  set_stop_signal(0);
}

TEST_CASE("a lone last picture joins the batch before it") {
  const auto dataset = data::load_dataset(tiny_dataset());
  const auto samples = data::select_split(dataset, data::Split::kTrain, "tiny");
  const auto sizes = [&](int64_t batch, bool join) {
    data::LoaderOptions options;
    options.batch_size = batch;
    options.fit.size = 32;
    data::Loader loader(samples, options);
    loader.start_epoch(0);
    BatchReader reader(loader, join);
    std::vector<size_t> all;
    std::vector<int64_t> seen;
    data::Batch b;
    while (reader.next(b)) {
      all.push_back(b.labels.size());
      CHECK(b.pixels.size() == b.labels.size() * 32 * 32 * 3);
      CHECK(b.flip.size() == b.labels.size());
      seen.insert(seen.end(), b.sample_index.begin(), b.sample_index.end());
    }
    CHECK(seen.size() == 22);
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    return all;
  };
  using Sizes = std::vector<size_t>;
  CHECK(sizes(7, true) == Sizes{7, 7, 8});
  CHECK(sizes(7, false) == Sizes{7, 7, 7, 1});
  CHECK(sizes(5, true) == Sizes{5, 5, 5, 5, 2});
  CHECK(sizes(11, true) == Sizes{11, 11});
  CHECK(sizes(21, true) == Sizes{22});
  CHECK(sizes(30, true) == Sizes{22});
  CHECK(largest_batch(22, 7, true) == 8);
  CHECK(largest_batch(22, 7, false) == 7);
  CHECK(largest_batch(22, 30, true) == 22);
}

TEST_CASE("a run that does not fit is refused with the batch that would") {
  const TempFolder folder;
  TrainOptions options = tiny_run(folder / "run");
  options.batch = 20;
  std::ostringstream out;
  TrainingSetup setup = prepare_training(options, out);
  const MemoryPlan plan = plan_memory(setup, 0, out);
  CHECK(plan.batch == 20);
  CHECK(plan.operations > 300);
  CHECK(plan.gradients * 2 == plan.adam);
  CHECK(plan.total() > plan.arena);
  CHECK_NOTHROW(plan_memory(setup, plan.total(), out));
  const int64_t available = plan.total() - plan.arena / 2;
  const std::string message = input_error([&] { plan_memory(setup, available, out); });
  CHECK_MESSAGE(contains(message, "--batch 20: needs"), message);
  const size_t at = message.find("use --batch ");
  REQUIRE_MESSAGE(at != std::string::npos, message);
  const int64_t fitting = std::stoll(message.substr(at + 12));
  CHECK(fitting >= 7);
  CHECK(fitting < 20);
  options.batch = fitting;
  TrainingSetup smaller = prepare_training(options, out);
  CHECK_NOTHROW(plan_memory(smaller, available, out));
  CHECK(contains(input_error([&] { plan_memory(setup, 1000, out); }), "not even --batch 1"));
  CHECK(available_memory() > 0);
}

TEST_CASE("a loss that is not finite ends the run with its place") {
  const TempFolder folder;
  TrainOptions options = tiny_run(folder / "run");
  options.learning_rate = 1e30;
  const std::string message = input_error([&] { trained(options); });
  CHECK_MESSAGE(contains(message, "epoch 1, step "), message);
  CHECK(contains(message, "not finite"));
}

TEST_CASE("what cannot be trained is refused") {
  const TempFolder folder;
  const auto error = [&](auto change) {
    TrainOptions options = tiny_run(folder / "run");
    change(options);
    return input_error([&] { trained(options); });
  };
  CHECK(contains(error([](auto& o) { o.freeze = "name:fc.2"; }), "nothing to train"));
  CHECK(contains(error([](auto& o) { o.batch = 1; }), "--batch"));
  CHECK(contains(error([](auto& o) { o.data = "nowhere"; }), "nowhere"));
  CHECK(contains(error([](auto& o) { o.class_weights = "x"; }), "--class-weights"));
  CHECK(contains(error([](auto& o) { o.resume = "nowhere"; }), "nowhere"));
  layers::Classifier classifier(narrow_network());
  save_model(folder / "model", classifier);
  CHECK(contains(error([&](auto& o) { o.resume = folder / "model"; }), "no state of training"));
  CHECK_FALSE(std::filesystem::exists(folder / "run/metrics.jsonl"));
}

TEST_CASE("a checkpoint is a model file and refuses what does not fit") {
  const TempFolder folder;
  TrainOptions options = tiny_run(folder / "run");
  options.max_steps = 3;
  trained(options);
  const std::string last = folder / "run/last.safetensors";
  const Checkpoint checkpoint = read_checkpoint(last);
  CHECK(checkpoint.state.step == 3);
  CHECK(checkpoint.state.epoch_samples == 15);
  CHECK(checkpoint.recipe.freeze == "none");
  LoadedModel model = load_model(last);
  optim::Adam adam(model.classifier->table(), {});
  load_moments(last, adam);
  CHECK(adam.step() == 3);
  save_checkpoint(folder / "again", *model.classifier, adam, checkpoint);
  CHECK(first_difference(last, folder / "again") == "");
  // A layer that is frozen now has no moments any more.
  model.classifier->table().find("conv1")->trainable = false;
  optim::Adam fewer(model.classifier->table(), {});
  CHECK(contains(input_error([&] { load_moments(last, fewer); }), "--freeze"));
  layers::Classifier wider(narrow_network(7));
  optim::Adam other(wider.table(), {});
  CHECK(contains(input_error([&] { load_moments(last, other); }), "shape"));
}

}  // namespace
}  // namespace verace::apps
