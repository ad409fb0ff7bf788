// compare(): the one way tests compare numbers; it fails whenever it cannot show that they agree.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>

#include "kernels/storage.h"

namespace verace::test {

// An element passes when |got - want| <= absolute + relative * |want|. `reason` says why this much
// is allowed.
struct Tolerance {
  double absolute = 0.0;
  double relative = 0.0;
  std::string reason;
};

struct Comparison {
  bool ok = false;
  std::string message;  // worst index, both values, share of the tolerance used; why it failed
  double used = std::numeric_limits<double>::infinity();  // largest |got - want| / bound
  explicit operator bool() const { return ok; }
};

// Several comparisons of one operation, of which all must hold: what a test's checking function
// returns, for the operation and for its planted faults alike.
struct Verdict {
  bool ok = true;
  std::string message;  // what failed
  double used = 0.0;    // largest share of a tolerance used

  void require(const std::string& what, const Comparison& comparison) {
    used = std::max(used, comparison.used);
    require(what + ": " + comparison.message, comparison.ok);
  }
  void require(const std::string& what, bool holds) {
    if (holds) return;
    ok = false;
    message += message.empty() ? what : "; " + what;
  }
  explicit operator bool() const { return ok; }
};

namespace detail {

// Any element as a number, for messages.
template <typename T>
double number(const T& value) {
  if constexpr (std::is_arithmetic_v<T>) return static_cast<double>(value);
  if constexpr (!std::is_arithmetic_v<T>) return static_cast<double>(kernels::to_float(value));
}

inline Comparison failed(const std::string& message) {
  return {false, message, std::numeric_limits<double>::infinity()};
}

// Empty if sizes and the share of zeros in `want` allow a comparison at all.
template <typename Got, typename Want>
std::string refusal(std::span<const Got> got, std::span<const Want> want,
                    double expected_zero_share) {
  std::ostringstream text;
  if (got.size() != want.size()) {
    text << "size mismatch: got " << got.size() << " values, want " << want.size();
    return text.str();
  }
  if (want.empty()) return "nothing to compare: both sides are empty";
  const auto zeros = std::count_if(want.begin(), want.end(), [](Want w) { return w == Want(0); });
  const double share = static_cast<double>(zeros) / static_cast<double>(want.size());
  const double allowed = std::max(0.5, expected_zero_share + 0.1);
  if (!(share <= allowed)) {
    text << "the reference proves nothing: " << 100.0 * share << " % of it are zeros, allowed "
         << 100.0 * allowed << " %";
  }
  return text.str();
}

}  // namespace detail

// Compares in double. Fails on a size mismatch, on emptiness, on any NaN or infinity on either
// side, and on a reference of which more than half (or expected_zero_share + 0.1, if that is more)
// are zeros.
template <typename Got, typename Want>
Comparison compare_spans(std::span<const Got> got, std::span<const Want> want,
                         const Tolerance& tolerance, double expected_zero_share = 0.0) {
  const std::string refused = detail::refusal(got, want, expected_zero_share);
  if (!refused.empty()) return detail::failed(refused);
  size_t worst = 0, failures = 0;
  double used = -1.0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double g = static_cast<double>(got[i]);
    const double w = static_cast<double>(want[i]);
    const double error = std::abs(g - w);
    const double bound = tolerance.absolute + tolerance.relative * std::abs(w);
    // Stated as what must hold, so that a NaN anywhere fails.
    const bool ok = std::isfinite(g) && std::isfinite(w) && error <= bound;
    double share = error == 0.0 ? 0.0 : error / bound;
    if (!(share <= std::numeric_limits<double>::max())) {
      share = std::numeric_limits<double>::infinity();
    }
    if (!ok) {
      ++failures;
      if (share <= 1.0) share = std::numeric_limits<double>::infinity();
    }
    if (share > used) {
      used = share;
      worst = i;
    }
  }
  std::ostringstream text;
  text.precision(9);
  if (failures > 0) text << failures << " of " << want.size() << " differ; ";
  text << "worst at " << worst << ": got " << static_cast<double>(got[worst]) << ", want "
       << static_cast<double>(want[worst]) << ", " << 100.0 * used
       << " % of the tolerance (absolute " << tolerance.absolute << ", relative "
       << tolerance.relative << ": " << tolerance.reason << ")";
  return {failures == 0, text.str(), used};
}

inline Comparison compare(std::span<const float> got, std::span<const double> want,
                          const Tolerance& tolerance, double expected_zero_share = 0.0) {
  return compare_spans<float, double>(got, want, tolerance, expected_zero_share);
}

inline Comparison compare(std::span<const float> got, std::span<const float> want,
                          const Tolerance& tolerance, double expected_zero_share = 0.0) {
  return compare_spans<float, float>(got, want, tolerance, expected_zero_share);
}

inline Comparison compare(std::span<const double> got, std::span<const double> want,
                          const Tolerance& tolerance, double expected_zero_share = 0.0) {
  return compare_spans<double, double>(got, want, tolerance, expected_zero_share);
}

// For results that must agree in every bit (thread independence, winners of a pooling, bytes): NaN
// equals the same NaN and 0 differs from -0. Zeros are no reason to refuse, since no tolerance can
// hide behind them.
template <typename T>
Comparison compare_bits(std::span<const T> got, std::span<const T> want) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::ostringstream text;
  text.precision(9);
  if (got.size() != want.size()) {
    text << "size mismatch: got " << got.size() << " values, want " << want.size();
    return detail::failed(text.str());
  }
  if (want.empty()) return detail::failed("nothing to compare: both sides are empty");
  size_t failures = 0, first = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::memcmp(&got[i], &want[i], sizeof(T)) == 0) continue;
    if (failures++ == 0) first = i;
  }
  if (failures == 0) return {true, "all bits equal", 0.0};
  text << failures << " of " << want.size() << " differ in bits; first at " << first << ": got "
       << detail::number(got[first]) << ", want " << detail::number(want[first]);
  return detail::failed(text.str());
}

// Spares callers the template argument when they hold vectors, Guarded buffers or spans of
// non-const values.
template <typename A, typename B>
Comparison compare_bits(const A& got, const B& want) {
  using T = std::remove_cvref_t<decltype(*got.data())>;
  return compare_bits<T>(std::span<const T>(got.data(), got.size()),
                         std::span<const T>(want.data(), want.size()));
}

}  // namespace verace::test
