// The usual engines of the emulated device's cuDNN.
#include "kernels/simt/emulator/fake_cudnn.h"

namespace verace::simt::emulator {

FakeCudnn& fake_cudnn() {
  static FakeCudnn the_one{.engines = usual_fake_engines()};
  return the_one;
}

std::vector<FakeEngine> usual_fake_engines() {
  std::vector<FakeEngine> engines(5);
  // Sizes are odd on purpose: what stands behind the workspace must not be touched.
  engines[0].engine = {.name = "eng0", .workspace_bytes = 517, .deterministic = false};
  engines[1].engine = {.name = "eng1_k2=1", .workspace_bytes = 0, .tensor_cores = true};
  engines[2].engine = {.name = "eng2_k2=1", .workspace_bytes = int64_t{3} << 30};
  engines[3].engine = {.name = "eng3_k2=1", .workspace_bytes = 1003};
  engines[4].engine = {.name = "eng4", .workspace_bytes = 2001, .runtime_compiled = true};
  return engines;
}

}  // namespace verace::simt::emulator
