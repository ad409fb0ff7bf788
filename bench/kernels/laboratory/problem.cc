// The judgement on a run: its outputs against the host's answer.
#include "bench/kernels/laboratory/problem.h"

#include <cmath>
#include <cstdio>

namespace verace::laboratory {
namespace {

// A storage type's values as floats; the host's answer holds floats already.
std::vector<float> floats(const Values& v) {
  std::vector<float> all(static_cast<size_t>(v.count()));
  const auto widen = [&](const auto* from) {
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < v.count(); ++i)
      all[static_cast<size_t>(i)] = kernels::to_float(from[i]);
  };
  if (v.type == ElementType::kHalf) {
    widen(v.as<Half>().data());
  } else if (v.type == ElementType::kBFloat16) {
    widen(v.as<BFloat16>().data());
  } else {
    widen(v.as<float>().data());
  }
  return all;
}

bool is_float(ElementType type) {
  return type == ElementType::kFloat || type == ElementType::kHalf ||
         type == ElementType::kBFloat16;
}

// Zeros are as good as any other number here: the outputs began as NaN.
constexpr double kZerosAllowed = 1.0;

test::Comparison compare(const Values& got, const Values& want) {
  if (is_float(want.type)) {
    return test::compare_spans<float, float>(floats(got), floats(want), got.tolerance,
                                             kZerosAllowed);
  }
  if (want.type == ElementType::kDouble) {
    return test::compare_spans<double, double>(got.as<double>(), want.as<double>(), got.tolerance,
                                               kZerosAllowed);
  }
  return test::compare_bits<uint8_t>(got.as<uint8_t>(), want.as<uint8_t>());
}

}  // namespace

Values widened(const Values& values) {
  if (!is_float(values.type)) return values;
  const std::vector<float> all = floats(values);
  const auto* bytes = reinterpret_cast<const std::byte*>(all.data());
  return {values.name,
          ElementType::kFloat,
          values.tolerance,
          {bytes, bytes + all.size() * sizeof(float)}};
}

test::Verdict judge(const std::vector<Values>& got, const std::vector<Values>& want) {
  test::Verdict verdict;
  verdict.require("number of outputs", got.size() == want.size() && !want.empty());
  for (size_t i = 0; verdict.ok && i < want.size(); ++i) {
    verdict.require(want[i].name, compare(got[i], want[i]));
  }
  return verdict;
}

std::string describe(const test::Verdict& verdict) {
  if (!verdict.ok) return verdict.message;
  char text[64];
  std::snprintf(text, sizeof text, "%.0f %% of the tolerance", 100.0 * verdict.used);
  return text;
}

}  // namespace verace::laboratory
