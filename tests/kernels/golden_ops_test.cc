// All operations that have one against goldens from PyTorch in float64 (tests/goldens/make_ops.py),
// and the FGSM step against Foolbox' own pictures, to the bit (make_foolbox.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/activation.h"
#include "kernels/adam.h"
#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "kernels/perturb.h"
#include "kernels/pool.h"
#include "kernels/reduce.h"
#include "kernels/softmax_cross_entropy.h"
#include "tests/support/compare.h"
#include "tests/support/cublas.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/tolerances.h"
#include "weights/weight_file.h"

namespace verace::test::golden_ops_test {
namespace {

using kernels::Exec;
using kernels::GradMode;
using kernels::Nhwc;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const weights::WeightFile& ops_file() {
  static const weights::WeightFile file(std::string(VERACE_GOLDENS) + "/ops.safetensors");
  return file;
}

// One case of the file, e.g. "conv/3x3_s1": its tensors and its parameters "key=value key=value".
// Faults are planted by reading it wrongly.
class Golden {
 public:
  explicit Golden(std::string name) : name_(std::move(name)) {
    const auto found = ops_file().metadata().find(name_);
    if (found == ops_file().metadata().end()) return;
    std::istringstream words(found->second);
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      if (equals != std::string::npos) {
        parameters_[word.substr(0, equals)] = word.substr(equals + 1);
      }
    }
  }
  const std::string& name() const { return name_; }

  std::vector<float> operator[](const std::string& tensor) const {
    std::vector<float> values = ops_file().read_f32(name_ + "/" + tensor);
    const auto changed = changes_.find(tensor);
    if (changed != changes_.end()) changed->second(values);
    return values;
  }
  bool has(const std::string& tensor) const { return ops_file().find(name_ + "/" + tensor); }
  std::vector<int64_t> shape(const std::string& tensor) const {
    return ops_file().at(name_ + "/" + tensor).shape;
  }
  Nhwc nhwc(const std::string& tensor) const {
    const std::vector<int64_t> s = shape(tensor);
    REQUIRE(s.size() == 4);
    return {s[0], s[1], s[2], s[3]};
  }
  std::string text(const std::string& key) const {
    REQUIRE_MESSAGE(parameters_.count(key) == 1, name_, " has no parameter ", key);
    return parameters_.at(key);
  }
  double number(const std::string& key) const { return std::stod(text(key)); }
  int64_t integer(const std::string& key) const { return std::stoll(text(key)); }

  Golden with(const std::string& key, const std::string& value) const {
    Golden copy = *this;
    copy.parameters_[key] = value;
    return copy;
  }
  Golden with_tensor(const std::string& tensor,
                     std::function<void(std::vector<float>&)> change) const {
    Golden copy = *this;
    copy.changes_[tensor] = std::move(change);
    return copy;
  }

 private:
  std::string name_;
  std::map<std::string, std::string> parameters_;
  std::map<std::string, std::function<void(std::vector<float>&)>> changes_;
};

// All cases of the file under `operation`; their number is part of what the test promises.
std::vector<Golden> cases(const std::string& operation, size_t expected) {
  std::set<std::string> names;
  for (const weights::TensorView& tensor : ops_file().tensors()) {
    const size_t end = tensor.name.rfind('/');
    if (tensor.name.rfind(operation + "/", 0) == 0) names.insert(tensor.name.substr(0, end));
  }
  CHECK_MESSAGE(names.size() == expected, operation, " has ", names.size(), " cases");
  return {names.begin(), names.end()};
}

double largest(std::span<const float> values) {
  double result = 0.0;
  for (const float v : values) result = std::max(result, static_cast<double>(std::abs(v)));
  return result;
}

// Gathers several comparisons into one result: the first that fails.
class Verdict {
 public:
  void add(const std::string& what, const Guarded<float>& got, const std::vector<float>& want,
           const Tolerance& tolerance, double zero_share = 0.0) {
    add(what, got.intact() ? compare(got.span(), want, tolerance, zero_share)
                           : detail::failed("wrote outside its output"));
  }
  void add(const std::string& what, const Comparison& result) {
    if (!result_.ok || result.ok) return;
    result_ = result;
    result_.message = what + ": " + result.message;
  }
  const Comparison& result() const { return result_; }

