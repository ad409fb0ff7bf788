// The index of a model in several safetensors files.
#include "weights/safetensors_index.h"

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  const auto bytes = fuzz::bytes_of(data, size);
  weights::looks_like_index(bytes);
  return fuzz::check_reader([&] {
    const weights::SafetensorsIndex index = weights::parse_safetensors_index(bytes, "i.json");
    for (const std::string& shard : index.shards) {
      // Nothing outside of the index's folder may ever be opened.
      if (shard.empty() || shard[0] == '.' || shard.find('/') != std::string::npos) std::abort();
    }
  });
}
