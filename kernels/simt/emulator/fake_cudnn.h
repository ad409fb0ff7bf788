// The engines of the emulated device's cuDNN: what tests can set and count of them.
#pragma once

#include <string>
#include <vector>

#include "kernels/cudnn/conv_graph.h"

namespace verace::simt::emulator {

// An engine that runs the reference device's convolution and differs in what cuDNN would say of it.
struct FakeEngine {
  kernels::cudnn::Engine engine;
  double milliseconds = 1.0;  // that pass on the device's clock in each run
  bool builds = true;
  bool tells_workspace = true;  // before it is built
  bool writes_all = true;       // or leaves the last element of the output as it was
};

struct FakeCudnn {
  std::string version = "emulated";
  std::string serialised_by = "emulated";  // plans that another has serialised cannot be loaded
  std::vector<FakeEngine> engines;  // in the heuristics' order; the same for every convolution
  int proposal_takes = 0;           // milliseconds of real time
  int proposals = 0;                // how often heuristics were asked
  int built = 0;                    // plans made from an engine
  int loaded = 0;                   // plans made from their serialised form
  int runs = 0;
};

// Ready for use by several threads at once only as far as its counters go.
FakeCudnn& fake_cudnn();

// Five engines: the first adds in a changing order (and its results do change), the second rounds
// fp32 operands and needs no workspace, the third wants 3 GiB of it, the fourth is plain, the fifth
// compiled at run time.
std::vector<FakeEngine> usual_fake_engines();

}  // namespace verace::simt::emulator
