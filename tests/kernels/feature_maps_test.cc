// Joining feature maps on every device against independent oracles, and planted faults.
#include "kernels/feature_maps.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "tests/support/compare.h"
#include "tests/support/devices.h"
#include "tests/support/faults.h"
#include "tests/support/guarded.h"
#include "tests/support/random.h"
#include "tests/support/tolerances.h"

namespace verace::kernels::feature_maps_test {
namespace {

using test::Guarded;
using test::OpClass;
using test::Verdict;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

const test::Tolerance kElementwise = test::tolerance(OpClass::kElementwise, 1);

struct Sizes {
  Nhwc fine;
  int64_t coarse_h, coarse_w;
};

using UpsampleOp = std::function<void(const Exec&, const UpsampleAdd&)>;

// Each coarse pixel is added to the fine ones from ceil(i * H / h) to before ceil((i + 1) * H / h).
Verdict check_upsample(const UpsampleOp& op, const Exec& exec, const Sizes& s, bool in_place) {
  const auto [n, h, w, c] = s.fine;
  const Floats fine = test::uniform(s.fine.count(), 1);
  const Floats coarse = test::uniform(n * s.coarse_h * s.coarse_w * c, 2);
  Doubles want(fine.begin(), fine.end());
  const auto first = [](int64_t i, int64_t to, int64_t from) { return (i * to + from - 1) / from; };
  for (size_t at = 0; at < coarse.size(); ++at) {
    const auto i = static_cast<int64_t>(at);
    const int64_t k = i % c, column = i / c % s.coarse_w, row = i / c / s.coarse_w % s.coarse_h;
    const int64_t image = i / c / s.coarse_w / s.coarse_h;
    for (int64_t y = first(row, h, s.coarse_h); y < first(row + 1, h, s.coarse_h); ++y) {
      for (int64_t x = first(column, w, s.coarse_w); x < first(column + 1, w, s.coarse_w); ++x) {
        want[static_cast<size_t>(((image * h + y) * w + x) * c + k)] += coarse[at];
      }
    }
  }
  Guarded<float> in(fine), add(coarse), fresh(s.fine.count());
  Guarded<float>& y = in_place ? in : fresh;
  op(exec, {s.fine, s.coarse_h, s.coarse_w, in.data(), add.data(), y.data()});
  Verdict v;
  v.require("y", test::compare(y.span(), want, kElementwise));
  v.require("canaries", in.intact() && add.intact() && fresh.intact());
  v.require("coarse untouched", test::compare_bits(add.copy(), coarse));
  return v;
}

// Twice the size, one less than twice, equal, and other ratios.
std::vector<Sizes> sizes() {
  return {{{1, 4, 6, 5}, 2, 3},  {{2, 7, 5, 3}, 4, 3},   {{1, 63, 3, 2}, 32, 2},
          {{2, 3, 3, 16}, 3, 3}, {{1, 1, 1, 9}, 1, 1},   {{1, 5, 8, 17}, 2, 3},
          {{2, 3, 5, 4}, 5, 7},  {{1, 2, 125, 1}, 1, 63}};
}

TEST_CASE("a coarse map added to a finer one") {
  test::for_each_device([](const Exec& exec) {
    for (const Sizes& s : sizes()) {
      for (const bool in_place : {false, true}) {
        test::expect_ok(std::to_string(s.fine.h), check_upsample(upsample_add, exec, s, in_place));
      }
    }
    if (test::is_slow(exec)) return;
    test::expect_ok("large", check_upsample(upsample_add, exec, {{3, 61, 40, 24}, 31, 20}, false));
  });
}

TEST_CASE("planted faults in the added map are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const Sizes s{{2, 7, 6, 3}, 4, 3};
  const auto caught = [&](const std::string& fault, const UpsampleOp& op) {
    test::expect_caught(fault, check_upsample(op, exec, s, false));
  };
  const auto changed = [](const auto& change) {
    return [change](const Exec& e, UpsampleAdd a) {
      change(a);
      upsample_add(e, a);
    };
  };
  caught("height and width exchanged", changed([](auto& a) { std::swap(a.shape.h, a.shape.w); }));
  caught("fine left out", [](const Exec& e, UpsampleAdd a) {
    const Floats zeros(static_cast<size_t>(a.shape.count()));
    a.fine = zeros.data();
    upsample_add(e, a);
  });
  caught("coarse left out",
         [](const Exec&, const UpsampleAdd& a) { std::copy_n(a.fine, a.shape.count(), a.y); });
  // Twice each pixel: right for even sizes only.
  caught("pixel i / 2 after rounding up", [](const Exec&, const UpsampleAdd& a) {
    const auto [n, h, w, c] = a.shape;
    for (int64_t i = 0; i < n * h * w * c; ++i) {
      const int64_t row = std::min(a.coarse_h - 1, (i / c / w % h + 1) / 2);
      const int64_t at = ((i / c / w / h * a.coarse_h + row) * a.coarse_w + i / c % w / 2) * c;
      a.y[i] = a.fine[i] + a.coarse[at + i % c];
    }
  });
}

using ConcatOp = std::function<void(const Exec&, const ConcatChannels&)>;

Verdict check_concat(const ConcatOp& op, const Exec& exec, int64_t rows,
                     const std::vector<int64_t>& channels) {
  std::vector<Floats> parts;
  Floats want;
  for (const int64_t c : channels) parts.push_back(test::uniform(rows * c, parts.size() + 1));
  for (int64_t row = 0; row < rows; ++row) {
    for (size_t part = 0; part < parts.size(); ++part) {
      const auto from = parts[part].begin() + row * channels[part];
      want.insert(want.end(), from, from + channels[part]);
    }
  }
  Guarded<float> a(parts[0]), b(parts[1]), c(parts[2]), y(static_cast<int64_t>(want.size()));
  op(exec, {rows,
            {{{a.data(), channels[0]}, {b.data(), channels[1]}, {c.data(), channels[2]}}},
            y.data()});
  Verdict v;
  v.require("y", test::compare_bits(y.copy(), want));
  v.require("canaries", a.intact() && b.intact() && c.intact() && y.intact());
  return v;
}

TEST_CASE("maps side by side") {
  test::for_each_device([](const Exec& exec) {
    test::expect_ok("one", check_concat(concat_channels, exec, 1, {1, 1, 1}));
    test::expect_ok("ssh", check_concat(concat_channels, exec, 35, {32, 16, 16}));
    test::expect_ok("odd", check_concat(concat_channels, exec, 13, {3, 7, 5}));
    if (test::is_slow(exec)) return;
    test::expect_ok("large", check_concat(concat_channels, exec, 3001, {9, 4, 6}));
  });
}

TEST_CASE("planted faults in maps side by side are caught") {
  const Exec exec{DeviceKind::kCpu, 1};
  const auto caught = [&](const std::string& fault, const auto& change) {
    const auto op = [&](const Exec& e, ConcatChannels a) {
      change(a);
      concat_channels(e, a);
    };
    test::expect_caught(fault, check_concat(op, exec, 12, {4, 2, 2}));
  };
  caught("parts exchanged", [](auto& a) { std::swap(a.parts[1], a.parts[2]); });
  caught("a part twice", [](auto& a) { a.parts[2] = a.parts[1]; });
  caught("last row left out", [](auto& a) { --a.rows; });
}

TEST_CASE("what joining refuses") {
  test::for_each_device([](const Exec& exec) {
    Guarded<float> x(Floats(64, 1.0f)), y(64);
    CHECK_THROWS_AS(upsample_add(exec, {{1, 2, 2, 4}, 0, 1, x.data(), x.data(), y.data()}), Error);
    CHECK_THROWS_AS(upsample_add(exec, {{1, 2, 2, 4}, 1, 1, x.data(), y.data(), y.data()}), Error);
    CHECK_THROWS_AS(upsample_add(exec, {{1, 2, 0, 4}, 1, 1, x.data(), x.data(), y.data()}), Error);
    CHECK_THROWS_AS(
        concat_channels(exec, {4, {{{x.data(), 1}, {x.data(), 0}, {x.data(), 1}}}, y.data()}),
        Error);
    CHECK_THROWS_AS(
        concat_channels(exec, {4, {{{x.data(), 1}, {y.data(), 1}, {x.data(), 1}}}, y.data()}),
        Error);
  });
}

}  // namespace
}  // namespace verace::kernels::feature_maps_test
