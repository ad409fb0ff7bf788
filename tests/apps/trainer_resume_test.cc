// Training that stops and goes on: resuming in every bit, signals, what a checkpoint must hold.
#include "apps/lib/trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <sstream>

#include "apps/lib/checkpoint.h"
#include "apps/lib/signals.h"
#include "tests/apps/training_support.h"
#include "tests/support/faults.h"
#include "weights/atomic_file.h"

namespace verace::apps::trainer_resume_test {
namespace {

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
  const weights::WeightFile file(folder / "whole/last.safetensors");
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

// Rewrites a checkpoint as if its run had been trained on `device`.
void record_device(const std::string& path, const engine::DeviceChoice& device) {
  Checkpoint checkpoint = read_checkpoint(path);
  TrainOptions options;
  read_config(checkpoint.recipe.config, path, options);
  options.device = device;
  checkpoint.recipe.config = config_text(options);
  const LoadedModel model = load_model(path);
  optim::Adam adam(model.classifier->table(), {});
  load_moments(path, adam);
  save_checkpoint(path, *model.classifier, adam, checkpoint);
}

TEST_CASE("a run goes on where it was, or on the device that is named") {
  const TempFolder folder;
  TrainOptions part = tiny_run(folder / "part");
  part.max_steps = 1;
  trained(part);
  TrainOptions resume;
  resume.resume = folder / "part/last.safetensors";
  resume.quiet = true;
  resume.max_steps = 1;
  CHECK(contains(trained(resume), "device: cpu, 1 threads"));
  record_device(resume.resume.string(), {kernels::DeviceKind::kCuda, 77});
  const std::string before = read_text(resume.resume.string());
  const std::string error = input_error([&] { trained(resume); });
  CHECK(contains(error, "last.safetensors: its device (--device names another) cuda:77: "));
  CHECK(read_text(resume.resume.string()) == before);
  resume.resume_device = engine::DeviceChoice{kernels::DeviceKind::kReference, 0};
  const std::string report = trained(resume);
  CHECK(contains(report, "resume: reference instead of cuda:77: the numbers will differ"));
  CHECK(contains(report, "device: reference, 1 threads"));
  // It is that run's device from now on.
  resume.resume_device.reset();
  CHECK(contains(trained(resume), "device: reference, 1 threads"));
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
}  // namespace verace::apps::trainer_resume_test
