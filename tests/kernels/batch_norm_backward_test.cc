// Batch norm's gradients against an independent oracle in double, and planted faults.
#include "kernels/batch_norm.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "tests/kernels/batch_norm_cases.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/stored.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::batch_norm_backward_test {
namespace {

using namespace batch_norm_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

// Where the backward pass learns of the ReLU.
enum class MaskFrom { kNothing, kOutput, kBits };
enum class Alias { kNone, kDy, kDy2 };

struct BackwardCase {
  Shape shape;
  BatchNormMode mode = BatchNormMode::kBatchStatistics;
  bool fork = false;
  MaskFrom mask = MaskFrom::kNothing;
  bool dx = true, dshortcut = false;
  Alias dx_alias = Alias::kNone, dshortcut_alias = Alias::kNone;
  GradMode dgamma_mode = GradMode::kOverwrite, dbeta_mode = GradMode::kOverwrite;
  int64_t shift = 0;  // elements by which the tensors are out of alignment

  std::string text() const {
    return name(shape) + (mode == BatchNormMode::kBatchStatistics ? " batch" : " running") +
           (fork ? " fork" : "") + " mask " + std::to_string(static_cast<int>(mask)) +
           (dx ? " dx" : "") + (dshortcut ? " dshortcut" : "") + " aliases " +
           std::to_string(static_cast<int>(dx_alias)) +
           std::to_string(static_cast<int>(dshortcut_alias)) + " modes " +
           std::to_string(static_cast<int>(dgamma_mode)) +
           std::to_string(static_cast<int>(dbeta_mode)) + " shift " + std::to_string(shift);
  }
};

struct Gradients {
  Doubles dx, dshortcut, dgamma, dbeta;
};

struct BackwardInputs {
  Layer layer;
  Floats dy, dy2, y, old_dgamma, old_dbeta;
  explicit BackwardInputs(const Shape& s)
      : layer(s, 40),
        dy(test::uniform(s.count(), 50)),
        dy2(test::uniform(s.count(), 51)),
        y(test::uniform(s.count(), 52)),
        old_dgamma(test::uniform(s.c, 53)),
        old_dbeta(test::uniform(s.c, 54)) {
    for (float& v : y) v = std::max(v, 0.0f);
  }

  template <class T>
  static BackwardInputs rounded_to(const Shape& s) {
    BackwardInputs in(s);
    in.layer = Layer::rounded_to<T>(s, 40);
    for (Floats* values : {&in.dy, &in.dy2, &in.y}) *values = test::rounded<T>(*values);
    return in;
  }
};

// Written from the formulas of the paper, channel by channel. Where dshortcut is wanted, T holds
// dz.
template <class T>
Gradients oracle(const BackwardInputs& in, const BackwardCase& k) {
  const size_t rows = static_cast<size_t>(k.shape.rows), c = static_cast<size_t>(k.shape.c);
  Gradients g{Doubles(rows * c), Doubles(rows * c), Doubles(c), Doubles(c)};
  for (size_t i = 0; i < rows * c; ++i) {
    double dz = in.dy[i];
    if (k.fork) dz += in.dy2[i];
    if (k.mask != MaskFrom::kNothing && in.y[i] <= 0.0f) dz = 0.0;
    if (k.dshortcut) dz = to_float(from_float<T>(static_cast<float>(dz)));
    g.dshortcut[i] = dz;
    g.dbeta[i % c] += dz;
    g.dgamma[i % c] +=
        dz * (static_cast<double>(in.layer.x[i]) - in.layer.mean[i % c]) * in.layer.inv_std[i % c];
  }
  for (size_t i = 0; i < rows * c; ++i) {
    const size_t j = i % c;
    const double n = static_cast<double>(rows);
    const double xhat =
        (static_cast<double>(in.layer.x[i]) - in.layer.mean[j]) * in.layer.inv_std[j];
    g.dx[i] = static_cast<double>(in.layer.gamma[j]) * in.layer.inv_std[j] * g.dshortcut[i];
    if (k.mode == BatchNormMode::kBatchStatistics) {
      g.dx[i] -= in.layer.gamma[j] * static_cast<double>(in.layer.inv_std[j]) / n *
                 (g.dbeta[j] + xhat * g.dgamma[j]);
    }
  }
  return g;
}

template <class T>
using BackwardOp = std::function<void(const Exec&, const BatchNormBackwardOf<T>&)>;

// What the tests run, as a value that deduces nothing.
template <class T>
void run_backward(const Exec& exec, const BatchNormBackwardOf<T>& args) {
  batch_norm_backward(exec, args);
}

void require_gradient(Verdict& v, const std::string& what, GradMode mode, const Guarded<float>& got,
                      const Floats& old, const Doubles& sums, const test::Tolerance& tolerance) {
  if (mode == GradMode::kSkip) {
    v.require(what + " skipped", test::compare_bits(got, old));
    return;
  }
  Doubles want = sums;
  for (size_t j = 0; j < want.size(); ++j) {
    if (mode == GradMode::kAccumulate) want[j] += old[j];
  }
  v.require(what, test::compare(got.span(), want, tolerance));
}

// The tensors of one call.
template <class T>
struct BackwardBuffers {
  Shifted<T> dy, dy2, y, x, dx, dshortcut;
  Guarded<float> mean, inv_std, gamma, dgamma, dbeta, scratch;
  Guarded<uint32_t> mask;

