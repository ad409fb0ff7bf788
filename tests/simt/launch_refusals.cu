// launch() accepts case 0 and makes the compiler refuse all others; compiled once per case by
// ctest.
#include "kernels/simt/launch.h"

namespace {

struct Owner {
  ~Owner() {}
  float* p;
};
__global__ void kernel(const float*, float*, int, float) {}
[[maybe_unused]] __global__ void by_reference(const float&) {}
[[maybe_unused]] __global__ void by_owner(Owner) {}

}  // namespace

void launch_refusals(const float* x, float* y, std::size_t n, const double* doubles) {
  using verace::simt::launch;
  const int count = static_cast<int>(n);
#if LAUNCH_CASE == 0
  launch(kernel, {1, 256, 0, nullptr}, x, y, count, 2.0f);
#elif LAUNCH_CASE == 1  // narrowed: size_t -> int
  launch(kernel, {1, 256, 0, nullptr}, x, y, n, 2.0f);
#elif LAUNCH_CASE == 2  // narrowed: double -> float
  launch(kernel, {1, 256, 0, nullptr}, x, y, count, 2.0);
#elif LAUNCH_CASE == 3  // too few
  launch(kernel, {1, 256, 0, nullptr}, x, y, count);
#elif LAUNCH_CASE == 4  // another pointer
  launch(kernel, {1, 256, 0, nullptr}, doubles, y, count, 2.0f);
#elif LAUNCH_CASE == 5  // const lost
  launch(kernel, {1, 256, 0, nullptr}, x, x, count, 2.0f);
#elif LAUNCH_CASE == 6  // a reference would point to the host's stack
  launch(by_reference, {1, 256, 0, nullptr}, 2.0f);
#elif LAUNCH_CASE == 7  // not copyable bytewise
  launch(by_owner, {1, 256, 0, nullptr}, Owner{});
#elif LAUNCH_CASE == 8  // too many
  launch(kernel, {1, 256, 0, nullptr}, x, y, count, 2.0f, 3.0f);
#elif LAUNCH_CASE == 9  // no stream: the default one waits for others
  launch(kernel, {1, 256, 0}, x, y, count, 2.0f);
#endif
  static_cast<void>(count);
  static_cast<void>(doubles);
  static_cast<void>(x);
  static_cast<void>(y);
}
