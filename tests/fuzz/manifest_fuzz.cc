// Manifests of data sets: CSV, columns, labels, leaks between splits.
#include "data/dataset.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"

// Its pictures must exist: the corpus names /proc/self/exe.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  static fuzz::MemoryFile file("manifest");
  file.write(data, size);
  return fuzz::check_reader(
      [&] { data::load_dataset(file.path(), {.allow_leak = size % 2 == 0}); });
}