  BackwardBuffers(const BackwardInputs& in, const BackwardCase& k)
      : dy(in.dy, k.shift),
        dy2(in.dy2, k.shift),
        y(in.y, k.shift),
        x(in.layer.x, k.shift),
        dx(k.shape.count(), kNan, k.shift),
        dshortcut(k.shape.count(), kNan, k.shift),
        mean(in.layer.mean),
        inv_std(in.layer.inv_std),
        gamma(in.layer.gamma),
        dgamma(in.old_dgamma),
        dbeta(in.old_dbeta),
        scratch(batch_norm_backward_scratch(k.shape.rows, k.shape.c) + 1, kNan),
        mask(mask_of(in.y)) {}

  Shifted<T>& aliased(Alias alias, Shifted<T>& fresh) {
    return alias == Alias::kDy ? dy : alias == Alias::kDy2 ? dy2 : fresh;
  }

  BatchNormBackwardOf<T> arguments(const BackwardCase& k) {
    return {.rows = k.shape.rows,
            .c = k.shape.c,
            .mode = k.mode,
            .dy = dy.data(),
            .dy2 = k.fork ? dy2.data() : nullptr,
            .y = k.mask == MaskFrom::kOutput ? y.data() : nullptr,
            .x = x.data(),
            .mean = mean.data(),
            .inv_std = inv_std.data(),
            .gamma = gamma.data(),
            .dgamma = k.dgamma_mode == GradMode::kSkip ? nullptr : dgamma.data(),
            .dbeta = k.dbeta_mode == GradMode::kSkip ? nullptr : dbeta.data(),
            .dgamma_mode = k.dgamma_mode,
            .dbeta_mode = k.dbeta_mode,
            .dx = k.dx ? aliased(k.dx_alias, dx).data() : nullptr,
            .dshortcut = k.dshortcut ? aliased(k.dshortcut_alias, dshortcut).data() : nullptr,
            .scratch = scratch.data() + 1,  // floats ask for no more than that
            .mask = k.mask == MaskFrom::kBits ? mask.data() : nullptr};
  }

