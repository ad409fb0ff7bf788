// PyTorch's .pth zips: directory, pickle, tensors.
#include "tests/fuzz/target.h"
#include "weights/torch/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader(
      [&] { weights::parse_torch_zip(fuzz::bytes_of(data, size), "fuzz.pth"); });
}