 private:
  Comparison result_{true, "everything within tolerance", 0.0};
};

using Check = std::function<Comparison(const Exec&, const Golden&)>;

void run_cases(const std::string& operation, size_t expected, const Check& check) {
  const std::vector<Golden> all = cases(operation, expected);
  for_each_device([&](const Exec& exec) {
    for (const Golden& golden : all) expect_ok(golden.name(), check(exec, golden));
  });
}

// The fault must be noticed on each device, and the untouched case pass.
void run_fault(const std::string& fault, const Check& check, const Golden& golden,
               const Golden& misread) {
  for_each_device([&](const Exec& exec) {
    expect_ok(golden.name(), check(exec, golden));
    expect_caught(fault, check(exec, misread));
  });
}

void negate(std::vector<float>& values) {
  for (float& v : values) v = -v;
}
void reverse(std::vector<float>& values) { std::reverse(values.begin(), values.end()); }
void scale_a_little(std::vector<float>& values) {
  for (float& v : values) v *= 1.001f;
}

kernels::ConvGeometry conv_geometry(const Golden& g) {
  const std::vector<int64_t> w = g.shape("w_ohwi");
  const int64_t stride = g.integer("stride"), pad = g.integer("pad");
  return {g.nhwc("x"), w[0], w[1], w[2], stride, stride, pad, pad};
}

Comparison check_conv(const Exec& exec, const Golden& g) {
  const kernels::ConvGeometry geometry = conv_geometry(g);
  const bool bias = g.integer("bias") != 0;
  const Guarded<float> x(g["x"]), w(g["w_ohwi"]), dy(g["dy"]);
  const Guarded<float> b(bias ? g["b"] : std::vector<float>{});
  Verdict verdict;
  REQUIRE(geometry.y() == g.nhwc("y"));
  const double size = largest(x.span()), filter = largest(w.span()), slope = largest(dy.span());

  const auto forward = kernels::plan_conv_forward(on_host(exec), geometry, {bias, false, false});
  Guarded<float> packed(forward->packed_count());
  Guarded<std::byte> scratch(forward->scratch_bytes());
  Guarded<float> y(geometry.y().count(), kNan);
  forward->pack(w.data(), packed.data());
  forward->run({x.data(), packed.data(), b.data(), nullptr, y.data(), scratch.data()});
  verdict.add("y", y, g["y"], tolerance(OpClass::kConvolution, geometry.fan_in(), size * filter));

  const auto backward = kernels::plan_conv_backward_data(on_host(exec), geometry);
  Guarded<float> packed_back(backward->packed_count());
  Guarded<std::byte> scratch_back(backward->scratch_bytes());
  Guarded<float> dx(geometry.x.count(), kNan);
  backward->pack(w.data(), packed_back.data());
  backward->run({dy.data(), packed_back.data(), dx.data(), scratch_back.data()});
  // A 1x1 filter of stride 2 never sees three quarters of its input.
  const double unseen = geometry.r < geometry.stride_h ? 0.8 : 0.0;
  verdict.add(
      "dx", dx, g["dx"],
      tolerance(OpClass::kConvolution, geometry.r * geometry.s * geometry.k, slope * filter),
      unseen);

  const auto filter_plan = kernels::plan_conv_backward_filter(on_host(exec), geometry);
  Guarded<std::byte> scratch_filter(filter_plan->scratch_bytes());
  Guarded<float> dw(geometry.filter_count(), kNan);
  filter_plan->run({x.data(), dy.data(), dw.data(), GradMode::kOverwrite, scratch_filter.data()});
  const int64_t rows = geometry.y().rows();
  verdict.add("dw", dw, g["dw_ohwi"], tolerance(OpClass::kConvolution, rows, slope * size));
  if (bias) {
    Guarded<float> db(geometry.k, kNan);
    Guarded<double> partial(kernels::bias_gradient_scratch(rows, geometry.k));
    kernels::bias_gradient(
        exec, {rows, geometry.k, dy.data(), db.data(), GradMode::kOverwrite, partial.data()});
    verdict.add("db", db, g["db"], tolerance(OpClass::kReduction, rows, slope));
  }
  for (const auto* s : {&scratch, &scratch_back, &scratch_filter}) {
    if (!s->intact()) verdict.add("scratch", detail::failed("overrun"));
  }
  if (!packed.intact() || !packed_back.intact()) verdict.add("packed", detail::failed("overrun"));
  return verdict.result();
}

TEST_CASE("goldens: convolution, both gradients and the bias gradient") {
  run_cases("conv", 13, check_conv);
  const Golden g("conv/3x3_s1_bias");
  run_fault("filter turned around", check_conv, g, g.with_tensor("w_ohwi", reverse));
  run_fault("filter in the order of PyTorch", check_conv, g,
            g.with_tensor("w_ohwi", [&](std::vector<float>& w) { w = g["w"]; }));
  run_fault("wrong bias", check_conv, g, g.with_tensor("b", reverse));
  run_fault("scaled gradient", check_conv, g, g.with_tensor("dy", scale_a_little));
}

// Backward pass of a batch norm whose forward pass used mean and inv_std.
void check_batch_norm_backward(const Exec& exec, const Golden& g, kernels::BatchNormMode mode,
                               const Guarded<float>& mean, const Guarded<float>& inv_std,
                               Verdict& verdict) {
  const Nhwc s = g.nhwc("x");
  const Guarded<float> x(g["x"]), dy(g["dy"]), gamma(g["gamma"]);
  Guarded<float> dx(s.count(), kNan), dgamma(s.c, kNan), dbeta(s.c, kNan);
  Guarded<float> scratch(kernels::batch_norm_backward_scratch(s.rows(), s.c));
  kernels::BatchNormBackward args;
  args.rows = s.rows(), args.c = s.c, args.mode = mode;
  args.dy = dy.data(), args.x = x.data(), args.mean = mean.data(), args.inv_std = inv_std.data();
  args.gamma = gamma.data(), args.dgamma = dgamma.data(), args.dbeta = dbeta.data();
  args.dx = dx.data(), args.scratch = scratch.data();
  kernels::batch_norm_backward(exec, args);
  // x - mean cancels: what x is in units of the deviation counts, not xhat.
  const double deviations = largest(x.span()) * largest(inv_std.span());
  const double slope = largest(dy.span()), factor = largest(gamma.span()) * largest(inv_std.span());
  const auto bound = [&](double m) { return tolerance(OpClass::kNormalisation, s.rows(), m); };
  verdict.add("dbeta", dbeta, g["dbeta"], tolerance(OpClass::kReduction, s.rows(), slope));
  verdict.add("dgamma", dgamma, g["dgamma"], bound(slope * deviations));
  verdict.add("dx", dx, g["dx"], bound(slope * factor));
  if (!scratch.intact()) verdict.add("scratch", detail::failed("overrun"));
}

Comparison check_batch_norm(const Exec& exec, const Golden& g) {
  const Nhwc s = g.nhwc("x");
  const Guarded<float> x(g["x"]), gamma(g["gamma"]), beta(g["beta"]);
  Guarded<float> mean(s.c, kNan), inv_std(s.c, kNan), y(s.count(), kNan);
  Guarded<float> running_mean(g["running_mean_before"]), running_var(g["running_var_before"]);
  kernels::BatchNormStatistics statistics;
  statistics.rows = s.rows(), statistics.c = s.c, statistics.x = x.data();
  statistics.epsilon = g.number("epsilon"), statistics.momentum = g.number("momentum");
  statistics.convention = g.integer("unbiased") != 0 ? kernels::RunningVariance::kUnbiased
                                                     : kernels::RunningVariance::kBiased;
  statistics.mean = mean.data(), statistics.inv_std = inv_std.data();
  statistics.running_mean = running_mean.data(), statistics.running_var = running_var.data();
  Guarded<float> partial(kernels::batch_norm_statistics_scratch(s.rows(), s.c));
  statistics.scratch = partial.data();
  kernels::batch_norm_statistics(exec, statistics);
  const double size = largest(x.span());
  const auto bound = [&](double m) { return tolerance(OpClass::kNormalisation, s.rows(), m); };
  Verdict verdict;
  verdict.add("mean", mean, g["mean"], bound(size));
  verdict.add("inv_std", inv_std, g["inverse_deviation"], bound(0.0));
  verdict.add("running_mean", running_mean, g["running_mean"], bound(size));
  verdict.add("running_var", running_var, g["running_var"], bound(0.0));

  kernels::batch_norm_apply(exec, {s.rows(), s.c, x.data(), mean.data(), inv_std.data(),
                                   gamma.data(), beta.data(), nullptr, false, y.data()});
  const double deviations = size * largest(inv_std.span());
  verdict.add("y", y, g["y"], bound(deviations * largest(gamma.span()) + largest(beta.span())));
  check_batch_norm_backward(exec, g, kernels::BatchNormMode::kBatchStatistics, mean, inv_std,
                            verdict);
  return verdict.result();
}

// Running statistics, and the same once more folded into a 1x1 filter of ones.
Comparison check_inference(const Exec& exec, const Golden& g) {
  const Nhwc s = g.nhwc("x");
  const Guarded<float> x(g["x"]), gamma(g["gamma"]), beta(g["beta"]);
  const Guarded<float> mean(g["running_mean"]), variance(g["running_var"]);
  const double epsilon = g.number("epsilon");
  Guarded<float> inv_std(s.c, kNan), y(s.count(), kNan), w(s.c, 1.0f), bias(s.c, kNan);
  kernels::inverse_std(exec, {s.c, variance.data(), epsilon, inv_std.data()});
  kernels::batch_norm_apply(exec, {s.rows(), s.c, x.data(), mean.data(), inv_std.data(),
                                   gamma.data(), beta.data(), nullptr, false, y.data()});
  const double size =
      largest(x.span()) * largest(inv_std.span()) * largest(gamma.span()) + largest(beta.span());
  const Tolerance bound = tolerance(OpClass::kNormalisation, 1, size);
  Verdict verdict;
  verdict.add("y", y, g["y"], bound);
  kernels::fold_batch_norm(exec, {s.c, 1, w.data(), gamma.data(), beta.data(), mean.data(),
                                  variance.data(), epsilon, w.data(), bias.data()});
  const std::span<float> folded = y.write();
  for (int64_t i = 0; i < s.count(); ++i) {
    folded[static_cast<size_t>(i)] = x[i] * w[i % s.c] + bias[i % s.c];
  }
  verdict.add("folded", y, g["y"], bound);
  check_batch_norm_backward(exec, g, kernels::BatchNormMode::kRunningStatistics, mean, inv_std,
                            verdict);
  return verdict.result();
}

TEST_CASE("goldens: batch norm with statistics of the batch and running ones") {
  // Six in the file; "inference" has no statistics of its own batch.
  const std::vector<Golden> all = cases("batch_norm", 6);
  for_each_device([&](const Exec& exec) {
    for (const Golden& g : all) {
      const bool inference = g.name() == "batch_norm/inference";
      expect_ok(g.name(), inference ? check_inference(exec, g) : check_batch_norm(exec, g));
    }
  });
  const Golden g("batch_norm/tf_keras");
  run_fault("epsilon of old Keras", check_batch_norm, g, g.with("epsilon", "1e-3"));
  run_fault("Keras' momentum taken for PyTorch's", check_batch_norm, g, g.with("momentum", "0.99"));
  run_fault("biased running variance", check_batch_norm, g, g.with("unbiased", "0"));
  run_fault("channels reversed", check_batch_norm, g, g.with_tensor("gamma", reverse));
  const Golden inference("batch_norm/inference");
  run_fault("another epsilon", check_inference, inference, inference.with("epsilon", "1e-3"));
  run_fault("sign of the mean", check_inference, inference,
            inference.with_tensor("running_mean", negate));
}

Comparison check_max_pool(const Exec& exec, const Golden& g) {
  const int64_t window = g.integer("window"), stride = g.integer("stride"), pad = g.integer("pad");
  kernels::PoolGeometry geometry{g.nhwc("x"), window, window, stride, stride, pad, pad};
  geometry.ceil_mode = g.integer("ceil") != 0;
  REQUIRE(geometry.y() == g.nhwc("y"));
  const Guarded<float> x(g["x"]), dy(g["dy"]);
  Guarded<float> y(geometry.y().count(), kNan), dx(geometry.x.count(), kNan);
  Guarded<uint8_t> winner(geometry.y().count());
  kernels::max_pool_forward(exec, {geometry, x.data(), y.data(), winner.data()});
  kernels::max_pool_backward(exec, {geometry, dy.data(), nullptr, winner.data(), dx.data()});
  Verdict verdict;
  verdict.add("y", y, g["y"], tolerance(OpClass::kExact, 1), 0.6);
  // Few inputs win: most of dx is zero, and at most nine windows meet in one element.
  verdict.add("dx", dx, g["dx"], tolerance(OpClass::kElementwise, 1, largest(dy.span())), 0.85);
  if (!winner.intact()) verdict.add("winner", detail::failed("overrun"));
  return verdict.result();
}

TEST_CASE("goldens: max pooling with padding, ceil mode and ties") {
  run_cases("max_pool", 8, check_max_pool);
  const Golden g("max_pool/padded_odd_ties");
  run_fault("picture turned around", check_max_pool, g, g.with_tensor("x", reverse));
  // Among equals another one wins: raise every later element by less than the values differ.
  run_fault("last of equals wins", check_max_pool, g, g.with_tensor("x", [](std::vector<float>& x) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += 1e-7f * static_cast<float>(i);
  }));
}