  bool intact() const {
    return dy.intact() && dy2.intact() && y.intact() && x.intact() && dx.intact() &&
           dshortcut.intact() && dgamma.intact() && dbeta.intact() && scratch.intact() &&
           mask.intact();
  }
};

template <class T = float>
Verdict check_backward(const BackwardOp<T>& op, const Exec& exec, const BackwardCase& k) {
  const BackwardInputs in = BackwardInputs::rounded_to<T>(k.shape);
  BackwardBuffers<T> b(in, k);
  op(exec, b.arguments(k));

  const Gradients want = oracle<T>(in, k);
  const auto sums = test::tolerance(OpClass::kReduction, std::min<int64_t>(k.shape.rows, 64), 4.0);
  const auto elements = test::stored_as<T>(
      test::tolerance(OpClass::kNormalisation, std::min<int64_t>(k.shape.rows, 64), 2.0));
  Verdict v;
  require_gradient(v, "dgamma", k.dgamma_mode, b.dgamma, in.old_dgamma, want.dgamma, sums);
  require_gradient(v, "dbeta", k.dbeta_mode, b.dbeta, in.old_dbeta, want.dbeta, sums);
  const double zeros = k.mask != MaskFrom::kNothing ? 0.9 : 0.0;
  const bool one_row = k.shape.rows == 1 && k.mode == BatchNormMode::kBatchStatistics;
  if (k.dx && !one_row) {
    v.require("dx", test::compare(b.aliased(k.dx_alias, b.dx).floats(), want.dx, elements, zeros));
  }
  if (k.dshortcut) {  // one sum, rounded as the oracle rounds it
    v.require("dshortcut",
              test::compare(b.aliased(k.dshortcut_alias, b.dshortcut).floats(), want.dshortcut,
                            test::tolerance(OpClass::kExact, 1), zeros));
  }
  v.require("canaries", b.intact());
  v.require("x untouched", test::compare_bits(b.x.floats(), in.layer.x));
  v.require("y untouched", test::compare_bits(b.y.floats(), in.y));
  v.require("mask untouched", test::compare_bits(b.mask, mask_of(in.y)));
  return v;
}

template <class T = float>
void expect_backward(const Exec& exec, const BackwardCase& k) {
  test::expect_ok(k.text(), check_backward<T>(run_backward<T>, exec, k));
}

constexpr BatchNormMode kModes[] = {BatchNormMode::kBatchStatistics,
                                    BatchNormMode::kRunningStatistics};
constexpr MaskFrom kMasks[] = {MaskFrom::kNothing, MaskFrom::kOutput, MaskFrom::kBits};
constexpr GradMode kGradModes[] = {GradMode::kSkip, GradMode::kOverwrite, GradMode::kAccumulate};

TEST_CASE("backward agrees with the oracle for all shapes") {
  for_each_device_once([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      for (const BatchNormMode mode : kModes) {
        if (shape.rows > 1) expect_backward(exec, {.shape = shape, .mode = mode});
        BackwardCase block{.shape = shape, .mode = mode, .fork = true};
        block.mask = shape.rows > 2 ? MaskFrom::kOutput : MaskFrom::kNothing;
        block.dshortcut = true;
        expect_backward(exec, block);
        if (shape.rows > 2) block.mask = MaskFrom::kBits;
        expect_backward(exec, block);
      }
    }
  });
}

// All sources of dz and all results of one shape and mode.
template <class T, class Body>
void for_each_form(const Shape& shape, BatchNormMode mode, const Body& body) {
  for (const MaskFrom mask : kMasks) {
    for (int bits = 0; bits < 8; ++bits) {
      body(BackwardCase{.shape = shape,
                        .mode = mode,
                        .fork = (bits & 1) != 0,
                        .mask = mask,
                        .dx = (bits & 2) != 0,
                        .dshortcut = (bits & 4) != 0});
    }
  }
}

TEST_CASE("backward agrees with the oracle for all sources and results") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (const Shape& shape : {Shape{35, 11}, Shape{41, 24}}) {
      for (const BatchNormMode mode : kModes) {
        for_each_form<T>(shape, mode, [&](BackwardCase k) {
          expect_backward<T>(exec, k);
          // Without gradients and batch statistics there is no first pass.
          k.dgamma_mode = k.dbeta_mode = GradMode::kSkip;
          k.shift = 1;
          expect_backward<T>(exec, k);
        });
      }
    }
  });
}

TEST_CASE("backward where each thread has many rows") {
  test::for_each_cuda_device([](const Exec& exec) {
    expect_backward<Half>(
        exec, {.shape = many_rows(), .fork = true, .mask = MaskFrom::kBits, .dshortcut = true});
  });
}

