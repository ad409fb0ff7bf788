// Batch norm's normalisation, shortcuts, ReLU and mask against an oracle in double; planted faults.
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

namespace verace::kernels::batch_norm_apply_test {
namespace {

using namespace batch_norm_test;
using test::Guarded;
using test::OpClass;
using test::Shifted;
using test::Verdict;

template <class T>
using ApplyOp = std::function<void(const Exec&, const BatchNormApplyOf<T>&)>;

// What the tests run, as a value that deduces nothing.
template <class T>
void run_apply(const Exec& exec, const BatchNormApplyOf<T>& args) {
  batch_norm_apply(exec, args);
}

enum class ApplyAlias { kNone, kX, kShortcut };
enum class Shortcut { kNone, kPlain, kNormalised };

struct ApplyCase {
  Shape shape;
  Shortcut shortcut = Shortcut::kNone;
  bool relu = false, mask = false;
  ApplyAlias alias = ApplyAlias::kNone;
  int64_t shift = 0;  // elements by which the tensors are out of alignment

  std::string text() const {
    return name(shape) + " shortcut " + std::to_string(static_cast<int>(shortcut)) +
           (relu ? " relu" : "") + (mask ? " mask" : "") + " alias " +
           std::to_string(static_cast<int>(alias)) + " shift " + std::to_string(shift);
  }
};

// The two normalisations in double, from the definition.
Doubles oracle(const ApplyCase& k, const Layer& in, const Layer& side) {
  Doubles want;
  for (size_t i = 0; i < in.x.size(); ++i) {
    const size_t j = i % in.mean.size();
    double z =
        (static_cast<double>(in.x[i]) - in.mean[j]) * in.inv_std[j] * in.gamma[j] + in.beta[j];
    if (k.shortcut == Shortcut::kPlain) z += in.shortcut[i];
    if (k.shortcut == Shortcut::kNormalised) {
      z += (static_cast<double>(in.shortcut[i]) - side.mean[j]) * side.inv_std[j] * side.gamma[j] +
           side.beta[j];
    }
    want.push_back(k.relu ? std::max(z, 0.0) : z);
  }
  return want;
}

template <class T = float>
Verdict check_apply(const ApplyOp<T>& op, const Exec& exec, const ApplyCase& k) {
  const Layer in = Layer::rounded_to<T>(k.shape);
  const Layer side({1, k.shape.c}, 30);  // the other branch's parameters
  Shifted<T> x(in.x, k.shift), shortcut(in.shortcut, k.shift),
      fresh(k.shape.count(), kNan, k.shift);
  const Guarded<float> mean(in.mean), inv_std(in.inv_std), gamma(in.gamma), beta(in.beta);
  const Guarded<float> mean2(side.mean), inv_std2(side.inv_std), gamma2(side.gamma),
      beta2(side.beta);
  Guarded<uint32_t> mask(mask_words(k.shape.count()), 0xdeadbeefu);
  Shifted<T>& y = k.alias == ApplyAlias::kX          ? x
                  : k.alias == ApplyAlias::kShortcut ? shortcut
                                                     : fresh;
  BatchNormApplyOf<T> args{.rows = k.shape.rows,
                           .c = k.shape.c,
                           .x = x.data(),
                           .mean = mean.data(),
                           .inv_std = inv_std.data(),
                           .gamma = gamma.data(),
                           .beta = beta.data(),
                           .shortcut = k.shortcut != Shortcut::kNone ? shortcut.data() : nullptr,
                           .relu = k.relu,
                           .y = y.data()};
  if (k.shortcut == Shortcut::kNormalised) {
    args.shortcut_mean = mean2.data();
    args.shortcut_inv_std = inv_std2.data();
    args.shortcut_gamma = gamma2.data();
    args.shortcut_beta = beta2.data();
  }
  if (k.mask) args.mask = mask.data();
  op(exec, args);

  Verdict v;
  const auto tolerance = test::stored_as<T>(test::tolerance(OpClass::kElementwise, 1, 4.0));
  v.require("y", test::compare(y.floats(), oracle(k, in, side), tolerance, k.relu ? 0.9 : 0.0));
  if (k.mask) {
    v.require("mask", test::compare_bits(mask, mask_of(y.floats())));
  } else {
    v.require("mask untouched", test::compare_bits(mask, Words(mask.size(), 0xdeadbeefu)));
  }
  if (k.alias != ApplyAlias::kX) v.require("x untouched", test::compare_bits(x.floats(), in.x));
  if (k.alias != ApplyAlias::kShortcut) {
    v.require("shortcut untouched", test::compare_bits(shortcut.floats(), in.shortcut));
  }
  v.require("canaries", x.intact() && shortcut.intact() && fresh.intact() && mask.intact());
  return v;
}

constexpr ApplyAlias kAliases[] = {ApplyAlias::kNone, ApplyAlias::kX, ApplyAlias::kShortcut};
constexpr Shortcut kShortcuts[] = {Shortcut::kNone, Shortcut::kPlain, Shortcut::kNormalised};

// All forms of one shape.
template <class T>
void expect_all_forms(const Exec& exec, const Shape& shape, int64_t shift) {
  for (const Shortcut shortcut : kShortcuts) {
    for (const bool relu : {false, true}) {
      for (const ApplyAlias alias : kAliases) {
        if (alias == ApplyAlias::kShortcut && shortcut == Shortcut::kNone) continue;
        // With and without mask in turn, so that each alias and each shortcut meets both.
        for (const bool mask : {false, true}) {
          if (mask && !relu) continue;
          const ApplyCase k{shape, shortcut, relu, mask, alias, shift};
          test::expect_ok(k.text(), check_apply<T>(run_apply<T>, exec, k));
        }
      }
    }
  }
}

TEST_CASE("apply agrees with the oracle with and without shortcut, ReLU, mask and aliasing") {
  test::for_each_device([](const Exec& exec) {
    for (const Shape& shape : kSmallShapes) expect_all_forms<float>(exec, shape, 0);
  });
}

TEST_CASE("apply of large shapes") {
  for_each_device_once([](const Exec& exec) {
    for (const Shape& shape : kShapes) {
      const ApplyCase k{shape, Shortcut::kNormalised, true, true};
      test::expect_ok(k.text(), check_apply<float>(run_apply<float>, exec, k));
    }
  });
}

TEST_CASE("apply of all storage types, aligned or not") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    if (exec.device != DeviceKind::kCuda) return;
    for (const Shape& shape : kSmallShapes) {
      if (!std::is_same_v<T, float>) expect_all_forms<T>(exec, shape, 0);
      for (const int64_t shift : {1, 4}) {
        const ApplyCase k{shape, Shortcut::kNormalised, true, true, ApplyAlias::kNone, shift};
        test::expect_ok(k.text(), check_apply<T>(run_apply<T>, exec, k));
      }
    }
  });
}