Comparison check_average_pool(const Exec& exec, const Golden& g) {
  const Nhwc s = g.nhwc("x");
  const Guarded<float> x(g["x"]), dy(g["dy"]);
  Guarded<float> y(s.n * s.c, kNan), dx(s.count(), kNan);
  kernels::global_average_pool_forward(exec, {s, x.data(), y.data()});
  kernels::global_average_pool_backward(exec, {s, dy.data(), dx.data()});
  Verdict verdict;
  verdict.add("y", y, g["y"], tolerance(OpClass::kElementwise, 1, 0.0));
  verdict.add("dx", dx, g["dx"], tolerance(OpClass::kElementwise, 1, 0.0));
  return verdict.result();
}

TEST_CASE("goldens: global average pooling") {
  run_cases("avg_pool", 1, check_average_pool);
  const Golden g("avg_pool/global");
  run_fault("turned around", check_average_pool, g, g.with_tensor("x", reverse));
  run_fault("scaled", check_average_pool, g, g.with_tensor("dy", scale_a_little));
}

Comparison check_leaky_relu(const Exec& exec, const Golden& g) {
  const Guarded<float> x(g["x"]), dy(g["dy"]);
  const auto count = static_cast<int64_t>(x.size());
  const auto slope = static_cast<float>(g.number("slope"));
  Guarded<float> y(count, kNan), dx(count, kNan);
  kernels::leaky_relu_forward(exec, {count, x.data(), slope, y.data()});
  kernels::leaky_relu_backward(exec, {count, y.data(), dy.data(), nullptr, slope, dx.data()});
  Verdict verdict;
  verdict.add("y", y, g["y"], tolerance(OpClass::kElementwise, 1, 0.0), 0.6);
  verdict.add("dx", dx, g["dx"], tolerance(OpClass::kElementwise, 1, 0.0), 0.6);
  return verdict.result();
}

