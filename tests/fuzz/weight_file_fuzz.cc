// Any weight file as a program uses it: format by content, names, what it says of its network, all
// elements of all tensors.
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"
#include "weights/inspect.h"
#include "weights/model_description.h"
#include "weights/name_map.h"
#include "weights/weight_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  static fuzz::MemoryFile file("weights");
  file.write(data, size);
  return fuzz::check_reader([&] {
    const weights::WeightFile opened(file.path());
    weights::inspect_json(opened, nullptr, true);
    const weights::ModelDescription description = weights::describe(opened);
    weights::find_mismatch(opened, description);
    weights::inspect_table(opened, &description);
  });
}
