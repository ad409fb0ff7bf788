// A run's configuration: TOML and the values of its options.
#include "apps/lib/trainer_options.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  return fuzz::check_reader([&] {
    apps::TrainOptions options;
    apps::read_config(std::string(reinterpret_cast<const char*>(data), size), "config.toml",
                      options);
    // What was accepted can be written, and says the same again.
    const std::string written = apps::config_text(options);
    apps::TrainOptions again;
    fuzz::read_again([&] { apps::read_config(written, "config.toml", again); });
    if (apps::config_text(again) != written) std::abort();
  });
}
