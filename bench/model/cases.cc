// Planning the cases and filling their inputs.
#include "bench/model/cases.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <numeric>

#include "apps/lib/model_file.h"
#include "engine/transfer.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/gemm.h"
#include "kernels/perturb.h"
#include "optim/freeze.h"

namespace verace::bench {
namespace {

constexpr int64_t kPictures = 16;        // in the file of pixels; larger batches repeat them
constexpr int64_t kMostPictures = 4096;  // of one step
constexpr float kEpsilon = 0.01f;

std::unique_ptr<layers::Classifier> make_classifier(const WorldOptions& o) {
  if (!o.model_file.empty()) return apps::load_model(o.model_file).classifier;
  layers::ClassifierOptions options;
  options.backbone.stem_channels = o.stem_channels;
  options.input_size = o.input_size;
  options.head_hidden = 3000;
  options.head_slope = 0.05;
  return apps::make_model(options, layers::Initialisation::kPyTorch, 1).classifier;
}

std::vector<uint8_t> make_pixels(const std::string& file, int64_t size) {
  std::vector<uint8_t> pixels(static_cast<size_t>(kPictures * size * size * 3));
  if (file.empty()) {
    for (size_t i = 0; i < pixels.size(); ++i) {
      pixels[i] = static_cast<uint8_t>((i * 2654435761u) >> 13);
    }
    return pixels;
  }
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
  if (!stream || stream.peek() != std::ifstream::traits_type::eof()) {
    fail_input(text::format("{}: must hold exactly {} bytes of pixels", file, pixels.size()));
  }
  return pixels;
}

kernels::Exec exec_of(const WorldOptions& o, const engine::Device& device) {
  kernels::Exec exec = engine::with_precision(device.exec(), o.precision, "--precision");
  exec.convolutions = o.convolutions;
  return exec;
}

Case make_sgemm(World& world) {
  constexpr int64_t kSize = 2048;
  constexpr int64_t kCount = kSize * kSize;
  const kernels::Exec& exec = world.exec;
  const std::shared_ptr<kernels::GemmPlan> plan =
      kernels::plan_gemm(exec, {.m = kSize, .n = kSize, .k = kSize});
  const auto memory = engine::memory_of(exec);
  const auto matrices = std::make_shared<engine::Tensor>("matrices", engine::DType::kF32,
                                                         engine::Shape{3, kCount}, memory);
  const auto scratch = std::make_shared<engine::Buffer>(plan->scratch_bytes(), memory);
  engine::write(*matrices, std::vector<float>(3 * kCount, 0.5f));
  Case c;
  c.flops = 2 * kSize * kCount;
  c.after = [plan, matrices, scratch] {
    float* a = matrices->f32();
    plan->run({.a = a, .b = a + kCount, .c = a + 2 * kCount, .scratch = scratch->data()});
  };
  c.result = [matrices] { return std::vector<float>{engine::read(*matrices).back()}; };
  return c;
}

// Labels 0, 1, 0, 1 ...
void fill_labels(const engine::Step& step, engine::Value labels) {
  std::vector<int32_t> values(static_cast<size_t>(engine::element_count(step.info(labels).shape)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i % 2);
  step.write(labels, std::span<const int32_t>(values));
}

// The first pictures of the world, from the start again where a batch is larger.
void fill_pictures(const World& world, const engine::Step& step, engine::Value pictures) {
  const engine::ValueInfo& info = step.info(pictures);
  std::vector<uint8_t> batch(static_cast<size_t>(engine::element_count(info.shape)));
  for (size_t i = 0; i < batch.size(); ++i) batch[i] = world.pixels[i % world.pixels.size()];
  if (info.dtype == engine::DType::kU8)
    return step.write(pictures, std::span<const uint8_t>(batch));
  std::vector<float> unit(batch.size());
  std::ranges::transform(batch, unit.begin(),
                         [](uint8_t pixel) { return static_cast<float>(pixel) / 255.0f; });
  step.write(pictures, std::span<const float>(unit));
}

template <typename Planned>
Case start(const World& world, Planned& planned, int64_t n) {
  Case c;
  c.step = std::make_shared<engine::Step>(std::move(planned.step));
  fill_pictures(world, *c.step, planned.pictures);
  c.flops = c.step->summary().flops;
  c.pictures = n;
  return c;
}

Case make_inference(World& world, int64_t n) {
  auto planned = world.classifier->plan_inference(world.exec, world.arena, n);
  Case c = start(world, planned, n);
  c.result = [step = c.step, value = planned.logits] { return step->read_f32(value); };
  return c;
}

Case make_training(World& world, const std::string& freeze, int64_t n) {
  engine::LayerTable& table = world.classifier->table();
  optim::freeze(table, freeze);
  // PyTorch's Adam: what the other engines compute by default or can be told to.
  optim::AdamOptions adam{.placement = kernels::AdamEpsilon::kPyTorch, .epsilon = 1e-8};
  if (engine::needs_loss_scale(world.options.precision)) adam.loss_scale.emplace();
  world.adam = std::make_unique<optim::Adam>(table, adam);
  layers::TrainingOptions options;
  options.gradient_scale = world.adam->gradient_scale();
  options.append_update = [&world](engine::StepBuilder& b, engine::Value) {
    world.adam->append_update(b);
  };
  auto planned = world.classifier->plan_training(world.exec, world.arena, n, options);
  Case c = start(world, planned, n);
  const std::vector<uint8_t> straight(static_cast<size_t>(n), 0);
  c.step->write(planned.flip, std::span<const uint8_t>(straight));
  fill_labels(*c.step, planned.labels);
  for (const engine::Parameter* p : table.trainable_parameters()) c.trained += p->value.count();
  c.result = [step = c.step, value = planned.loss, n] {
    const std::vector<float> loss = step->read_f32(value);
    return std::vector<float>{std::accumulate(loss.begin(), loss.end(), 0.0f) /
                              static_cast<float>(n)};
  };
  return c;
}

Case make_fgsm(World& world, int64_t n) {
  auto planned = world.classifier->plan_gradient(world.exec, world.arena, n);
  Case c = start(world, planned, n);
  fill_labels(*c.step, planned.labels);
  const auto attacked = std::make_shared<engine::Tensor>("attacked", engine::DType::kF32,
                                                         c.step->info(planned.pictures).shape,
                                                         engine::memory_of(world.exec));
  c.after = [&world, step = c.step, attacked, x = planned.pictures, dx = planned.dx] {
    kernels::fgsm_step(world.exec, {.count = attacked->count(),
                                    .x = step->memory().f32(x),
                                    .gradient = step->memory().f32(dx),
                                    .epsilon = kEpsilon,
                                    .adversarial = attacked->f32()});
  };
  c.result = [attacked] { return engine::read(*attacked); };
  return c;
}

}  // namespace

std::vector<engine::Precision> precisions(const engine::DeviceChoice& device) {
  using engine::Precision;
  if (device.kind != kernels::DeviceKind::kCuda) return {Precision::kFp32};
  return {Precision::kFp16, Precision::kBf16, Precision::kTf32, Precision::kFp32};
}

World::World(const WorldOptions& given)
    : options(given),
      device(given.device, given.threads),
      exec(exec_of(given, device)),
      classifier(make_classifier(given)),
      pixels(make_pixels(given.pixel_file, classifier->options().input_size)) {
  classifier->set_precision(options.precision);
  classifier->table().move_to(engine::memory_of(exec));
}

void Case::run() const {
  if (step) step->run();
  if (after) after();
}

void Case::run_eagerly() const {
  if (step) {
    for (const engine::Operation& operation : step->operations()) operation.run(step->memory());
  }
  if (after) after();
}

CaseName parse_case(const std::string& name) {
  static const std::map<std::string, std::string> freezes = {
      {"_none", "none"}, {"_keras15", "keras:15"}, {"_stages3", "stages:3"}};
  CaseName parsed;
  if (name == "sgemm") return {name, 0, ""};
  for (const char* kind : {"infer", "train", "fgsm"}) {
    if (!name.starts_with(kind)) continue;
    const char* begin = name.data() + std::string(kind).size();
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(begin, end, parsed.n);
    const std::string suffix(rest, end);
    const auto freeze = freezes.find(suffix);
    const bool training = std::string(kind) == "train";
    if (error != std::errc() || parsed.n < 1 || parsed.n > kMostPictures) break;
    if (training ? freeze == freezes.end() : !suffix.empty()) break;
    return {kind, parsed.n, training ? freeze->second : ""};
  }
  fail_input(
      text::format("--case {}: use inferN, trainN_none, trainN_keras15, trainN_stages3 or "
                   "fgsmN, with N pictures, 1 to {}; or sgemm",
                   name, kMostPictures));
}

Case make_case(World& world, const CaseName& name) {
  if (name.kind == "sgemm") return make_sgemm(world);
  if (name.kind == "infer") return make_inference(world, name.n);
  if (name.kind == "fgsm") return make_fgsm(world, name.n);
  return make_training(world, name.freeze, name.n);
}

}  // namespace verace::bench
