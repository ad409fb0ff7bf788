// One matrix product as cuBLASLt knows it: column-major, with leading dimensions and an epilogue.
// kernels/simt/emulator/matmul.cc takes the library's place in an emulated build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/gemm.h"

namespace verace::kernels::cublas {

// What is done to a sum before it is written.
enum class Epilogue { kNone, kBias, kRelu, kReluBias };

// D = epilogue(op(A) * op(B) [+ D]), all column-major: element (i, j) of a matrix with leading
// dimension ld lies at i + j * ld. op(A) is [m, k], op(B) [k, n], D [m, n].
struct MatmulSpec {
  int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  int64_t lda = 0, ldb = 0, ldd = 0;
  Epilogue epilogue = Epilogue::kNone;  // the bias is [m], the same in each column
  bool add = false;                     // beta is 1, else 0: D is not read
  bool tf32 = false;                    // operands may be rounded to 10 bits of fraction
};

// The row-major C of kernels/gemm.h: what is row-major [m, n] is column-major [n, m], and
// C^T = op(B)^T op(A)^T. So gemm's B is A here, its A is B, and its n is m.
MatmulSpec column_major(const GemmSpec& spec, bool tf32);

// What both the library and its stand-in demand of pointers.
inline constexpr uintptr_t kOperandAlignment = 16;     // a GPU's widest load
inline constexpr uintptr_t kWorkspaceAlignment = 256;  // cuBLASLt's condition
// Of the workspace that a plan may ask for.
inline constexpr int64_t kWorkspaceLimit = int64_t{32} << 20;

// Device memory.
struct MatmulArgs {
  const float* a = nullptr;
  const float* b = nullptr;
  const float* bias = nullptr;
  float* d = nullptr;
  std::byte* workspace = nullptr;  // workspace_bytes()
};

class Matmul {
 public:
  // Takes the first algorithm that cuBLASLt's heuristics propose for the current device and that
  // suits: it adds in a fixed order, and without tf32 it works on all bits of the operands. Throws
  // Error(kInput) where the library or a device is missing, Error(kInternal) that names the product
  // where no algorithm suits.
  explicit Matmul(const MatmulSpec& spec);
  ~Matmul();
  Matmul(Matmul&&) noexcept;
  Matmul& operator=(Matmul&&) noexcept;

  int64_t workspace_bytes() const;
  const std::string& algorithm() const;  // cuBLASLt's number, tile and splits, for reports
  // Enqueues the product. Allocates nothing. Throws Error(kInternal) with call and product.
  void run(CUstream_st* stream, const MatmulArgs& args) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "matmul fp32 2x64x2048 A^T +bias (ld 2048, 2048, 2)": m, n, k and what is special about it.
std::string to_string(const MatmulSpec& spec);

}  // namespace verace::kernels::cublas
