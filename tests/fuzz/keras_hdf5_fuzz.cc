// Keras' HDF5 files.
#include "tests/fuzz/target.h"
#include "weights/hdf5/keras.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader(
      [&] { weights::parse_keras_hdf5(fuzz::bytes_of(data, size), "fuzz.h5"); });
}
