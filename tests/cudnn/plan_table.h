// What plans_test asks for and writes: the table of cuDNN's plans, build/cuda/cudnn_plans.md.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cudnn/h200.h"
#include "tests/cudnn/recorded_convolutions.h"

namespace verace::test {

inline kernels::cudnn::ConvSpec spec_of(const RecordedConvolution& c, int64_t batch,
                                        const Precision& precision) {
  kernels::cudnn::ConvSpec spec{c.pass, c.g, c.post, precision.type, precision.tf32};
  spec.g.x.n = batch;
  return spec;
}

inline double seconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

inline std::string bytes_text(int64_t bytes) {
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  if (bytes < 10'000'000) return std::to_string(bytes / 1000) + " kB";
  return std::to_string(bytes / 1'000'000) + " MB";
}

inline std::string cell(const kernels::cudnn::Engine& engine) {
  return "`" + engine.name + "` " +
         (engine.runtime_compiled ? "compiled" : bytes_text(engine.workspace_bytes));
}

// "forward+bias 56x56x64 -> 56x56x256, 1x1/1 pad 0": without batch and precision.
inline std::string row_name(const RecordedConvolution& c) {
  std::string text = to_string(spec_of(c, 1, kPrecisions[0]));
  for (const char* part : {" fp32 1x", " -> 1x"}) {
    const size_t at = text.find(part);
    REQUIRE(at != std::string::npos);
    text.replace(at, std::string(part).size(),
                 std::string(part).starts_with(" fp32") ? " " : " -> ");
  }
  return text;
}

class PlanTable {
 public:
  explicit PlanTable(size_t convolutions) {
    text_
        << "# cuDNN's plans for an NVIDIA H200\n\nWritten by `cudnn/plans_test`, without a GPU, by "
           "cuDNN "
        << kernels::cudnn::version() << ": " << convolutions
        << " convolutions, at three batch sizes.\n\nEach cell: the engine with its settings as "
           "cuDNN numbers them, and the bytes of its workspace. "
           "\"Compiled\" engines are compiled where the device is; here it is only known that "
           "cuDNN would. fp32: no tensor cores.\n";
  }
  void precision(const char* name) {
    text_ << "\n## " << name
          << "\n\n| convolution | batch 1 | batch 64 | batch 256 |\n|---|---|---|---|\n";
  }
  void row(const RecordedConvolution& c, const std::vector<std::string>& cells) {
    text_ << "| " << row_name(c);
    for (const std::string& cell : cells) text_ << " | " << cell;
    text_ << " |\n";
  }
  void askers(const std::vector<RecordedConvolution>& convolutions) {
    text_ << "\n## Who asks for them\n\n| convolution | first step | steps |\n|---|---|---|\n";
    for (const RecordedConvolution& c : convolutions) {
      text_ << "| " << row_name(c) << " | " << c.steps.front() << " | " << c.steps.size() << " |\n";
    }
  }
  void write() const {
    const char* path = std::getenv("VERACE_CUDNN_PLANS");
    if (path == nullptr) return;
    std::ofstream(path) << text_.str();
  }

 private:
  std::ostringstream text_;
};

}  // namespace verace::test
