// The main program of a fuzz target without libFuzzer: replays its corpus, then changes it at
// random.
//
//   PROGRAM FOLDER [SECONDS [SEED]]
//
// Every file of FOLDER goes to the target once; then, for SECONDS, files with a few random changes
// (bits, bytes, integers at their limits, ranges cut out, doubled or taken from another file). The
// input that a failure belongs to is in the file PROGRAM.input.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"
#include "tests/support/sanitized.h"

namespace {

namespace fs = std::filesystem;
using Input = std::vector<uint8_t>;

Input read_input(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string failed_input_path;
const Input* current = nullptr;

// Only what is safe in a signal handler would be right here; the program is lost anyway.
void keep_input(int signal) {
  std::signal(signal, SIG_DFL);
  if (current != nullptr) {
    std::ofstream file(failed_input_path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(current->data()),
               static_cast<std::streamsize>(current->size()));
    file.flush();
    std::fprintf(stderr, "the input is in %s\n", failed_input_path.c_str());
  }
  std::raise(signal);
}

void run(const Input& input) {
  // A copy without spare capacity: AddressSanitizer then sees the first byte behind it.
  const Input exact(input.begin(), input.end());
  current = &exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  current = nullptr;
}

class Mutator {
 public:
  Mutator(const std::vector<Input>& corpus, uint64_t seed) : corpus_(corpus), random_(seed) {}

  Input next() {
    Input input = corpus_[below(corpus_.size())];
    for (size_t left = 1 + below(6); left > 0; --left) change(input);
    return input;
  }

 private:
  // 0 for 0, else less than `limit`.
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void change(Input& input) {
    const size_t at = below(input.size());
    const size_t some = std::min(input.size() - at, 1 + below(below(2) == 0 ? 16 : 512));
    const auto begin = input.begin() + static_cast<ptrdiff_t>(at);
    const auto end = begin + static_cast<ptrdiff_t>(some);
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<uint8_t>(input[at] ^ (1U << below(8)));
        return;
      case 1:
        if (!input.empty()) input[at] = static_cast<uint8_t>(below(256));
        return;
      case 2:
        return write_integer(input, at);
      case 3:
        input.erase(begin, end);
        return;
      case 4: {
        const Input copy(begin, end);
        input.insert(begin, copy.begin(), copy.end());
        return;
      }
      case 5:
        input.resize(at);
        return;
      default: {
        const Input& other = corpus_[below(corpus_.size())];
        const size_t from = below(other.size());
        const size_t count = std::min({some, other.size() - from, input.size() - at});
        if (count > 0) std::memcpy(input.data() + at, other.data() + from, count);
      }
    }
  }

  // A number at the edge of a type, little-endian, 1 to 8 bytes.
  void write_integer(Input& input, size_t at) {
    constexpr std::array<uint64_t, 10> kEdges{
        0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, UINT64_MAX, UINT64_MAX / 2};
    const uint64_t value = kEdges[below(kEdges.size())] + below(3) - 1;
    const size_t width = std::min(size_t{1} << below(4), input.size() - at);
    for (size_t i = 0; i < width; ++i) input[at + i] = static_cast<uint8_t>(value >> (8 * i));
  }

  const std::vector<Input>& corpus_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "use: %s FOLDER [SECONDS [SEED]]\n", argv[0]);
    return 2;
  }
  failed_input_path = std::string(argv[0]) + ".input";
  std::signal(SIGABRT, keep_input);
  if (!verace::test::is_sanitized()) {  // else the sanitizers' reports, which then abort
    for (const int signal : {SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, keep_input);
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(argv[1])) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const fs::path& file : files) {
    corpus.push_back(read_input(file));
    run(corpus.back());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no files to replay\n", argv[1]);
    return 1;
  }
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0;
  Mutator mutator(corpus, argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  const auto begin = std::chrono::steady_clock::now();
  int64_t changed = 0;
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() <
         seconds) {
    run(mutator.next());
    ++changed;
  }
  std::printf("%zu files replayed, %lld changed ones tried\n", corpus.size(),
              static_cast<long long>(changed));
  return 0;
}