TEST_CASE("a mask of every length ends in zero bits") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    for (int64_t rows = 1; rows <= 33; ++rows) {
      const ApplyCase k{{rows, 1}, Shortcut::kPlain, true, true};
      test::expect_ok(k.text(), check_apply<T>(run_apply<T>, exec, k));
    }
    for (int64_t rows = 1; rows <= 5; ++rows) {
      const ApplyCase k{{rows, 8}, Shortcut::kPlain, true, true};
      test::expect_ok(k.text(), check_apply<T>(run_apply<T>, exec, k));
    }
  });
}

// y and mask of one element per channel with mean 0 and scale 1.
template <class T>
std::vector<float> relu_of(const Exec& exec, const Floats& x, uint32_t& mask) {
  const int64_t c = static_cast<int64_t>(x.size());
  Shifted<T> gx(x, 0), y(c, kNan, 0);
  const Guarded<float> zeros(c, 0.0f), ones(c, 1.0f);
  Guarded<uint32_t> bits(1);
  BatchNormApplyOf<T> args{.rows = 1, .c = c, .x = gx.data()};
  args.mean = args.beta = zeros.data();
  args.inv_std = args.gamma = ones.data();
  args.relu = true;
  args.y = y.data();
  args.mask = bits.data();
  batch_norm_apply(exec, args);
  mask = bits[0];
  return y.floats();
}

TEST_CASE("apply: NaN stays NaN, and neither it nor zero is in the mask") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    uint32_t mask = 0;
    const Floats y = relu_of<T>(exec, {kNan, 0.0f, -0.0f, 1.0f, -1.0f}, mask);
    CHECK(std::isnan(y[0]));
    for (const size_t i : {1, 2, 4}) CHECK(y[i] == 0.0f);
    CHECK(y[3] == 1.0f);
    CHECK(mask == 1u << 3);
  });
}

TEST_CASE("apply: the mask is that of the stored number, also where it was rounded to zero") {
  test::for_each_device_and_storage([](const Exec& exec, auto storage) {
    using T = decltype(storage);
    const Floats numbers{0x1p-20f, 0x1p-24f};
    const Guarded<float> zeros(2, 0.0f), ones(2, 1.0f), scale(2, 0x1p-2f);
    Shifted<T> x(numbers, 0), y(2, kNan, 0);
    Guarded<uint32_t> mask(1);
    BatchNormApplyOf<T> args{.rows = 1, .c = 2, .x = x.data()};
    args.mean = args.beta = zeros.data();
    args.inv_std = ones.data();
    args.gamma = scale.data();
    args.relu = true;
    args.y = y.data();
    args.mask = mask.data();
    batch_norm_apply(exec, args);
    CHECK(mask[0] == (std::is_same_v<T, Half> ? 1u : 3u));  // 2^-26 is no fp16 number
    CHECK(mask[0] == mask_of(y.floats())[0]);
  });
}

