// How long reading a weight file takes, and how much memory beyond its tensors.
//
// verace_bench_weights FILE [ROUNDS]: prints JSON with the seconds of each round (open, check, all
// tensors as fp32 in row-major order into fresh memory) and, from one more round, the largest
// anonymous memory of the process beyond what it had before and beyond the tensors themselves.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

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
  std::vector<std::vector<float>> tensors;
  for (const weights::TensorView& tensor : file.tensors()) {
    if (!weights::is_exact_in_f32(tensor.dtype)) continue;
    tensors.push_back(file.read_f32(tensor.name));
    round.tensor_bytes += static_cast<int64_t>(tensors.back().size() * sizeof(float));
    if (watch) round.most_anonymous = std::max(round.most_anonymous, anonymous_bytes());
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  round.seconds = taken.count();
  return round;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    text::print(stderr, "verace_bench_weights FILE [ROUNDS]\n");
    return 2;
  }
  try {
    const int64_t before = anonymous_bytes();
    const Round watched = read_all(argv[1], true);
    std::vector<double> seconds;
    for (int i = 0; i < (argc > 2 ? std::atoi(argv[2]) : 10); ++i)
      seconds.push_back(read_all(argv[1], false).seconds);
    std::ranges::sort(seconds);
    text::print(stdout,
                "{{\"tensor_bytes\": {}, \"anonymous_beyond_tensors\": {}, \"seconds\": [{}]}}\n",
                watched.tensor_bytes, watched.most_anonymous - before - watched.tensor_bytes,
                text::join(seconds, ", "));
    return 0;
  } catch (const Error& error) {
    text::print(stderr, "verace_bench_weights: {}\n", error.what());
    return 2;
  }
}
