// Small layers, and their exact counterparts.
#include "apps/lib/gradcheck/layer_cases.h"

#include <optional>

#include "kernels/image.h"
#include "kernels/softmax_cross_entropy.h"
#include "layers/conv_bn.h"
#include "layers/dense.h"
#include "layers/pool.h"

namespace verace::apps {
namespace {

using engine::Value;
using exact::Decisions;
using exact::Values;
using kernels::Nhwc;
using layers::BuildOptions;
using layers::FrozenBatchNorm;

// fp32: about sqrt(L) roundings of 6e-8 for sums of L terms, and cancellation where they differ in
// sign; measured on these cases with 50 seeds: at most 2.2e-6.
constexpr double kTolerance = 1e-5;

constexpr double kEpsilon = 1e-5;  // of batch norms

Subject with_tolerance(Subject subject) {
  subject.tolerance = kTolerance;
  return subject;
}

layers::ConvBnSpec spec_of(const std::string& prefix, int64_t in, int64_t out, int64_t kernel,
                           int64_t stride) {
  layers::ConvBnSpec spec;
  spec.conv_name = prefix + "conv";
  spec.bn_name = prefix + "bn";
  spec.in_channels = in;
  spec.out_channels = out;
  spec.kernel = kernel;
  spec.stride = stride;
  spec.pad = kernel / 2;
  return spec;
}

kernels::ConvGeometry geometry_of(const layers::ConvBnSpec& s, const Nhwc& x) {
  return {x, s.out_channels, s.kernel, s.kernel, s.stride, s.stride, s.pad, s.pad};
}

// Batch norm of z by the parameters of layer `bn`.
Values normalised(const Named& at, const std::string& bn, const Values& z, bool batch) {
  const auto c = static_cast<int64_t>(at[bn + ".weight"].size());
  const exact::Statistics s =
      batch ? exact::statistics(z, c)
            : exact::Statistics{at[bn + ".running_mean"], at[bn + ".running_var"]};
  return exact::batch_norm(z, s, at[bn + ".weight"], at[bn + ".bias"], kEpsilon);
}

// One convolution with its batch norm.
struct Unit {
  std::string name, group;
  Nhwc x;
  layers::ConvBnSpec spec;
  bool train_conv = true, train_bn = false;
  FrozenBatchNorm frozen = FrozenBatchNorm::kInference;
  bool shortcut = false, relu = false;

