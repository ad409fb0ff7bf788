// Filling cuBLASLt's descriptors.
#include "kernels/cublas/descriptors.h"

#include "kernels/check.h"
#include "kernels/cublas/library.h"
#include "kernels/format.h"

namespace verace::kernels::cublas {
namespace {

template <typename Value>
void set(Operation& operation, cublasLtMatmulDescAttributes_t attribute, const Value& value,
         const MatmulSpec& spec) {
  check(functions().operation_set(&operation, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute", spec);
}

template <typename Value>
void set(Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute, Value value,
         const MatmulSpec& spec) {
  check(functions().preference_set(&preference, attribute, &value, sizeof value),
        "cublasLtMatmulPreferenceSetAttribute", spec);
}

cublasLtEpilogue_t cublas_epilogue(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::kBias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::kRelu:
      return CUBLASLT_EPILOGUE_RELU;
    case Epilogue::kReluBias:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Epilogue::kNone:
      break;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

}  // namespace

void check(cublasStatus_t status, const char* call, const MatmulSpec& spec) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail_check("cuBLASLt", __FILE__, __LINE__,
             one_line(text::format("{}: {} failed: {}", to_string(spec), call,
                                   functions().status_string(status))));
}

Operation operation_of(const MatmulSpec& spec, const float* bias) {
  Operation operation;
  check(functions().operation_init(&operation, sizeof operation,
                                   spec.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                                   CUDA_R_32F),
        "cublasLtMatmulDescInit", spec);
  const cublasOperation_t a = spec.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t b = spec.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, a, spec);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, b, spec);
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, cublas_epilogue(spec.epilogue), spec);
  if (spec.epilogue == Epilogue::kBias || spec.epilogue == Epilogue::kReluBias) {
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias, spec);
  }
  return operation;
}

Layouts layouts_of(const MatmulSpec& spec) {
  const auto layout = [&](int64_t rows, int64_t columns, int64_t ld) {
    Layout made;
    check(functions().layout_init(&made, sizeof made, CUDA_R_32F, static_cast<uint64_t>(rows),
                                  static_cast<uint64_t>(columns), ld),
          "cublasLtMatrixLayoutInit", spec);
    return made;
  };
  return {spec.transpose_a ? layout(spec.k, spec.m, spec.lda) : layout(spec.m, spec.k, spec.lda),
          spec.transpose_b ? layout(spec.n, spec.k, spec.ldb) : layout(spec.k, spec.n, spec.ldb),
          layout(spec.m, spec.n, spec.ldd)};
}

Preference preference_of(const MatmulSpec& spec) {
  Preference preference;
  check(functions().preference_init(&preference, sizeof preference), "cublasLtMatmulPreferenceInit",
        spec);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(kWorkspaceLimit),
      spec);
  // Sums in pieces only by way of the workspace, where the pieces are added in order.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE), spec);
  for (const cublasLtMatmulPreferenceAttributes_t operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(preference, operand, static_cast<uint32_t>(kOperandAlignment), spec);
  }
  return preference;
}

}  // namespace verace::kernels::cublas
