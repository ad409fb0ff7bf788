// The one table of tolerances: by class of operation and accumulation length, each with its reason.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/storage.h"
#include "tests/support/compare.h"

namespace verace::test {

enum class OpClass {
  kExact,             // small integers, copies, signs: no rounding at all
  kElementwise,       // a handful of float operations per element
  kReduction,         // sum over `length` terms
  kConvolution,       // length = r * s * c (forward), p * q * n (filter gradient)
  kMatrixProduct,     // length = inner dimension
  kNormalisation,     // batch norm; length = rows
  kSoftmax,           // length = classes
  kOptimiser,         // one step of Adam; magnitude = the step size
  kFiniteDifference,  // float gradient against central differences in double; length as for its
                      // operation
  kNetwork,           // outputs of chained layers; length = number of layers in sequence
  kNetworkGradient,   // gradients through chained layers; length = number of layers in sequence
};

// `magnitude` is the size of the numbers that enter: the largest |term| of a sum (for products, the
// largest |a| * |b|), the largest |operand| of element-wise work, the largest |value| of the result
// for networks.
inline Tolerance tolerance(OpClass op, int64_t accumulation_length, double magnitude = 1.0) {
  constexpr double u = 0x1p-24;  // unit roundoff of float
  const double length = static_cast<double>(accumulation_length);
  const double root = std::sqrt(length);
  switch (op) {
    case OpClass::kExact:
      return {0.0, 0.0, "every intermediate value is representable: all results must be equal"};
    case OpClass::kElementwise:
      return {8 * u * magnitude, 8 * u, "at most 8 roundings of operands of this magnitude"};
    case OpClass::kReduction:
    case OpClass::kConvolution:
    case OpClass::kMatrixProduct:
      // Terms of random sign: partial sums ~ sqrt(L), each of L additions rounds by u * sqrt(L),
      // the rounding errors add up as sqrt(L): u * L. Terms of one sign: error / sum ~ u * sqrt(L).
      return {
          u * (4 + length) * magnitude, u * (4 + 2 * root),
          "float accumulation of L terms: u*L for random signs, u*sqrt(L) of the sum for one sign"};
    case OpClass::kNormalisation:
      return {
          u * (16 + 2 * root) * magnitude, u * (16 + 2 * root),
          "16 roundings per element (mean, inverse std, affine) and u*sqrt(L) from the statistics"};
    case OpClass::kSoftmax:
      return {u * (16 + 2 * root) * magnitude, u * (16 + 2 * root) * std::fmax(1.0, magnitude),
              "exp within 4 ulp of an argument rounded by u*|logit|, u*sqrt(L) from the sum"};
    case OpClass::kOptimiser:
      return {16 * u * magnitude, 16 * u,
              "about 12 roundings, one square root and one division per weight (1e-6 demanded)"};
    case OpClass::kFiniteDifference:
      return {1e-5 * magnitude + u * (4 + length) * magnitude, 1e-4,
              "float gradient (as its reduction) against central differences in double"};
    case OpClass::kNetwork:
      return {
          2e-5 * length * magnitude, 1e-3,
          "each layer passes on the error before it and adds about u*sqrt(L) of its own values"};
    case OpClass::kNetworkGradient:
      return {1e-4 * length * magnitude, 1e-2,
              "forward and backward through every layer; ReLU masks near zero may flip"};
  }
  return {0.0, 0.0, "unknown class: nothing is allowed"};
}

// What `arithmetic` becomes when the result is rounded to the storage type T in the end: half a
// unit in its last place more, and half of its smallest number where it falls below the normal
// ones. Inputs count as exact: oracles start from the rounded ones.
template <class T>
Tolerance stored_as(const Tolerance& arithmetic) {
  if constexpr (std::is_same_v<T, kernels::Half>) {
    return {arithmetic.absolute + 0x1p-25, arithmetic.relative + 0x1p-11,
            arithmetic.reason + "; rounded to fp16"};
  }
  if constexpr (std::is_same_v<T, kernels::BFloat16>) {
    return {arithmetic.absolute, arithmetic.relative + 0x1p-8,
            arithmetic.reason + "; rounded to bf16"};
  }
  return arithmetic;
}

}  // namespace verace::test