TEST_CASE("apply refuses what the contract excludes") {
  test::for_each_device([](const Exec& exec) {
    Guarded<float> x(4, 1.0f), y(4), p(2, 1.0f);
    Guarded<uint32_t> mask(1);
    BatchNormApply good{.rows = 2, .c = 2, .x = x.data()};
    good.mean = good.inv_std = good.gamma = good.beta = p.data();
    good.shortcut = x.data();
    good.y = y.data();
    CHECK_NOTHROW(batch_norm_apply(exec, good));
    const auto refused = [&](void (*change)(BatchNormApply&)) {
      BatchNormApply bad = good;
      bad.mask = mask.data();
      bad.relu = true;
      bad.shortcut_mean = bad.shortcut_inv_std = bad.shortcut_gamma = bad.shortcut_beta = p.data();
      CHECK_NOTHROW(batch_norm_apply(exec, bad));
      change(bad);
      CHECK_THROWS_AS(batch_norm_apply(exec, bad), Error);
    };
    refused([](BatchNormApply& a) { a.relu = false; });
    refused([](BatchNormApply& a) { a.shortcut = nullptr; });
    refused([](BatchNormApply& a) { a.shortcut_mean = nullptr; });
    refused([](BatchNormApply& a) { a.shortcut_inv_std = nullptr; });
    refused([](BatchNormApply& a) { a.shortcut_gamma = nullptr; });
    refused([](BatchNormApply& a) { a.shortcut_beta = nullptr; });
    refused([](BatchNormApply& a) { a.rows = 0; });
  });
}

TEST_CASE("planted faults in apply are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught_in = [&](Shortcut shortcut, const std::string& fault,
                             void (*change)(BatchNormApply&)) {
    const auto op = [change](const Exec& e, BatchNormApply args) {
      change(args);
      batch_norm_apply(e, args);
    };
    test::expect_caught(fault, check_apply<float>(op, exec, {{33, 17}, shortcut, true, true}));
  };
  const auto caught = [&](const std::string& fault, void (*change)(BatchNormApply&)) {
    caught_in(Shortcut::kPlain, fault, change);
    caught_in(Shortcut::kNormalised, fault, change);
  };
  caught("shortcut ignored", [](BatchNormApply& a) {
    a.shortcut = nullptr;
    a.shortcut_mean = a.shortcut_inv_std = a.shortcut_gamma = a.shortcut_beta = nullptr;
  });
  caught("ReLU and mask ignored", [](BatchNormApply& a) {
    a.relu = false;
    a.mask = nullptr;
  });
  caught("mask not written", [](BatchNormApply& a) { a.mask = nullptr; });
  caught("gamma and beta swapped", [](BatchNormApply& a) { std::swap(a.gamma, a.beta); });
  caught("mean ignored", [](BatchNormApply& a) { a.mean = a.beta; });
  caught("last row left out", [](BatchNormApply& a) { --a.rows; });
  if (test::may_overrun()) {
    caught("one row too many", [](BatchNormApply& a) {
      a.y += a.c;  // the last row lands in the canary
    });
  }
  caught_in(Shortcut::kNormalised, "shortcut not normalised", [](BatchNormApply& a) {
    a.shortcut_mean = a.shortcut_inv_std = a.shortcut_gamma = a.shortcut_beta = nullptr;
  });
  caught_in(Shortcut::kNormalised, "branches swapped",
            [](BatchNormApply& a) { std::swap(a.mean, a.shortcut_mean); });
  caught_in(Shortcut::kNormalised, "the shortcut's beta ignored",
            [](BatchNormApply& a) { a.shortcut_beta = a.shortcut_mean; });

  const auto after = [&](const std::string& fault, void (*change)(const BatchNormApply&)) {
    const auto op = [change](const Exec& e, const BatchNormApply& args) {
      batch_norm_apply(e, args);
      change(args);
    };
    test::expect_caught(fault,
                        check_apply<float>(op, exec, {{33, 17}, Shortcut::kPlain, true, true}));
  };
  after("one bit of the mask turned", [](const BatchNormApply& a) { a.mask[3] ^= 1u << 31; });
  after("a bit beyond the end",
        [](const BatchNormApply& a) { a.mask[mask_words(a.rows * a.c) - 1] |= 1u << 31; });
  after("bits in the other order", [](const BatchNormApply& a) {
    uint32_t turned = 0;
    for (int i = 0; i < 32; ++i) turned |= (a.mask[0] >> i & 1u) << (31 - i);
    a.mask[0] = turned;
  });
  if (test::may_overrun()) {
    after("one word too many",
          [](const BatchNormApply& a) { a.mask[mask_words(a.rows * a.c)] = 0; });
  }
}

}  // namespace
}  // namespace verace::kernels::batch_norm_apply_test