TEST_CASE("backward leaves, writes or adds to the parameters' gradients") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : {Shape{7, 5}, Shape{37, 16}}) {
      for (const BatchNormMode mode : kModes) {
        for (const bool dx : {false, true}) {
          for (const GradMode dgamma_mode : kGradModes) {
            for (const GradMode dbeta_mode : kGradModes) {
              expect_backward(exec, {.shape = shape,
                                     .mode = mode,
                                     .mask = MaskFrom::kBits,
                                     .dx = dx,
                                     .dgamma_mode = dgamma_mode,
                                     .dbeta_mode = dbeta_mode});
            }
          }
        }
      }
    }
  });
}

TEST_CASE("backward may write over its incoming gradients") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    // Whole vectors on CUDA; single numbers there are element-wise in the same way.
    const Shape shape = exec.device == DeviceKind::kCuda ? Shape{19, 40} : Shape{131, 37};
    for (const BatchNormMode mode : kModes) {
      for (const GradMode gradients : {GradMode::kSkip, GradMode::kOverwrite}) {
        for (const MaskFrom mask : kMasks) {
          for (const auto dx_alias : {Alias::kNone, Alias::kDy, Alias::kDy2}) {
            for (const auto dshortcut_alias : {Alias::kNone, Alias::kDy, Alias::kDy2}) {
              BackwardCase k{.shape = shape, .mode = mode, .fork = true, .mask = mask};
              k.dgamma_mode = k.dbeta_mode = gradients;
              k.dx_alias = dx_alias;
              k.dshortcut_alias = dshortcut_alias;
              // Both results in one place is what the contract excludes.
              k.dshortcut = dshortcut_alias == Alias::kNone || dshortcut_alias != dx_alias;
              expect_backward<T>(exec, k);
              if (dx_alias != Alias::kNone) continue;
              k.dx = false;
              expect_backward<T>(exec, k);
            }
          }
        }
      }
    }
  });
}

TEST_CASE("backward refuses what the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    const BackwardCase k{.shape = {7, 5}, .mask = MaskFrom::kOutput, .dshortcut = true};
    BackwardBuffers<float> b(BackwardInputs(k.shape), k);
    const auto refused = [&](const BatchNormBackward& args) {
      CHECK_THROWS_AS(batch_norm_backward(exec, args), Error);
    };
    auto both_masks = b.arguments(k);
    both_masks.mask = b.mask.data();
    refused(both_masks);
    auto one_place = b.arguments(k);
    one_place.dx = one_place.dshortcut;
    refused(one_place);
    auto empty = b.arguments(k);
    empty.rows = 0;
    refused(empty);
  });
}

TEST_CASE("with one row and batch statistics nothing flows back to x") {
  test::for_each_device([](const Exec& exec) {
    // xhat is 0 where the row is its own mean: dx = gamma * inv_std * (dz - dz).
    for (const int64_t c : {20, 24}) {
      const Guarded<float> x(test::uniform(c, 1)), dy(test::uniform(c, 2)), inv_std(c, 2.0f),
          gamma(c, 1.5f);
      Guarded<float> dx(c, kNan), scratch(batch_norm_backward_scratch(1, c));
      batch_norm_backward(exec, {.rows = 1,
                                 .c = c,
                                 .dy = dy.data(),
                                 .x = x.data(),
                                 .mean = x.data(),
                                 .inv_std = inv_std.data(),
                                 .gamma = gamma.data(),
                                 .dgamma_mode = GradMode::kSkip,
                                 .dbeta_mode = GradMode::kSkip,
                                 .dx = dx.data(),
                                 .scratch = scratch.data()});
      for (const float v : dx.span()) CHECK(v == 0.0f);
    }
  });
}

