// A MatmulSpec in cuBLASLt's own words: what tests read back without a GPU.
#pragma once

#include <cublasLt.h>

#include "kernels/cublas/matmul.h"

namespace verace::kernels::cublas {

// Made in place; nothing has to be destroyed, so a run makes one without allocating.
using Operation = cublasLtMatmulDescOpaque_t;
using Layout = cublasLtMatrixLayoutOpaque_t;
using Preference = cublasLtMatmulPreferenceOpaque_t;

struct Layouts {
  Layout a, b, d;
};

// Arithmetic, transpositions, epilogue, and the pointer to the bias where there is one. Heuristics
// take the alignment out of it. All throw Error(kInput) where the library is missing, and
// Error(kInternal) where it refuses something.
Operation operation_of(const MatmulSpec& spec, const float* bias);
Layouts layouts_of(const MatmulSpec& spec);
// Workspace limit, alignment of the operands, no additions in a changing order.
Preference preference_of(const MatmulSpec& spec);

// Throws Error(kInternal) with call, product and cuBLASLt's reason unless all is well.
void check(cublasStatus_t status, const char* call, const MatmulSpec& spec);

}  // namespace verace::kernels::cublas