Comparison check_add_relu(const Exec& exec, const Golden& g) {
  const Guarded<float> x(g["x"]), residual(g["residual"]), dy(g["dy"]);
  const auto count = static_cast<int64_t>(x.size());
  Guarded<float> y(count, kNan), dx(count, kNan);
  kernels::add(exec, {count, x.data(), residual.data(), true, y.data()});
  kernels::leaky_relu_backward(exec, {count, y.data(), dy.data(), nullptr, 0.0f, dx.data()});
  Verdict verdict;
  verdict.add("y", y, g["y"],
              tolerance(OpClass::kElementwise, 1, largest(x.span()) + largest(residual.span())),
              0.6);
  verdict.add("dx", dx, g["dx"], tolerance(OpClass::kExact, 1), 0.6);
  verdict.add("dresidual", dx, g["dresidual"], tolerance(OpClass::kExact, 1), 0.6);
  return verdict.result();
}

TEST_CASE("goldens: leaky ReLU, residual addition with ReLU") {
  run_cases("leaky_relu", 3, check_leaky_relu);
  run_cases("add_relu", 1, check_add_relu);
  const Golden leaky("leaky_relu/0.05"), sum("add_relu/plain");
  run_fault("another slope", check_leaky_relu, leaky, leaky.with("slope", "0.3"));
  run_fault("sign", check_leaky_relu, leaky, leaky.with_tensor("x", negate));
  run_fault("difference", check_add_relu, sum, sum.with_tensor("residual", negate));
}

