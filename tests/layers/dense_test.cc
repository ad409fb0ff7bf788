// The dense layer, forward and backward, with each activation, against sums in double precision.
#include "layers/dense.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::layers::dense_test {
namespace {

using engine::DType;
using engine::Value;
using kernels::Exec;
using test::OpClass;

constexpr int64_t kRows = 6, kIn = 11, kOut = 7;
using Doubles = std::vector<double>;

struct Data {
  std::vector<float> x = test::uniform(kRows * kIn, 1), w = test::uniform(kOut * kIn, 2),
                     bias = test::uniform(kOut, 3), dy = test::uniform(kRows * kOut, 4);
};

struct Results {
  std::vector<float> y, dx, dw, db;
  std::vector<std::string> operations;
};

std::vector<float> taken(const float* from, int64_t count) { return {from, from + count}; }

Results run(const Exec& exec, const Data& data, std::optional<float> slope, bool training) {
  engine::LayerTable table;
  const Dense dense(table, "fc", kIn, kOut);
  engine::Layer& layer = *table.find("fc");
  std::ranges::copy(data.w, layer.parameter("weight").value.f32());
  std::ranges::copy(data.bias, layer.parameter("bias").value.f32());
  if (training) table.allocate_gradients();
  engine::StepBuilder b(exec);
  const Value x = b.input("x", DType::kF32, {kRows, kIn});
  const Value given = b.input("given", DType::kF32, {kRows, kOut});
  b.set_needs_gradient(x);
  const Value y = dense.append(b, {.training = training}, x, slope);
  b.keep(y);
  // The gradient that comes back is overwritten on its way.
  const Value dy = b.temporary("dy", DType::kF32, {kRows, kOut});
  b.add({"loss", "copy", {given}, {dy}, 0, [given, dy](const engine::StepMemory& m) {
           std::copy_n(m.f32(given), kRows * kOut, m.f32(dy));
         }});
  b.add_gradient(y, dy);
  b.backward();
  const Value dx = b.gradients(x).at(0);
  b.keep(dx);
  const engine::Step step = std::move(b).plan(std::make_shared<engine::Arena>());
  std::ranges::copy(data.x, step.memory().f32(x));
  std::ranges::copy(data.dy, step.memory().f32(given));
  step.run();
  Results r;
  r.y = taken(step.memory().f32(y), kRows * kOut);
  r.dx = taken(step.memory().f32(dx), kRows * kIn);
  if (training) {
    r.dw = taken(layer.parameter("weight").gradient.f32(), kOut * kIn);
    r.db = taken(layer.parameter("bias").gradient.f32(), kOut);
  }
  for (const auto& operation : step.operations()) r.operations.push_back(operation.name);
  return r;
}

struct Expected {
  Doubles y = Doubles(kRows * kOut), dx = Doubles(kRows * kIn), dw = Doubles(kOut * kIn),
          db = Doubles(kOut);
};

Expected expected(const Data& data, double slope) {
  Expected e;
  for (size_t row = 0; row < kRows; ++row) {
    for (size_t o = 0; o < kOut; ++o) {
      double z = data.bias[o];
      for (size_t i = 0; i < kIn; ++i) {
        z += double{data.x[row * kIn + i]} * data.w[o * kIn + i];
      }
      e.y[row * kOut + o] = z > 0 ? z : slope * z;
      const double dz = data.dy[row * kOut + o] * (z > 0 ? 1.0 : slope);
      e.db[o] += dz;
      for (size_t i = 0; i < kIn; ++i) {
        e.dx[row * kIn + i] += dz * data.w[o * kIn + i];
        e.dw[o * kIn + i] += dz * data.x[row * kIn + i];
      }
    }
  }
  return e;
}

bool holds(const Results& r, const std::string& operation) {
  return std::ranges::find(r.operations, operation) != r.operations.end();
}

TEST_CASE("forward and backward with no activation, a ReLU and a leaky one") {
  const Data data;
  const auto bound = [](int64_t length) { return tolerance(OpClass::kMatrixProduct, length); };
  test::for_each_host_device([&](const Exec& exec) {
    for (const std::optional<float> slope : {std::optional<float>(), {0.0f}, {0.25f}}) {
      const Expected e = expected(data, slope.value_or(1.0f));
      const double zeros = slope == 0.0f ? 0.6 : 0.0;
      for (const bool training : {false, true}) {
        INFO("slope ", slope.value_or(1.0f), ", training ", training);
        const Results r = run(exec, data, slope, training);
        test::expect_ok("y", test::compare(r.y, e.y, bound(kIn + 1), zeros));
        test::expect_ok("dx", test::compare(r.dx, e.dx, bound(kOut)));
        if (!training) continue;
        test::expect_ok("dw", test::compare(r.dw, e.dw, bound(kRows)));
        test::expect_ok("db", test::compare(r.db, e.db, bound(kRows)));
      }
    }
  });
}

TEST_CASE("a ReLU is part of the product, but not in training, where a NaN must come through") {
  Data data;
  data.x[0] = std::numeric_limits<float>::quiet_NaN();
  test::for_each_host_device([&](const Exec& exec) {
    CHECK(!holds(run(exec, data, 0.0f, false), "fc activation"));
    CHECK(holds(run(exec, data, 0.25f, false), "fc activation"));
    const Results training = run(exec, data, 0.0f, true);
    CHECK(holds(training, "fc activation"));
    for (int i = 0; i < kOut; ++i) CHECK(std::isnan(training.y[static_cast<size_t>(i)]));
    CHECK(!std::isnan(training.y[kOut]));
  });
}

TEST_CASE("planted faults are caught") {
  const Data data;
  const Expected e = expected(data, 0.25f);
  Data other;
  std::swap(other.bias[0], other.bias[1]);
  const auto bound = test::tolerance(OpClass::kMatrixProduct, kIn + 1);
  const Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, 1);
  const auto caught = [&](const std::string& fault, const Results& r) {
    test::expect_caught(fault, test::compare(r.dx, e.dx, bound));
  };
  test::expect_caught("bias", test::compare(run(exec, other, 0.25f, false).y, e.y, bound));
  caught("no activation", run(exec, data, std::nullopt, false));
  caught("another slope", run(exec, data, 0.3f, false));
  caught("ReLU", run(exec, data, 0.0f, true));
}

}  // namespace
}  // namespace verace::layers::dense_test
