// The emulated device's cuBLASLt: column-major products of kernels/cublas by plain loops, in the
// order of a stream. The code that fills the descriptions and calls them is the one that a GPU
// runs.
#include "kernels/cublas/matmul.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/check.h"
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/emulator/library_call.h"

namespace verace::kernels::cublas {
namespace {

namespace emulator = simt::emulator;

// Odd on purpose: what stands behind the workspace must not be touched.
constexpr int64_t kWorkspaceBytes = 1003;

bool is_aligned(const void* p, uintptr_t alignment) {
  return p != nullptr && reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

// To 10 bits of fraction, to nearest, ties to even: what the tensor cores get.
float rounded_to_tf32(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits += 0xfffu + (bits >> 13 & 1u);
  bits &= ~uint32_t{0x1fff};
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// A stored matrix, column-major, as it lies in the memory of the device.
struct Stored {
  const float* data;
  int64_t rows, columns, ld;
  bool transposed;

  size_t bytes() const { return static_cast<size_t>((columns - 1) * ld + rows) * sizeof(float); }
  float at(int64_t i, int64_t j) const { return transposed ? data[j + i * ld] : data[i + j * ld]; }
};

// The stored shape of an operand of which op() has these rows and columns.
Stored operand(const float* data, int64_t rows, int64_t columns, int64_t ld, bool transposed) {
  return transposed ? Stored{data, columns, rows, ld, true}
                    : Stored{data, rows, columns, ld, false};
}

bool has_bias(const MatmulSpec& s) {
  return s.epilogue == Epilogue::kBias || s.epilogue == Epilogue::kReluBias;
}
bool has_relu(const MatmulSpec& s) {
  return s.epilogue == Epilogue::kRelu || s.epilogue == Epilogue::kReluBias;
}

struct Operands {
  Operands(const MatmulSpec& s, const MatmulArgs& args)
      : a(operand(args.a, s.m, s.k, s.lda, s.transpose_a)),
        b(operand(args.b, s.k, s.n, s.ldb, s.transpose_b)),
        d(operand(args.d, s.m, s.n, s.ldd, false)) {}
  Stored a, b, d;
};

size_t bias_bytes(const MatmulSpec& s) { return static_cast<size_t>(s.m) * sizeof(float); }

void check_memory(const MatmulSpec& s, const MatmulArgs& args) {
  const Operands o(s, args);
  const std::string what = to_string(s);
  emulator::check_device_memory(o.a.data, o.a.bytes(), "A of " + what);
  emulator::check_device_memory(o.b.data, o.b.bytes(), "B of " + what);
  emulator::check_device_memory(o.d.data, o.d.bytes(), "D of " + what);
  if (has_bias(s)) emulator::check_device_memory(args.bias, bias_bytes(s), "bias of " + what);
  emulator::check_device_memory(args.workspace, kWorkspaceBytes, "workspace of " + what);
}

void check_contents(const MatmulSpec& s, const MatmulArgs& args) {
  const Operands o(s, args);
  const std::string what = to_string(s);
  emulator::check_written(o.a.data, o.a.bytes(), "A of " + what);
  emulator::check_written(o.b.data, o.b.bytes(), "B of " + what);
  if (s.add) emulator::check_written(o.d.data, o.d.bytes(), "D of " + what);
  if (has_bias(s)) emulator::check_written(args.bias, bias_bytes(s), "bias of " + what);
}

void multiply(const MatmulSpec& s, const MatmulArgs& args) {
  check_memory(s, args);  // it may be gone since the call
  check_contents(s, args);
  const auto [a, b, d] = Operands(s, args);
  const auto entering = [&](float x) { return s.tf32 ? rounded_to_tf32(x) : x; };
  for (int64_t j = 0; j < s.n; ++j) {
    for (int64_t i = 0; i < s.m; ++i) {
      double sum = 0.0;
      for (int64_t l = 0; l < s.k; ++l) {
        sum += static_cast<double>(entering(a.at(i, l))) * entering(b.at(l, j));
      }
      if (s.add) sum += d.at(i, j);
      if (has_bias(s)) sum += args.bias[i];
      // NVIDIA leaves open what becomes of a NaN; this is the worst that may.
      if (has_relu(s)) sum = sum > 0.0 ? sum : 0.0;
      args.d[i + j * s.ldd] = static_cast<float>(sum);
    }
    emulator::remember(args.d + j * s.ldd, static_cast<size_t>(s.m) * sizeof(float));
  }
  std::fill_n(args.workspace, kWorkspaceBytes, std::byte{0xFF});
}

}  // namespace

struct Matmul::Impl {
  MatmulSpec spec;
  std::string name = "emulated by plain loops";
};

Matmul::Matmul(const MatmulSpec& spec) : impl_(std::make_unique<Impl>(Impl{spec})) {
  const MatmulSpec& s = spec;
  VERACE_CHECK(s.m > 0 && s.n > 0 && s.k > 0, to_string(s));
  VERACE_CHECK(s.lda >= (s.transpose_a ? s.k : s.m), to_string(s));
  VERACE_CHECK(s.ldb >= (s.transpose_b ? s.n : s.k), to_string(s));
  VERACE_CHECK(s.ldd >= s.m, to_string(s));
}
Matmul::~Matmul() = default;
Matmul::Matmul(Matmul&&) noexcept = default;
Matmul& Matmul::operator=(Matmul&&) noexcept = default;

int64_t Matmul::workspace_bytes() const { return kWorkspaceBytes; }
const std::string& Matmul::algorithm() const { return impl_->name; }

void Matmul::run(CUstream_st* stream, const MatmulArgs& args) const {
  const MatmulSpec& s = impl_->spec;
  VERACE_CHECK(is_aligned(args.a, kOperandAlignment) && is_aligned(args.b, kOperandAlignment) &&
                   is_aligned(args.d, kOperandAlignment),
               to_string(s));
  VERACE_CHECK(!has_bias(s) || is_aligned(args.bias, kOperandAlignment), to_string(s));
  VERACE_CHECK(is_aligned(args.workspace, kWorkspaceAlignment), to_string(s));
  check_memory(s, args);
  emulator::enqueue_library_call(stream, [s, args] { multiply(s, args); });
}

}  // namespace verace::kernels::cublas