struct Operands {
  const Guarded<float>&a, &b;
  const Guarded<float>* bias;
  Guarded<float>& c;
};
void multiply(const Exec& exec, const kernels::GemmSpec& spec, const Operands& o) {
  const auto plan = kernels::plan_gemm(have_cuda_gemm() ? exec : on_host(exec), spec);
  Guarded<std::byte> scratch(plan->scratch_bytes());
  plan->run({o.a.data(), o.b.data(), o.bias == nullptr ? nullptr : o.bias->data(), o.c.data(),
             scratch.data()});
}

Comparison check_dense(const Exec& exec, const Golden& g) {
  const int64_t n = g.shape("x")[0], inputs = g.shape("w")[1], outputs = g.shape("w")[0];
  const Guarded<float> x(g["x"]), w(g["w"]), b(g["b"]), dy(g["dy"]);
  Guarded<float> y(n * outputs, kNan), dx(n * inputs, kNan);
  Guarded<float> dw(outputs * inputs, kNan), db(outputs, kNan);
  multiply(exec, {.m = n, .n = outputs, .k = inputs, .transpose_b = true, .bias = true},
           {x, w, &b, y});
  multiply(exec, {.m = n, .n = inputs, .k = outputs}, {dy, w, nullptr, dx});
  multiply(exec, {.m = outputs, .n = inputs, .k = n, .transpose_a = true}, {dy, x, nullptr, dw});
  Guarded<double> partial(kernels::bias_gradient_scratch(n, outputs));
  kernels::bias_gradient(exec,
                         {n, outputs, dy.data(), db.data(), GradMode::kOverwrite, partial.data()});
  const double size = largest(x.span()), weight = largest(w.span()), slope = largest(dy.span());
  const auto bound = [](int64_t length, double magnitude) {
    return tolerance(OpClass::kMatrixProduct, length, magnitude);
  };
  Verdict verdict;
  verdict.add("y", y, g["y"], bound(inputs + 1, std::max(size * weight, largest(b.span()))));
  verdict.add("dx", dx, g["dx"], bound(outputs, slope * weight));
  verdict.add("dw", dw, g["dw"], bound(n, slope * size));
  verdict.add("db", db, g["db"], tolerance(OpClass::kReduction, n, slope));
  return verdict.result();
}

