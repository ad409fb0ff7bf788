// The engine's gradients of the whole network, and the exact function beside them.
#include "apps/lib/gradcheck/network_cases.h"

#include <algorithm>

#include "apps/lib/gradcheck/exact_network.h"
#include "apps/lib/teaching_network.h"
#include "engine/rng.h"
#include "kernels/check.h"
#include "optim/freeze.h"

namespace verace::apps {
namespace {

using layers::FrozenBatchNorm;

// 53 layers in sequence round forward and backward, and each batch norm of a batch subtracts means
// that depend on all of it; measured with 42 seeds: at most 9.9e-4 (the bias of fc.2),
// without batch statistics 1.5e-5. The smallest planted fault is an error of 5e-2.
constexpr double kBatchTolerance = 4e-3, kInferenceTolerance = 1e-4;
constexpr int64_t kFaces = 4;

const char* name_of(NetworkCase which) {
  switch (which) {
    case NetworkCase::kTraining:
      return "training";
    case NetworkCase::kFrozen:
      return "keras:15 frozen";
    case NetworkCase::kFrozenBatch:
      return "keras:15 frozen, batch statistics";
    case NetworkCase::kInference:
      return "inference";
  }
  return "";
}

// Not all batch norms alike: an engine that forgets a gamma of 1 would pass.
void vary_batch_norms(engine::LayerTable& table, uint64_t seed) {
  uint64_t stream = 0;
  for (const auto& layer : table.layers()) {
    if (layer->kind != engine::LayerKind::kBatchNorm) continue;
    const engine::Philox random(seed, ++stream);
    const auto gamma = layer->parameter("weight").value.f32_span();
    const auto beta = layer->parameter("bias").value.f32_span();
    for (size_t i = 0; i < gamma.size(); ++i) {
      gamma[i] = 0.7F + 0.6F * random.uniform(2 * i);
      beta[i] = -0.2F + 0.4F * random.uniform(2 * i + 1);
    }
  }
}

std::unique_ptr<layers::Classifier> make_network(const CheckContext& context, NetworkCase which) {
  layers::ClassifierOptions options = checked_network();
  if (which == NetworkCase::kFrozen) options.backbone.variant = engine::Variant::kV1;
  if (which == NetworkCase::kInference) options.input_scale = engine::InputScale::kCaffe;
  auto network = std::make_unique<layers::Classifier>(options);
  network->initialise_all(layers::Initialisation::kPyTorch, context.seed);
  vary_batch_norms(network->table(), context.seed);
  // On the host's plain loops: the same network for every device that is checked.
  take_statistics(*network, context.seed, kernels::make_exec(kernels::DeviceKind::kReference, 1));
  const bool frozen = which == NetworkCase::kFrozen || which == NetworkCase::kFrozenBatch;
  optim::freeze(network->table(), frozen ? "keras:15" : "none");
  if (which == NetworkCase::kInference) {
    for (const auto& layer : network->table().layers()) layer->trainable = false;
  }
  return network;
}

// All gradients as canaries, the frozen ones' too.
void prepare_gradients(engine::LayerTable& table) {
  for (engine::Parameter* parameter : table.parameters()) {
    if (parameter->statistic) continue;
    if (parameter->gradient.empty()) {
      parameter->gradient = engine::Tensor(parameter->name + " gradient", engine::DType::kF32,
                                           parameter->value.shape());
    }
    fill_with_canaries(parameter->gradient);
  }
}

struct Planned {
  engine::Step step;
  engine::Value pictures, labels, dx;  // dx absent in training
};

Planned plan(layers::Classifier& network, const CheckContext& context, NetworkCase which) {
  const auto arena = std::make_shared<engine::Arena>();
  if (which == NetworkCase::kInference) {
    layers::GradientStep t = network.plan_gradient(context.exec, arena, kFaces);
    return {std::move(t.step), t.pictures, t.labels, t.dx};
  }
  layers::TrainingOptions options;
  options.from_unit = true;
  options.build.frozen_batch_norm =
      which == NetworkCase::kFrozenBatch ? FrozenBatchNorm::kBatch : FrozenBatchNorm::kInference;
  layers::TrainingStep t = network.plan_training(context.exec, arena, kFaces, options);
  return {std::move(t.step), t.pictures, t.labels, {}};
}

// Names of the batch norms that use the batch's statistics.
std::set<std::string> batch_norms_of_batch(const engine::LayerTable& table, NetworkCase which) {
  std::set<std::string> names;
  for (const auto& layer : table.layers()) {
    if (layer->kind != engine::LayerKind::kBatchNorm) continue;
    if (layer->trainable || which == NetworkCase::kFrozenBatch) names.insert(layer->name);
  }
  return names;
}

void add_function(Subject& subject, const layers::Classifier& network, NetworkCase which,
                  const std::vector<int32_t>& labels) {
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < subject.quantities.size(); ++i) {
    const Quantity& q = subject.quantities[i];
    index[q.layer == "input" ? q.tensor : q.layer + "." + q.tensor] = i;
  }
  const std::set<std::string> batch = batch_norms_of_batch(network.table(), which);
  const exact::Network exact(network.options(), kFaces,
                             [batch](const std::string& bn) { return batch.contains(bn); });
  const double divisor = which == NetworkCase::kInference ? 1.0 : static_cast<double>(kFaces);
  subject.function = [exact, index, labels, divisor](const Point& point,
                                                     exact::Decisions& decisions) {
    const auto at = [&](const std::string& name) -> const exact::Values& {
      return point[index.at(name)];
    };
    return exact::cross_entropy_sum(exact.logits(at, decisions), labels, {}) / divisor;
  };
}

// Signs of the inputs of all ReLUs, in the order of the network, from the outputs of a running
// step.
void note_signs(const engine::Step& step, const engine::Operation& operation,
                const engine::StepMemory& memory, std::vector<bool>& signs) {
  for (const engine::Value v : operation.writes) {
    const std::string& name = step.info(v).name;
    const bool unit = name.ends_with(" output") && name.find("conv") != std::string::npos;
    if (!unit && !name.ends_with(" activation")) continue;
    const int64_t count = engine::element_count(step.info(v).shape);
    for (int64_t i = 0; i < count; ++i) signs.push_back(memory.f32(v)[i] > 0);
  }
}

struct Attempt {
  Subject subject;
  int64_t other_signs = 0;   // ReLUs that are open in one precision only
  double nearest_rival = 0;  // of the pooling's winners
};

int64_t count_differences(const std::vector<bool>& a, const std::vector<bool>& b) {
  VERACE_CHECK(a.size() == b.size() && !a.empty(), "ReLUs of engine and exact network");
  int64_t count = 0;
  for (size_t i = 0; i < a.size(); ++i) count += a[i] != b[i];
  return count;
}

// A network with its step, which takes one drawing of faces after the other.
class NetworkOfCase {
 public:
  NetworkOfCase(const CheckContext& context, NetworkCase which)
      : context_(context),
        which_(which),
        network_(make_network(context, which)),
        planned_(plan(*network_, context, which)) {}

