// Training runs with 16-bit activations: what they record, how they go on, where they are refused;
// and attacks whose gradient fp16 does not hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "apps/lib/checkpoint.h"
#include "apps/lib/run_record.h"
#include "apps/lib/session.h"
#include "apps/lib/trainer.h"
#include "kernels/format.h"
#include "tests/apps/training_support.h"
#include "tests/support/device_memory.h"
#include "tests/support/faults.h"

namespace verace::apps::trainer_precision_test {
namespace {

using engine::Precision;

TrainOptions tiny_run_in(Precision precision, const std::string& out) {
  TrainOptions o = tiny_run(out);
  o.device = {kernels::DeviceKind::kCuda, 0};
  o.precision = precision;
  // Batch norm over five pictures of one place each makes gradients that no fp16 holds.
  o.input_size = 64;
  o.batch = 11;
  o.epochs = 4;
  return o;
}

kernels::LossScaleState loss_scale_in(const std::string& path) {
  const LoadedModel model = load_model(path);
  optim::Adam adam(model.classifier->table(), {.loss_scale = kernels::LossScaleRule{}});
  load_moments(path, adam);
  return adam.loss_scale();
}

TEST_CASE("host devices refuse every precision but fp32, before anything is written") {
  const TempFolder folder;
  for (const auto p : {Precision::kTf32, Precision::kFp16, Precision::kBf16}) {
    for (const auto kind : {kernels::DeviceKind::kCpu, kernels::DeviceKind::kReference}) {
      TrainOptions o = tiny_run(folder / "new");
      o.device = {kind, 0};
      o.precision = p;
      const std::string error = input_error([&] { trained(o); });
      CHECK(error == text::format("--precision {}: device {} computes in fp32 only: use fp32, or "
                                  "--device cuda",
                                  engine::to_string(p), kernels::to_string(kind)));
    }
  }
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
  CHECK(contains(input_error([] { engine::parse_precision("fp8", "--precision"); }),
                 "--precision: 'fp8' is not a precision: use fp32, tf32, fp16 or bf16"));
}

TEST_CASE("a run in fp16 records its precision and loss scale, and goes on in the same bits") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  const std::string whole = folder / "whole", part = folder / "part";
  const std::string report = trained(tiny_run_in(Precision::kFp16, whole));
  CHECK(contains(report, ", fp16, steps as CUDA graphs"));
  CHECK(contains(report, " | loss scale "));
  CHECK(contains(read_text(whole + "/config.toml"), "precision = 'fp16'"));
  CHECK(read_run_record(read_text(whole + "/run.json"), "run.json").precision == "fp16");
  const TrainingState state = read_checkpoint(whole + "/last.safetensors").state;
  const kernels::LossScaleState scale = loss_scale_in(whole + "/last.safetensors");
  REQUIRE(state.history.size() == 4);
  int64_t skipped = 0;
  for (const EpochMetrics& epoch : state.history) skipped += epoch.skipped_steps.value();
  CHECK(skipped == scale.skipped);
  CHECK(state.history[3].loss_scale.value() == scale.scale);
  CHECK(scale.scale == std::ldexp(65536.0f, -static_cast<int>(skipped)));
  CHECK(skipped > 0);
  CHECK(scale.good_steps > 0);

  TrainOptions stopped = tiny_run_in(Precision::kFp16, part);
  stopped.max_steps = 3;
  trained(stopped);
  TrainOptions resume;
  resume.resume = part + "/last.safetensors";
  resume.quiet = true;
  // What holds the state of a device is refused where there is none.
  resume.resume_device = engine::DeviceChoice{};
  CHECK(contains(input_error([&] { trained(resume); }),
                 "last.safetensors: its precision fp16: device cpu computes in fp32 only"));
  resume.resume_device.reset();
  CHECK(contains(trained(resume), ", fp16, steps as CUDA graphs"));
  CHECK(first_difference(whole + "/last.safetensors", part + "/last.safetensors") == "");
  const kernels::LossScaleState resumed = loss_scale_in(part + "/last.safetensors");
  CHECK(resumed.scale == scale.scale);
  CHECK(resumed.good_steps == scale.good_steps);
  CHECK(resumed.skipped == scale.skipped);
  const TrainingState after = read_checkpoint(part + "/last.safetensors").state;
  for (size_t i = 0; i < 4; ++i) {
    CHECK(after.history[i].train_loss == state.history[i].train_loss);
    CHECK(after.history[i].skipped_steps == state.history[i].skipped_steps);
  }
}

TEST_CASE("a checkpoint without the loss scale that it needs is refused") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "run");
  o.max_steps = 1;
  trained(o);
  CHECK(contains(input_error([&] { loss_scale_in(folder / "run/last.safetensors"); }),
                 "last.safetensors: the optimiser's step cannot be read"));
}

TEST_CASE("a run in bf16 or tf32 has no loss scale") {
  if (!test::cuda_is_present()) return;
  const TempFolder folder;
  for (const auto p : {Precision::kBf16, Precision::kTf32}) {
    TrainOptions o = tiny_run_in(p, folder / std::string(engine::to_string(p)));
    o.epochs = 1;
    const std::string report = trained(o);
    CHECK(contains(report, text::format(", {}, steps as CUDA graphs", engine::to_string(p))));
    CHECK(report.find("loss scale") == std::string::npos);
    CHECK(read_text(o.out.string() + "/metrics.jsonl").find("loss_scale") == std::string::npos);
  }
}

TEST_CASE("an attack in fp16 names the picture whose gradient is too large or too small for it") {
  if (!test::cuda_is_present()) return;
  const engine::Device device({kernels::DeviceKind::kCuda, 0}, 1);
  const auto attack = [&](float weights, Precision precision) {
    layers::Classifier classifier(narrow_network());
    classifier.initialise_all(layers::Initialisation::kPyTorch, 3);
    for (float& v : classifier.table().find("fc.2")->parameter("weight").value.f32_span()) {
      v *= weights;
    }
    classifier.table().move_to(engine::MemoryKind::kDevice);
    classifier.set_precision(precision);
    GradientSession session(classifier, device.exec(), std::make_shared<engine::Arena>());
    std::vector<float> pictures(2 * 32 * 32 * 3), logits(4), gradient(pictures.size());
    for (size_t i = 0; i < pictures.size(); ++i) pictures[i] = static_cast<float>(i % 97) / 97.0f;
    session.gradient(pictures, std::vector<int32_t>{0, 0}, logits, gradient);
    CHECK(std::ranges::count(gradient, 0.0f) < 3072);
  };
  attack(1.0f, Precision::kFp16);
  CHECK(contains(input_error([&] { attack(1e8f, Precision::kFp16); }),
                 "--precision fp16: the gradient of picture "));
  CHECK(contains(input_error([&] { attack(1e-10f, Precision::kFp16); }),
                 "--precision fp16: the gradient of picture 1 is too small for it: use bf16"));
  attack(1e-10f, Precision::kBf16);
}

}  // namespace
}  // namespace verace::apps::trainer_precision_test