TEST_CASE("goldens: dense layers as matrix products") {
  run_cases("dense", 3, check_dense);
  const Golden g("dense/small");
  run_fault("no bias", check_dense, g,
            g.with_tensor("b", [](std::vector<float>& b) { std::fill(b.begin(), b.end(), 0.0f); }));
  run_fault("weights turned around", check_dense, g, g.with_tensor("w", reverse));
  run_fault("gradient scaled", check_dense, g, g.with_tensor("dy", scale_a_little));
}

Comparison check_cross_entropy(const Exec& exec, const Golden& g) {
  const int64_t n = g.shape("x")[0], classes = g.shape("x")[1];
  const bool mean = g.text("reduction") == "mean";
  const Guarded<float> x(g["x"]);
  Guarded<int32_t> labels(n);
  const std::vector<float> stored = g["labels"];
  std::transform(stored.begin(), stored.end(), labels.write().begin(),
                 [](float label) { return static_cast<int32_t>(label); });
  Guarded<float> probabilities(n * classes, kNan), losses(n, kNan), dx(n * classes, kNan);
  kernels::softmax_cross_entropy(
      exec, {n, classes, x.data(), labels.data(), nullptr, kernels::CrossEntropyForm::kLogits,
             mean ? kernels::CrossEntropyReduction::kMean : kernels::CrossEntropyReduction::kSum,
             probabilities.data(), losses.data(), dx.data()});
  // The logits of "huge" are in the hundreds: a probability is zero or one, a loss too.
  const double zeros = g.name().find("huge") == std::string::npos ? 0.0 : 0.9;
  const Tolerance bound = tolerance(OpClass::kSoftmax, classes, 1.0);
  Verdict verdict;
  verdict.add("probabilities", probabilities, g["probabilities"], bound, zeros);
  verdict.add("losses", losses, g["losses"], bound, zeros);
  verdict.add("dx", dx, g["dx"], bound, zeros);
  Guarded<double> sum(1), scratch(kernels::kReductionScratch);
  kernels::sum(exec, {n, losses.data(), sum.data(), scratch.data()});
  const double total = sum[0];
  const Guarded<float> loss(
      std::vector<float>{static_cast<float>(mean ? total / static_cast<double>(n) : total)});
  verdict.add("loss", loss, g["loss"], bound);
  return verdict.result();
}