  Attempt attempt(uint64_t faces_seed);

 private:
  std::vector<bool> run(const LabelledPictures& faces);  // the signs

  CheckContext context_;
  NetworkCase which_;
  std::unique_ptr<layers::Classifier> network_;
  Planned planned_;
};

std::vector<bool> NetworkOfCase::run(const LabelledPictures& faces) {
  prepare_gradients(network_->table());
  const engine::Step& step = planned_.step;
  const engine::StepMemory memory = step.memory();
  std::ranges::copy(faces.unit, memory.f32(planned_.pictures));
  std::ranges::copy(faces.labels, memory.i32(planned_.labels));
  FaultInjector injector(context_.fault, step, network_->table(),
                         which_ != NetworkCase::kInference);
  injector.before(memory);
  std::vector<bool> signs;
  step.run(nullptr, [&](const engine::Operation& operation, const engine::StepMemory& m) {
    injector.after(operation, m);
    note_signs(step, operation, m, signs);
  });
  if (context_.planted != nullptr) *context_.planted |= injector.planted();
  return signs;
}

Attempt NetworkOfCase::attempt(uint64_t faces_seed) {
  const int64_t size = network_->options().input_size;
  const LabelledPictures faces = draw_labelled_faces(faces_seed, size, kFaces);
  const std::vector<bool> signs = run(faces);
  Subject subject;
  subject.name = name_of(which_);
  subject.group = "network";
  subject.tolerance = which_ == NetworkCase::kInference ? kInferenceTolerance : kBatchTolerance;
  subject.quantities.push_back({"input", "pictures", {kFaces, size, size, 3}, Wanted::kConstant});
  subject.point.emplace_back(faces.unit.begin(), faces.unit.end());
  if (planned_.dx.id >= 0) {
    Quantity& pictures = subject.quantities.front();
    pictures.wanted = Wanted::kChecked;
    pictures.weight = 20;  // the only tensor of this check, and the largest
    const float* dx = planned_.step.memory().f32(planned_.dx);
    pictures.gradient.assign(dx, dx + faces.unit.size());
  }
  // The step has moved running statistics: those that neither it nor the function reads.
  add_parameters(subject, network_->table());
  add_function(subject, *network_, which_, faces.labels);
  exact::Decisions decisions;
  subject.function(subject.point, decisions);
  return {std::move(subject), count_differences(signs, decisions.open_relus()),
          decisions.nearest_rival()};
}

}  // namespace

layers::ClassifierOptions checked_network() {
  layers::ClassifierOptions options = teaching_options();
  options.input_size = 48;
  return options;
}

Subject check_network(const CheckContext& context, NetworkCase which) {
  // One attempt in four disagrees (62 of 233 measured).
  constexpr uint64_t kMostAttempts = 64, kApart = 1000003;  // seeds of faces
  constexpr int64_t kRounding = 20;                         // of 114 000 ReLUs
  constexpr double kNear = 1e-5;                            // of the pooling's winners
  NetworkOfCase network(context, which);
  for (uint64_t i = 0;; ++i) {
    Attempt a = network.attempt(context.seed + i * kApart);
    const bool agrees = a.other_signs == 0 && a.nearest_rival > kNear;
    if (agrees || a.other_signs > kRounding || i + 1 == kMostAttempts) return std::move(a.subject);
  }
}

}  // namespace verace::apps