TEST_CASE("planted faults in backward are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  BackwardCase k{.shape = {33, 17}, .fork = true, .mask = MaskFrom::kOutput, .dshortcut = true};
  k.dgamma_mode = k.dbeta_mode = GradMode::kAccumulate;
  test::expect_ok(k.text(), check_backward<float>(run_backward<float>, exec, k));
  const auto before = [&](const std::string& fault, void (*change)(BatchNormBackward&)) {
    const auto op = [change](const Exec& e, BatchNormBackward args) {
      change(args);
      batch_norm_backward(e, args);
    };
    test::expect_caught(fault, check_backward<float>(op, exec, k));
  };
  before("mask ignored", [](BatchNormBackward& a) { a.y = nullptr; });
  before("dy2 ignored", [](BatchNormBackward& a) { a.dy2 = nullptr; });
  before("dgamma overwritten instead of accumulated",
         [](BatchNormBackward& a) { a.dgamma_mode = GradMode::kOverwrite; });
  before("dbeta overwritten instead of accumulated",
         [](BatchNormBackward& a) { a.dbeta_mode = GradMode::kOverwrite; });
  before("dbeta skipped", [](BatchNormBackward& a) { a.dbeta_mode = GradMode::kSkip; });
  before("running instead of batch statistics",
         [](BatchNormBackward& a) { a.mode = BatchNormMode::kRunningStatistics; });
  before("dgamma and dbeta swapped", [](BatchNormBackward& a) { std::swap(a.dgamma, a.dbeta); });
  before("dx and dshortcut swapped", [](BatchNormBackward& a) { std::swap(a.dx, a.dshortcut); });
  before("dshortcut forgotten", [](BatchNormBackward& a) { a.dshortcut = nullptr; });
  before("dx forgotten", [](BatchNormBackward& a) { a.dx = nullptr; });
  before("gamma ignored", [](BatchNormBackward& a) { a.gamma = a.inv_std; });
  before("last row left out", [](BatchNormBackward& a) { --a.rows; });
  if (test::may_overrun()) {
    before("written beyond the end", [](BatchNormBackward& a) { a.dx += 1; });
  }

  const auto after = [&](const std::string& fault, void (*change)(const BatchNormBackward&)) {
    const auto op = [change](const Exec& e, const BatchNormBackward& args) {
      batch_norm_backward(e, args);
      change(args);
    };
    test::expect_caught(fault, check_backward<float>(op, exec, k));
  };
  after("dx scaled by 1.001", [](const BatchNormBackward& a) {
    for (int64_t i = 0; i < a.rows * a.c; ++i) a.dx[i] *= 1.001f;
  });
  after("dgamma scaled by 1.001", [](const BatchNormBackward& a) {
    for (int64_t j = 0; j < a.c; ++j) a.dgamma[j] *= 1.001f;
  });
  after("one NaN in dx", [](const BatchNormBackward& a) { a.dx[a.c] = kNan; });
  after("zeros in dx", [](const BatchNormBackward& a) { std::fill_n(a.dx, a.rows * a.c, 0.0f); });
  after("the shortcut's gradient is not masked", [](const BatchNormBackward& a) {
    for (int64_t i = 0; i < a.rows * a.c; ++i) a.dshortcut[i] = a.dy[i] + a.dy2[i];
  });

  k.mask = MaskFrom::kBits;
  test::expect_ok(k.text(), check_backward<float>(run_backward<float>, exec, k));
  before("bits ignored", [](BatchNormBackward& a) { a.mask = nullptr; });
  if (test::may_overrun()) {
    before("bits of the next word", [](BatchNormBackward& a) { a.mask += 1; });
  }
  test::expect_caught("bits turned round", check_backward<float>(
                                               [](const Exec& e, BatchNormBackward args) {
                                                 std::vector<uint32_t> other;
                                                 for (int64_t i = 0;
                                                      i < mask_words(args.rows * args.c); ++i) {
                                                   other.push_back(__builtin_bswap32(args.mask[i]));
                                                 }
                                                 args.mask = other.data();
                                                 batch_norm_backward(e, args);
                                               },
                                               exec, k));
}

}  // namespace
}  // namespace verace::kernels::batch_norm_backward_test
