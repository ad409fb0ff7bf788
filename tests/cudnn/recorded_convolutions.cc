// Plans a network's steps with convolutions that only write down what was asked for.
#include "tests/cudnn/recorded_convolutions.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/memory.h"
#include "kernels/conv2d.h"
#include "layers/classifier.h"
#include "optim/freeze.h"

namespace verace::test {
namespace {

using kernels::cudnn::ConvPass;

std::vector<RecordedConvolution>& record() {
  static std::vector<RecordedConvolution> the_record;
  return the_record;
}

}  // namespace
}  // namespace verace::test

// In place of kernels/reference/conv2d.cc, which the linker then leaves in its library.
namespace verace::kernels::reference {
namespace {

void write_down(test::ConvPass pass, const ConvGeometry& g, ConvPostOps post = {}) {
  validate(g);
  test::record().push_back({pass, g, post, {}});
}

// No step runs, but preparations do: they pack weights.
template <typename Base, typename Args>
class NoPlan : public Base {
 public:
  int64_t scratch_bytes() const override { return 0; }
  void run(const Args&) const override { VERACE_CHECK(false, "only planned"); }
  const char* implementation() const override { return "recorded"; }
};
template <typename Base, typename Args>
class NoPackedPlan final : public NoPlan<Base, Args> {
 public:
  int64_t packed_count() const override { return 1; }
  void pack(const float*, float*) const override {}
};

}  // namespace

std::unique_ptr<ConvForward> plan_conv_forward(const Exec&, const ConvGeometry& g,
                                               ConvPostOps post) {
  write_down(test::ConvPass::kForward, g, post);
  return std::make_unique<NoPackedPlan<ConvForward, ConvForwardArgs>>();
}
std::unique_ptr<ConvBackwardData> plan_conv_backward_data(const Exec&, const ConvGeometry& g) {
  write_down(test::ConvPass::kBackwardData, g);
  return std::make_unique<NoPackedPlan<ConvBackwardData, ConvBackwardDataArgs>>();
}
std::unique_ptr<ConvBackwardFilter> plan_conv_backward_filter(const Exec&, const ConvGeometry& g) {
  write_down(test::ConvPass::kBackwardFilter, g);
  return std::make_unique<NoPlan<ConvBackwardFilter, ConvBackwardFilterArgs>>();
}

}  // namespace verace::kernels::reference

namespace verace::test {
namespace {

// Thrown where a training step would be placed in memory: all its convolutions are known by then.
struct Appended {};

class Recorder {
 public:
  explicit Recorder(const NetworkShape& shape) : classifier_(options(shape)) {}

  std::vector<RecordedStep> steps() {
    const auto arena = std::make_shared<engine::Arena>();
    add("inference", [&] { classifier_.plan_inference(exec_, arena, 1); });
    add("attack", [&] { classifier_.plan_gradient(exec_, arena, 1); });
    for (const std::string& form : freeze_forms()) {
      optim::freeze(classifier_.table(), form);
      for (const auto frozen :
           {layers::FrozenBatchNorm::kInference, layers::FrozenBatchNorm::kBatch}) {
        const std::string suffix =
            " --freeze " + form +
            (frozen == layers::FrozenBatchNorm::kBatch ? " --frozen-bn batch" : "");
        add("training" + suffix, [&] { training(arena, frozen); });
        if (form == "none" || form.starts_with("stages")) {
          add("recalibration" + suffix,
              [&] { classifier_.plan_recalibration(exec_, arena, 1, frozen); });
        }
      }
    }
    return std::move(steps_);
  }

 private:
  static layers::ClassifierOptions options(const NetworkShape& shape) {
    layers::ClassifierOptions o;
    o.backbone.variant = shape.variant;
    o.backbone.stem_channels = shape.stem_channels;
    o.input_size = shape.input_size;
    return o;
  }

  // Each form, at every length that freezes another set of layers.
  std::vector<std::string> freeze_forms() const {
    std::vector<std::string> forms = {"none", "backbone"};
    for (int i = 0; i <= 4; ++i) forms.push_back("stages:" + std::to_string(i));
    for (int i = 0; i <= 16; ++i) forms.push_back("blocks:" + std::to_string(i));
    for (int i = 0; i <= 175; ++i) forms.push_back("keras:" + std::to_string(i));
    for (const auto& layer : classifier_.table().layers()) forms.push_back("name:" + layer->name);
    return forms;
  }

  void training(const std::shared_ptr<engine::Arena>& arena, layers::FrozenBatchNorm frozen) {
    layers::TrainingOptions o;
    o.build.frozen_batch_norm = frozen;
    o.append_update = [](engine::StepBuilder&) { throw Appended{}; };
    try {
      classifier_.plan_training(exec_, arena, 1, o);
    } catch (const Appended&) {
      return;
    }
    VERACE_CHECK(false, "the step was planned without its update");
  }

  template <typename Plan>
  void add(const std::string& name, const Plan& plan) {
    record().clear();
    plan();
    RecordedStep step{name, std::exchange(record(), {})};
    for (RecordedConvolution& c : step.convolutions) c.steps = {name};
    steps_.push_back(std::move(step));
  }

  kernels::Exec exec_{kernels::DeviceKind::kReference, 1};
  layers::Classifier classifier_;
  std::vector<RecordedStep> steps_;
};

}  // namespace

std::vector<RecordedStep> recorded_steps(const NetworkShape& shape) {
  return Recorder(shape).steps();
}

std::vector<RecordedConvolution> distinct(const std::vector<RecordedStep>& steps) {
  std::vector<RecordedConvolution> result;
  for (const RecordedStep& step : steps) {
    for (const RecordedConvolution& c : step.convolutions) {
      const auto found = std::ranges::find_if(result, [&](const RecordedConvolution& other) {
        return other.pass == c.pass && other.g == c.g && other.post == c.post;
      });
      if (found == result.end()) {
        result.push_back(c);
      } else if (found->steps.back() != step.name) {
        found->steps.push_back(step.name);
      }
    }
  }
  return result;
}

}  // namespace verace::test