  bool batch_statistics() const { return train_bn || frozen == FrozenBatchNorm::kBatch; }
};

Subject check_unit(const CheckContext& context, const Unit& u) {
  Workbench bench(context);
  const layers::ConvBn unit(bench.table(), u.spec, {.epsilon = kEpsilon});
  bench.table().find("conv")->trainable = u.train_conv;
  bench.table().find("bn")->trainable = u.train_bn;
  bench.draw_parameters();
  const kernels::ConvGeometry g = geometry_of(u.spec, u.x);
  layers::ConvBnInputs in{
      .x = bench.input("x", {u.x.n, u.x.h, u.x.w, u.x.c}), .shortcut = {}, .relu = u.relu};
  if (u.shortcut) in.shortcut = bench.input("shortcut", {u.x.n, g.p(), g.q(), g.k});
  const BuildOptions options{.training = true, .frozen_batch_norm = u.frozen};
  const Value y = unit.append(bench.builder(), options, in);
  return with_tolerance(
      bench.run(u.name, u.group, y, [u, g](const Named& at, Decisions& decisions) {
        const Values z = exact::conv2d(g, at["x"], at["conv.weight"]);
        Values result = normalised(at, "bn", z, u.batch_statistics());
        if (u.shortcut) result = exact::add(result, at["shortcut"]);
        return u.relu ? exact::leaky_relu(result, 0, decisions) : result;
      }));
}

// A bottleneck's essence: y = relu(bn(conv(a)) + x), a = relu(bn(conv(x))); x forks.
Subject check_residual(const CheckContext& context) {
  const Nhwc shape{3, 4, 5, 4};
  const layers::ConvBnSpec first = spec_of("first.", 4, 3, 1, 1),
                           second = spec_of("second.", 3, 4, 3, 1);
  Workbench bench(context);
  const layers::ConvBn one(bench.table(), first, {.epsilon = kEpsilon});
  const layers::ConvBn two(bench.table(), second, {.epsilon = kEpsilon});
  bench.draw_parameters();
  const BuildOptions options{.training = true};
  const Value x = bench.input("x", {shape.n, shape.h, shape.w, shape.c});
  const Value a = one.append(bench.builder(), options, {.x = x, .shortcut = {}, .relu = true});
  const Value y = two.append(bench.builder(), options, {.x = a, .shortcut = x, .relu = true});
  return with_tolerance(bench.run(
      "block with shortcut", "residual", y,
      [shape, first, second](const Named& at, Decisions& decisions) {
        Values v = exact::conv2d(geometry_of(first, shape), at["x"], at["first.conv.weight"]);
        v = exact::leaky_relu(normalised(at, "first.bn", v, true), 0, decisions);
        const Nhwc middle{shape.n, shape.h, shape.w, 3};
        v = exact::conv2d(geometry_of(second, middle), v, at["second.conv.weight"]);
        v = exact::add(normalised(at, "second.bn", v, true), at["x"]);
        return exact::leaky_relu(v, 0, decisions);
      }));
}

struct DenseCase {
  std::string name, group;
  std::optional<float> slope;
  bool trainable = true;
};

Subject check_dense(const CheckContext& context, const DenseCase& c) {
  constexpr int64_t kRows = 5, kIn = 12, kOut = 7;
  Workbench bench(context);
  const layers::Dense layer(bench.table(), "dense", kIn, kOut);
  bench.table().find("dense")->trainable = c.trainable;
  bench.draw_parameters();
  const Value x = bench.input("x", {kRows, kIn});
  const Value y = layer.append(bench.builder(), {.training = true}, x, c.slope);
  return with_tolerance(
      bench.run(c.name, c.group, y, [slope = c.slope](const Named& at, Decisions& decisions) {
        const Values z = exact::dense(kRows, at["x"], at["dense.weight"], at["dense.bias"]);
        return slope ? exact::leaky_relu(z, static_cast<double>(*slope), decisions) : z;
      }));
}

Subject check_max_pool(const CheckContext& context, engine::PoolMode mode) {
  const bool ceil = mode == engine::PoolMode::kCeil;
  const int64_t pad = ceil ? 0 : 1;
  const kernels::PoolGeometry g{{2, 6, 9, 3}, 3, 3, 2, 2, pad, pad, ceil};
  Workbench bench(context);
  const Value x = bench.input("x", {g.x.n, g.x.h, g.x.w, g.x.c});
  const Value y = layers::append_max_pool(bench.builder(), x, mode);
  return with_tolerance(bench.run(ceil ? "3x3 stride 2, ceil mode" : "3x3 stride 2, padded",
                                  "max_pool", y, [g](const Named& at, Decisions& decisions) {
                                    return exact::max_pool(g, at["x"], decisions);
                                  }));
}

Subject check_average_pool(const CheckContext& context) {
  const Nhwc shape{2, 3, 4, 5};
  Workbench bench(context);
  const Value x = bench.input("x", {shape.n, shape.h, shape.w, shape.c});
  const Value y = layers::append_global_average_pool(bench.builder(), x);
  return with_tolerance(bench.run(
      "mean of height and width", "average_pool", y,
      [shape](const Named& at, Decisions&) { return exact::average_pool(shape, at["x"]); }));
}

Subject check_loss(const CheckContext& context, bool weighted) {
  static const std::vector<int32_t> kLabels = {0, 2, 1, 2, 0, 2};
  static const std::vector<float> kWeights = {0.5F, 1.0F, 2.5F};
  const auto n = static_cast<int64_t>(kLabels.size());
  Workbench bench(context);
  const Value x = bench.input("logits", {n, 3});
  const Value dx = bench.builder().temporary("dlogits", engine::DType::kF32, {n, 3});
  bench.builder().add_gradient(x, dx);
  bench.builder().add({"loss",
                       "softmax cross-entropy",
                       {x},
                       {dx},
                       0,
                       [exec = context.exec, n, x, dx, weighted](const engine::StepMemory& m) {
                         kernels::softmax_cross_entropy(
                             exec, {.n = n,
                                    .classes = 3,
                                    .logits = m.f32(x),
                                    .labels = kLabels.data(),
                                    .class_weight = weighted ? kWeights.data() : nullptr,
                                    .dlogits = m.f32(dx)});
                       }});
  return with_tolerance(bench.run_loss(
      weighted ? "mean, class weights" : "mean", "softmax_cross_entropy",
      [n, weighted](const Named& at, Decisions&) {
        const Values weights = weighted ? Values(kWeights.begin(), kWeights.end()) : Values();
        const double sum = exact::cross_entropy_sum(at["logits"], kLabels, weights);
        return Values{sum / static_cast<double>(n)};
      }));
}

Subject check_normalise(const CheckContext& context, engine::InputScale mode) {
  const Nhwc shape{2, 3, 4, 3};
  Workbench bench(context);
  engine::StepBuilder& b = bench.builder();
  const Value x = bench.input("pictures", {shape.n, shape.h, shape.w, shape.c});
  const Value z = b.temporary("z", engine::DType::kF32, b.info(x).shape);
  b.add({"normalise",
         "normalise",
         {x},
         {z},
         0,
         [exec = context.exec, shape, x, z, mode](const engine::StepMemory& m) {
           kernels::normalise(exec, {shape, m.f32(x), mode, m.f32(z)});
         }});
  b.on_backward([&b, exec = context.exec, shape, x, z, mode] {
    const Value dz = b.gradients(z).at(0);
    const Value dx = b.temporary("dx", engine::DType::kF32, b.info(x).shape);
    b.add({"normalise backward",
           "normalise",
           {dz},
           {dx},
           0,
           [exec, shape, dz, dx, mode](const engine::StepMemory& m) {
             kernels::normalise_backward(exec, {shape, m.f32(dz), mode, m.f32(dx)});
           }});
    b.add_gradient(x, dx);
  });
  return with_tolerance(bench.run(
      std::string(engine::to_string(mode)), "normalise", z,
      [mode](const Named& at, Decisions&) { return exact::normalise(at["pictures"], mode); }));
}

void add_units(std::vector<LayerCase>& cases) {
  const Nhwc odd{2, 7, 6, 3};
  const auto add = [&](const Unit& u) {
    cases.push_back({u.group, [u](const CheckContext& c) { return check_unit(c, u); }});
  };
  // Batch norms that are constants behind the convolution: what is checked is the convolution.
  add({"1x1", "conv", odd, spec_of("", 3, 4, 1, 1)});
  add({"3x3, pad 1", "conv", odd, spec_of("", 3, 4, 3, 1)});
  add({"3x3 stride 2, pad 1", "conv", odd, spec_of("", 3, 4, 3, 2)});
  add({"1x1 stride 2", "conv", odd, spec_of("", 3, 4, 1, 2)});
  add({"7x7 stride 2, pad 3", "conv", {2, 12, 9, 3}, spec_of("", 3, 4, 7, 2)});
  const layers::ConvBnSpec one = spec_of("", 3, 4, 1, 1);
  const auto batch = FrozenBatchNorm::kBatch, inference = FrozenBatchNorm::kInference;
  const std::string g = "batch_norm";
  add({"batch statistics", g, odd, one, true, true, inference});
  add({"batch statistics + shortcut + ReLU", g, odd, one, true, true, inference, true, true});
  add({"batch statistics, conv frozen", g, odd, one, false, true, inference, false, true});
  add({"frozen: running statistics", g, odd, one, true, false, inference, true, true});
  add({"frozen: batch statistics", g, odd, one, true, false, batch, true, true});
  add({"conv frozen too: folded", g, odd, one, false, false, inference, true, true});
  add({"conv frozen too: batch statistics", g, odd, one, false, false, batch, true, true});
}

}  // namespace

std::vector<LayerCase> layer_cases() {
  std::vector<LayerCase> cases;
  add_units(cases);
  const auto add = [&](const std::string& group, std::function<Subject(const CheckContext&)> make) {
    cases.push_back({group, std::move(make)});
  };
  add("residual", check_residual);
  for (const DenseCase& d :
       {DenseCase{"12 to 7", "dense", {}, true}, DenseCase{"frozen", "dense", {}, false},
        DenseCase{"dense + ReLU", "leaky_relu", 0.0F, true},
        DenseCase{"dense + slope 0.05", "leaky_relu", 0.05F, true}}) {
    add(d.group, [d](const CheckContext& c) { return check_dense(c, d); });
  }
  for (const engine::PoolMode mode : {engine::PoolMode::kPadded, engine::PoolMode::kCeil}) {
    add("max_pool", [mode](const CheckContext& c) { return check_max_pool(c, mode); });
  }
  add("average_pool", check_average_pool);
  for (const engine::InputScale mode :
       {engine::InputScale::kTorch, engine::InputScale::kCaffe, engine::InputScale::kTf,
        engine::InputScale::kUnit, engine::InputScale::kCaffeRounded}) {
    add("normalise", [mode](const CheckContext& c) { return check_normalise(c, mode); });
  }
  for (const bool weighted : {false, true}) {
    add("softmax_cross_entropy",
        [weighted](const CheckContext& c) { return check_loss(c, weighted); });
  }
  return cases;
}

}  // namespace verace::apps
