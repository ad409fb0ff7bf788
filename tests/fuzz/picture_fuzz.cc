// Pictures: JPEG, PNG and BMP.
#include "data/image.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader([&] { data::decode_image(fuzz::bytes_of(data, size), "fuzz.jpg"); });
}
