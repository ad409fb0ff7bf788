// A run's checkpoint: the state and recipe that --resume goes by, and the optimiser's moments.
//
// An input that begins with '{' is the text of the state alone; any other one is a whole file,
// whose checksum is set right first: whoever makes a hostile file can do that, too.
#include <cstring>
#include <string>
#include <string_view>

#include "apps/lib/checkpoint_state.h"
#include "apps/lib/trainer_options.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/target.h"
#include "tests/support/small_optimiser.h"
#include "weights/safetensors_checksum.h"

namespace {

using namespace verace;

// What resuming does with a state: it reads the options, and stores the state again.
void use(const apps::Checkpoint& checkpoint, const optim::Adam& adam) {
  const std::string text = apps::checkpoint_text(checkpoint, adam);
  const apps::Checkpoint again =
      fuzz::read_again([&] { return apps::read_checkpoint_text(text, "again").checkpoint; });
  if (apps::checkpoint_text(again, adam) != text) std::abort();
  apps::TrainOptions options;
  apps::read_config(checkpoint.recipe.config, "checkpoint", options);
}

// The file with the checksum of its other bytes, where it has a place for one.
std::string with_right_checksum(std::string_view file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) return std::string(file);
  std::memcpy(&length, file.data(), sizeof length);
  if (length > file.size() - sizeof length) return std::string(file);
  std::string header(file.substr(0, sizeof length + length));
  const std::string_view rest = file.substr(header.size());
  const std::span<const std::byte> pieces[] = {std::as_bytes(std::span(rest))};
  weights::fill_checksum(header, pieces);
  return header.append(rest);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static test::SmallOptimiser optimiser;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.starts_with('{')) {
    const std::string text(input);
    fuzz::check_reader([&] { apps::read_optimiser_text(text, "state", optimiser.adam); });
    return fuzz::check_reader(
        [&] { use(apps::read_checkpoint_text(text, "state").checkpoint, optimiser.adam); });
  }
  static fuzz::MemoryFile file("checkpoint");
  const std::string bytes = with_right_checksum(input);
  file.write(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  fuzz::check_reader([&] { apps::load_moments(file.path(), optimiser.adam); });
  return fuzz::check_reader([&] { use(apps::read_checkpoint(file.path()), optimiser.adam); });
}
