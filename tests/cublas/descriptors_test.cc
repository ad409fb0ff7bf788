// What cuBLASLt is told of each product, read back from its own descriptors: needs the library, no
// GPU.
#include "kernels/cublas/descriptors.h"

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cublas/library.h"
#include "tests/support/cublas.h"

namespace verace::kernels::cublas::descriptors_test {
namespace {

// False, and a line that says so, where the library is missing.
bool have_library(const std::string& test_case) {
  const std::string reason = test::why_no_cublas();
  if (!reason.empty()) test::skip_without_cudnn("cublas/descriptors_test " + test_case, reason);
  return reason.empty();
}

template <typename Value>
Value read(const Operation& operation, cublasLtMatmulDescAttributes_t attribute) {
  static const auto get = library().function<decltype(cublasLtMatmulDescGetAttribute)>(
      "cublasLtMatmulDescGetAttribute");
  Value value{};
  size_t written = 0;
  Operation copy = operation;
  REQUIRE(get(&copy, attribute, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(written == sizeof value);
  return value;
}
template <typename Value>
Value read(const Layout& layout, cublasLtMatrixLayoutAttribute_t attribute) {
  static const auto get = library().function<decltype(cublasLtMatrixLayoutGetAttribute)>(
      "cublasLtMatrixLayoutGetAttribute");
  Value value{};
  size_t written = 0;
  Layout copy = layout;
  REQUIRE(get(&copy, attribute, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(written == sizeof value);
  return value;
}
template <typename Value>
Value read(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute) {
  static const auto get = library().function<decltype(cublasLtMatmulPreferenceGetAttribute)>(
      "cublasLtMatmulPreferenceGetAttribute");
  Value value{};
  size_t written = 0;
  Preference copy = preference;
  REQUIRE(get(&copy, attribute, &value, sizeof value, &written) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(written == sizeof value);
  return value;
}

// A matrix as the library understands it.
struct Matrix {
  int64_t rows, columns, ld;
  int64_t offset(int64_t i, int64_t j) const { return i + j * ld; }
};
Matrix matrix(const Layout& layout) {
  REQUIRE(read<uint32_t>(layout, CUBLASLT_MATRIX_LAYOUT_TYPE) == CUDA_R_32F);
  REQUIRE(read<int32_t>(layout, CUBLASLT_MATRIX_LAYOUT_ORDER) == CUBLASLT_ORDER_COL);
  REQUIRE(read<int32_t>(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT) == 1);
  return {static_cast<int64_t>(read<uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_ROWS)),
          static_cast<int64_t>(read<uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_COLS)),
          read<int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_LD)};
}

// Why the descriptors do not say what the row-major product is; empty where they do. Every element
// of each matrix is looked up in both ways: C[i, j] = sum over l of A[i, l] * B[l, j].
std::string wrong(const GemmSpec& s, const Operation& operation, const Layouts& layouts) {
  const Matrix first = matrix(layouts.a), second = matrix(layouts.b), d = matrix(layouts.d);
  const auto first_op = read<int32_t>(operation, CUBLASLT_MATMUL_DESC_TRANSA);
  const auto second_op = read<int32_t>(operation, CUBLASLT_MATMUL_DESC_TRANSB);
  const bool first_t = first_op == CUBLAS_OP_T, second_t = second_op == CUBLAS_OP_T;
  if ((!first_t && first_op != CUBLAS_OP_N) || (!second_t && second_op != CUBLAS_OP_N)) return "op";
  if (d.rows != s.n || d.columns != s.m) return "D's shape";
  if ((first_t ? first.columns : first.rows) != s.n) return "rows of the first";
  if ((first_t ? first.rows : first.columns) != s.k) return "columns of the first";
  if ((second_t ? second.columns : second.rows) != s.k) return "rows of the second";
  if ((second_t ? second.rows : second.columns) != s.m) return "columns of the second";
  for (const Matrix& x : {first, second, d}) {
    if (x.ld < x.rows) return "leading dimension";
  }
  for (int64_t i = 0; i < s.m; ++i) {
    for (int64_t j = 0; j < s.n; ++j) {
      if (d.offset(j, i) != i * s.n + j) return "D";
      for (int64_t l = 0; l < s.k; ++l) {
        const int64_t a = s.transpose_a ? l * s.m + i : i * s.k + l;
        const int64_t b = s.transpose_b ? j * s.k + l : l * s.n + j;
        if ((first_t ? first.offset(l, j) : first.offset(j, l)) != b) return "first is not B";
        if ((second_t ? second.offset(i, l) : second.offset(l, i)) != a) return "second is not A";
      }
    }
  }
  return "";
}

std::vector<GemmSpec> products() {
  std::vector<GemmSpec> all;
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{3, 5, 7}, {1, 2, 9}, {8, 1, 4}}) {
    for (int transposed = 0; transposed < 4; ++transposed) {
      GemmSpec s{.m = m, .n = n, .k = k};
      s.transpose_a = (transposed & 1) != 0;
      s.transpose_b = (transposed & 2) != 0;
      all.push_back(s);
    }
  }
  return all;
}

TEST_CASE("each product is described as it was meant") {
  if (!have_library("products")) return;
  for (const GemmSpec& s : products()) {
    const MatmulSpec spec = column_major(s, false);
    INFO(to_string(s), "; ", to_string(spec));
    CHECK(wrong(s, operation_of(spec, nullptr), layouts_of(spec)) == "");
  }
}

TEST_CASE("arithmetic, epilogue and bias") {
  if (!have_library("arithmetic")) return;
  static const float bias = 0;
  for (const bool tf32 : {false, true}) {
    for (int after = 0; after < 4; ++after) {
      const bool with_bias = (after & 1) != 0, relu = (after & 2) != 0;
      const MatmulSpec spec =
          column_major({.m = 3, .n = 5, .k = 7, .bias = with_bias, .relu = relu}, tf32);
      const Operation o = operation_of(spec, &bias);
      CHECK(read<int32_t>(o, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE) ==
            (tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F));
      CHECK(read<int32_t>(o, CUBLASLT_MATMUL_DESC_SCALE_TYPE) == CUDA_R_32F);
      CHECK(read<int32_t>(o, CUBLASLT_MATMUL_DESC_POINTER_MODE) == CUBLASLT_POINTER_MODE_HOST);
      const cublasLtEpilogue_t names[] = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS,
                                          CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_BIAS};
      CHECK(read<uint32_t>(o, CUBLASLT_MATMUL_DESC_EPILOGUE) == names[after]);
      CHECK(read<const void*>(o, CUBLASLT_MATMUL_DESC_BIAS_POINTER) ==
            (with_bias ? &bias : nullptr));
    }
  }
}

TEST_CASE("what an algorithm may do") {
  if (!have_library("preference")) return;
  const Preference p = preference_of(column_major({.m = 3, .n = 5, .k = 7}, false));
  CHECK(read<uint64_t>(p, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) == 32u << 20);
  CHECK(read<uint32_t>(p, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) ==
        CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
  for (const auto operand :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    CHECK(read<uint32_t>(p, operand) == 16);
  }
}

TEST_CASE("planted faults are found") {
  if (!have_library("faults")) return;
  for (const GemmSpec& s : products()) {
    if (s.m == 1 || s.n == 1) continue;  // there a vector may lie either way
    INFO(to_string(s));
    const auto caught = [&](const char* fault, const auto& change) {
      MatmulSpec spec = column_major(s, false);
      change(spec);
      INFO(fault);
      CHECK(wrong(s, operation_of(spec, nullptr), layouts_of(spec)) != "");
    };
    caught("m and n", [](MatmulSpec& m) { std::swap(m.m, m.n); });
    caught("A^T", [](MatmulSpec& m) { m.transpose_a = !m.transpose_a; });
    caught("B^T", [](MatmulSpec& m) { m.transpose_b = !m.transpose_b; });
    caught("both", [](MatmulSpec& m) {
      std::swap(m.transpose_a, m.transpose_b);
      std::swap(m.lda, m.ldb);
      std::swap(m.m, m.n);
    });
    caught("lda", [](MatmulSpec& m) { ++m.lda; });
    caught("ldb", [](MatmulSpec& m) { ++m.ldb; });
    caught("ldd", [](MatmulSpec& m) { ++m.ldd; });
    caught("k", [](MatmulSpec& m) { --m.k; });
  }
}

TEST_CASE("the library is the one of the headers; without a GPU the plan says what is missing") {
  if (!have_library("library")) return;
  CHECK(version().starts_with(std::to_string(CUBLAS_VER_MAJOR) + "."));
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess && count > 0) return;
  try {
    plan_gemm(Exec{DeviceKind::kCuda}, {.m = 3, .n = 5, .k = 7});
    FAIL("a plan without a device");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(std::string(error.what()).find("no CUDA device") != std::string::npos);
  }
}

}  // namespace
}  // namespace verace::kernels::cublas::descriptors_test
