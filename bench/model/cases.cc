// Planning the cases and filling their inputs.
#include "bench/model/cases.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>

#include "apps/lib/model_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/gemm.h"
#include "kernels/perturb.h"
#include "optim/freeze.h"

namespace verace::bench {
namespace {

constexpr int64_t kMostPictures = 16;
constexpr float kEpsilon = 0.01f;

std::unique_ptr<layers::Classifier> make_classifier(const std::string& file) {
  if (!file.empty()) return apps::load_model(file).classifier;
  layers::ClassifierOptions options;
  options.head_hidden = 3000;
  options.head_slope = 0.05;
  return apps::make_model(options, layers::Initialisation::kPyTorch, 1).classifier;
}

std::vector<uint8_t> make_pixels(const std::string& file, int64_t size) {
  std::vector<uint8_t> pixels(static_cast<size_t>(kMostPictures * size * size * 3));
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

Case make_sgemm(World& world) {
  constexpr int64_t kSize = 2048;
  auto matrices = std::make_shared<std::vector<float>>(3 * kSize * kSize, 0.5f);
  Case c;
  c.flops = 2 * kSize * kSize * kSize;
  const std::shared_ptr<kernels::GemmPlan> plan =
      kernels::plan_gemm(world.exec, {.m = kSize, .n = kSize, .k = kSize});
  c.run = [plan, matrices] {
    float* a = matrices->data();
    plan->run({.a = a, .b = a + kSize * kSize, .c = a + 2 * kSize * kSize});
  };
  c.result = [matrices] { return std::vector<float>{matrices->back()}; };
  return c;
}

// Labels 0, 1, 0, 1 ...
void fill_labels(const engine::Step& step, engine::Value labels, int64_t n) {
  for (int64_t i = 0; i < n; ++i) step.memory().i32(labels)[i] = static_cast<int32_t>(i % 2);
}

template <typename Planned>
Case start(World& world, Planned& planned, int64_t n) {
  Case c;
  c.step = std::make_shared<engine::Step>(std::move(planned.step));
  const engine::Step& step = *c.step;
  const engine::ValueInfo& info = step.info(planned.pictures);
  std::byte* bytes = step.memory().bytes(planned.pictures);
  for (int64_t i = 0; i < engine::element_count(info.shape); ++i) {
    const uint8_t pixel = world.pixels[static_cast<size_t>(i)];
    if (info.dtype == engine::DType::kF32) {
      reinterpret_cast<float*>(bytes)[i] = static_cast<float>(pixel) / 255.0f;
    } else {
      bytes[i] = std::byte{pixel};
    }
  }
  c.flops = step.summary().flops;
  c.pictures = n;
  c.run = [step = c.step] { step->run(); };
  return c;
}

Case make_inference(World& world, int64_t n) {
  auto planned = world.classifier->plan_inference(world.exec, world.arena, n);
  Case c = start(world, planned, n);
  c.result = [step = c.step, value = planned.logits] {
    const float* logits = step->memory().f32(value);
    return std::vector<float>(logits, logits + engine::element_count(step->info(value).shape));
  };
  return c;
}

Case make_training(World& world, const std::string& freeze, int64_t n) {
  engine::LayerTable& table = world.classifier->table();
  optim::freeze(table, freeze);
  table.allocate_gradients();
  // PyTorch's Adam: what the other engines compute by default or can be told to.
  world.adam = std::make_unique<optim::Adam>(
      table, optim::AdamOptions{.placement = kernels::AdamEpsilon::kPyTorch, .epsilon = 1e-8});
  layers::TrainingOptions options;
  options.append_update = [&world](engine::StepBuilder& b, engine::Value) {
    world.adam->append_update(b);
  };
  auto planned = world.classifier->plan_training(world.exec, world.arena, n, options);
  Case c = start(world, planned, n);
  fill_labels(*c.step, planned.labels, n);
  for (const engine::Parameter* p : table.trainable_parameters()) c.trained += p->value.count();
  c.result = [step = c.step, value = planned.loss, n] {
    const float* loss = step->memory().f32(value);
    return std::vector<float>{std::accumulate(loss, loss + n, 0.0f) / static_cast<float>(n)};
  };
  return c;
}

Case make_fgsm(World& world, int64_t n) {
  auto planned = world.classifier->plan_gradient(world.exec, world.arena, n);
  Case c = start(world, planned, n);
  fill_labels(*c.step, planned.labels, n);
  const int64_t count = engine::element_count(c.step->info(planned.pictures).shape);
  auto attacked = std::make_shared<std::vector<float>>(static_cast<size_t>(count));
  c.run = [&world, step = c.step, attacked, count, x = planned.pictures, dx = planned.dx] {
    step->run();
    kernels::fgsm_step(world.exec, {.count = count,
                                    .x = step->memory().f32(x),
                                    .gradient = step->memory().f32(dx),
                                    .epsilon = kEpsilon,
                                    .adversarial = attacked->data()});
  };
  c.result = [attacked] { return *attacked; };
  return c;
}

using Maker = std::function<Case(World&)>;
const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> table = {
      {"sgemm", make_sgemm},
      {"infer1", [](World& w) { return make_inference(w, 1); }},
      {"infer16", [](World& w) { return make_inference(w, 16); }},
      {"train16_none", [](World& w) { return make_training(w, "none", 16); }},
      {"train16_keras15", [](World& w) { return make_training(w, "keras:15", 16); }},
      {"train16_stages3", [](World& w) { return make_training(w, "stages:3", 16); }},
      {"fgsm16", [](World& w) { return make_fgsm(w, 16); }},
  };
  return table;
}

}  // namespace

World::World(int threads, const std::string& model_file, const std::string& pixel_file)
    : exec(kernels::make_exec(kernels::DeviceKind::kCpu, threads)),
      classifier(make_classifier(model_file)),
      pixels(make_pixels(pixel_file, classifier->options().input_size)) {}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& [name, maker] : makers()) names.push_back(name);
  return names;
}

Case make_case(World& world, const std::string& name) { return makers().at(name)(world); }

}  // namespace verace::bench
