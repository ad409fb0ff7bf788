// Asking the compiler's macros; compiled with this folder's options, which others have not.
#include "kernels/build_info.h"

namespace verace::kernels {

std::vector<std::string> compiled_instructions() {
  std::vector<std::string> sets;
#if defined(__SSE2__)
  sets.emplace_back("sse2");
#endif
#if defined(__AVX__)
  sets.emplace_back("avx");
#endif
#if defined(__AVX2__)
  sets.emplace_back("avx2");
#endif
#if defined(__FMA__)
  sets.emplace_back("fma");
#endif
#if defined(__AVX512F__)
  sets.emplace_back("avx512f");
#endif
#if defined(__ARM_NEON)
  sets.emplace_back("neon");
#endif
  return sets;
}

}  // namespace verace::kernels
