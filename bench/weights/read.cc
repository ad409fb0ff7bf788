// How long reading a weight file takes, and how much memory beyond its tensors.
//
// verace_bench_weights FILE [SMALL]: prints JSON with the seconds that it takes to open and check
// FILE and read all tensors as a network is loaded: as fp32 into fresh memory of the engine,
// filters in its order; SMALL is read before, so that what a process does once is done. Then,
// reading again, the largest anonymous memory of the process beyond what it had before and beyond
// the tensors themselves.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "engine/memory.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/weight_file.h"

namespace {

using namespace verace;

// RssAnon of /proc/self/status, in bytes.
int64_t anonymous_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::atoll(line.c_str() + 8) * 1024;
  }
  return 0;
}

struct Round {
  double seconds = 0;
  int64_t tensor_bytes = 0, most_anonymous = 0;
};

Round read_all(const std::string& path, bool watch) {
  Round round;
  const auto start = std::chrono::steady_clock::now();
  const weights::WeightFile file(path);
  std::vector<engine::Buffer> tensors;
  for (const weights::TensorView& tensor : file.tensors()) {
    if (!weights::is_exact_in_f32(tensor.dtype)) continue;
    const int64_t count = tensor.element_count(), bytes = count * int64_t{sizeof(float)};
    tensors.emplace_back(bytes, engine::MemoryKind::kHost, engine::Contents::kUndefined);
    const std::span<float> target(reinterpret_cast<float*>(tensors.back().data()),
                                  static_cast<size_t>(count));
    if (tensor.shape.size() == 4) {
      file.read_filter_f32(tensor.name, target);
    } else {
      file.read_f32(tensor.name, target);
    }
    round.tensor_bytes += bytes;
    if (watch) round.most_anonymous = std::max(round.most_anonymous, anonymous_bytes());
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  round.seconds = taken.count();
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    text::print(stderr, "verace_bench_weights FILE [SMALL]\n");
    return 2;
  }
  try {
    if (argc > 2) read_all(argv[2], false);
    const double seconds = read_all(argv[1], false).seconds;
    const int64_t before = anonymous_bytes();
    const Round watched = read_all(argv[1], true);
    text::print(
        stdout, "{{\"tensor_bytes\": {}, \"anonymous_beyond_tensors\": {}, \"seconds\": {}}}\n",
        watched.tensor_bytes, watched.most_anonymous - before - watched.tensor_bytes, seconds);
    return 0;
  } catch (const Error& error) {
    text::print(stderr, "verace_bench_weights: {}\n", error.what());
    return 2;
  }
}