TEST_CASE("goldens: softmax cross-entropy") {
  run_cases("softmax_ce", 6, check_cross_entropy);
  const Golden g("softmax_ce/ten_mean"), huge("softmax_ce/huge_sum");
  run_fault("sum instead of mean", check_cross_entropy, g, g.with("reduction", "sum"));
  run_fault("labels off by one", check_cross_entropy, g,
            g.with_tensor("labels", [](std::vector<float>& labels) {
              for (float& label : labels) label = label == 0.0f ? 9.0f : label - 1.0f;
            }));
  run_fault("logits scaled", check_cross_entropy, huge, huge.with_tensor("x", scale_a_little));
}

Comparison check_adam(const Exec& exec, const Golden& g) {
  const int64_t steps = g.shape("gradients")[0], count = g.shape("gradients")[1];
  const auto placement = g.text("placement") == "keras" ? kernels::AdamEpsilon::kKeras
                                                        : kernels::AdamEpsilon::kPyTorch;
  const double lr = g.number("lr");
  const std::vector<float> gradients = g["gradients"], want = g["p"];
  Guarded<float> w(g["p0"]), m(count, 0.0f), v(count, 0.0f), dw(count);
  Verdict verdict;
  for (int64_t t = 1; t <= steps; ++t) {
    const auto row = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + (t - 1) * count, all.begin() + t * count);
    };
    const std::vector<float> step_gradient = row(gradients);
    std::copy(step_gradient.begin(), step_gradient.end(), dw.write().begin());
    const kernels::AdamTensor tensor{w.data(), dw.data(), m.data(), v.data(), count};
    const auto factors =
        kernels::adam_factors(placement, lr, 0.9, 0.999, g.number("epsilon"), static_cast<long>(t));
    kernels::adam_step(exec, {{&tensor, 1}, factors});
    const Tolerance bound = tolerance(OpClass::kOptimiser, 1, static_cast<double>(t) * lr);
    verdict.add("weights of step " + std::to_string(t), w, row(want), bound);
  }
  // Gradients of random signs cancel in m: its scale is that of the element's own gradients.
  std::vector<float> relative_m, relative_want;
  for (int64_t i = 0; i < count; ++i) {
    double size = 0.0;
    for (int64_t t = 0; t < steps; ++t) {
      size = std::max(size,
                      std::abs(static_cast<double>(gradients[static_cast<size_t>(t * count + i)])));
    }
    relative_m.push_back(static_cast<float>(m[i] / size));
    relative_want.push_back(static_cast<float>(g["m"][static_cast<size_t>(i)] / size));
  }
  verdict.add("m", compare(relative_m, relative_want, tolerance(OpClass::kOptimiser, 1, 1.0)));
  verdict.add("v", v, g["v"], tolerance(OpClass::kOptimiser, 10, 0.0));
  return verdict.result();
}

