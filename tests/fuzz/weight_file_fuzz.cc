// Any weight file as a program uses it: format by content, names, what it says of its network, all
// elements of all tensors.
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"
#include "weights/inspect.h"
#include "weights/weight_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  static fuzz::MemoryFile file("weights");
  file.write(data, size);
  return fuzz::check_reader([&] {
    const weights::WeightFile opened(file.path());
    const weights::Inspection seen = weights::inspect(opened);
    weights::inspect_json(seen, true);
    weights::inspect_table(seen);
  });
}
