// Which of the engines that cuDNN proposes is taken: by rules, then by its order or by the clock.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "kernels/cudnn/conv_graph.h"
#include "kernels/exec.h"

namespace verace::kernels::cudnn {

// Tuning builds and times so many engines at most, the heuristics' first ones; as many as PyTorch
// does (torch.backends.cudnn.benchmark_limit).
inline constexpr int kMostCandidates = 10;
// Times that differ by less are equal: two runs of one kernel do.
inline constexpr double kTimeTie = 0.02;

// Why the rules do not allow the engine; empty where they do. Always refused: sums in less than
// fp32. fp32 without `tf32`: also whatever rounds operands, and transforms. Where the engine's
// workspace is not yet known, it is not judged.
std::string refusal(const ConvSpec& spec, const ConvPlanning& rules, const Engine& engine);

// Runs a built engine on the device: the time of one run in milliseconds. Throws Error where it
// fails.
using EngineClock = std::function<double(const ConvGraph&, size_t engine)>;

struct Choice {
  size_t engine = 0;
  double milliseconds = 0.0;  // of one run, where it was timed
  int timed = 0;              // engines that were
  std::string note;           // why fewer were timed than tuning wanted; empty: no reason to tell
};

// Asks the heuristics, and builds. kHeuristic: the first engine that the rules allow and that can
// be built. kTuned: of the first kMostCandidates of them, timed by `clock`, the fastest; of those
// within kTimeTie of it the one with the smallest workspace, then the first. An engine that fails
// while it is timed is left out; where all do, or there is no clock, the first is taken and the
// note says why. Throws Error(kInternal) where there is no engine, in one line: the convolution,
// and where the workspace was too large the limit and the least that would do.
Choice choose(ConvGraph& graph, const ConvPlanning& rules, const EngineClock& clock);

}  // namespace verace::kernels::cudnn