TEST_CASE("goldens: ten steps of Adam with PyTorch's and Keras' epsilon") {
  run_cases("adam", 3, check_adam);
  const Golden torch("adam/torch"), keras("adam/keras");
  run_fault("epsilon where Keras has it", check_adam, torch, torch.with("placement", "keras"));
  run_fault("epsilon where PyTorch has it", check_adam, keras, keras.with("placement", "torch"));
  run_fault("another epsilon", check_adam, torch, torch.with("epsilon", "1e-7"));
  run_fault("learning rate 0.1 % off", check_adam, torch, torch.with("lr", "1.001e-3"));
  run_fault("ascent", check_adam, torch, torch.with_tensor("gradients", negate));
}

TEST_CASE("goldens: every operation of the file is checked here or known to be checked elsewhere") {
  const std::set<std::string> here{"conv",     "batch_norm", "max_pool",   "avg_pool", "leaky_relu",
                                   "add_relu", "dense",      "softmax_ce", "adam"};
  const std::set<std::string> elsewhere{"resize", "resize_nearest"};  // tests/data
  for (const weights::TensorView& tensor : ops_file().tensors()) {
    const std::string operation = tensor.name.substr(0, tensor.name.find('/'));
    CHECK_MESSAGE(here.count(operation) + elsewhere.count(operation) == 1, tensor.name);
  }
}

TEST_CASE("goldens: the FGSM step on Foolbox' gradient gives Foolbox' pictures, all bits equal") {
  const weights::WeightFile file(std::string(VERACE_GOLDENS) + "/foolbox_fgsm.safetensors");
  const Guarded<float> x(file.read_f32("input")), gradient(file.read_f32("gradient"));
  const auto count = static_cast<int64_t>(x.size());
  for_each_device([&](const Exec& exec) {
    const auto attack = [&](float epsilon, float high) {
      Guarded<float> adversarial(count, kNan);
      kernels::fgsm_step(
          exec, {count, x.data(), gradient.data(), epsilon, 0.0f, high, adversarial.data()});
      CHECK(adversarial.intact());
      return adversarial.copy();
    };
    for (const auto& [name, epsilon] :
         std::vector<std::pair<std::string, float>>{{"0.01", 0.01f}, {"0.02", 0.02f}}) {
      const std::vector<float> want = file.read_f32("adversarial/" + name);
      expect_ok(name, compare_bits(attack(epsilon, 1.0f), want));
      expect_caught("no clipping", compare_bits(attack(epsilon, 2.0f), want));
      expect_caught("epsilon", compare_bits(attack(epsilon * 1.001f, 1.0f), want));
    }
  });
}

}  // namespace
}  // namespace verace::test::golden_ops_test
