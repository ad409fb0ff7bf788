// safetensors: header and tensors.
#include "tests/fuzz/target.h"
#include "weights/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader(
      [&] { weights::parse_safetensors(fuzz::bytes_of(data, size), "fuzz.safetensors"); });
}
