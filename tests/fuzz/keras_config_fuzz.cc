// Keras' description of a model, the JSON within a weight file.
#include "weights/keras_config.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader([&] {
    weights::read_keras_config({reinterpret_cast<const char*>(data), size});
  });
}
