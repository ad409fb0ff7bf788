// Writes the seeds that only the program itself can write: RUN_SEEDS CORPUS, the folder
// tests/fuzz/corpus (seeds of a run's checkpoint and records).
#define DOCTEST_CONFIG_IMPLEMENT
#include "apps/lib/checkpoint_state.h"
#include "apps/lib/trainer_options.h"
#include "tests/apps/report_support.h"
#include "tests/support/small_optimiser.h"
#include "weights/safetensors.h"
#include "weights/safetensors_checksum.h"

namespace {

using namespace verace;
using namespace verace::apps;

void write_records(const fs::path& corpus) {
  const test::TempFolder temp;
  const fs::path run = temp / "run";
  write_known_run(run);
  std::string all;
  for (const char* name : {"metrics.jsonl", "config.toml", "run.json", "evaluation.json",
                           "profile.json", "attack/attack.json"}) {
    const std::string part = text::format("=== {}\n{}", std::string(name), read_text(run / name));
    all += part;
    // Without a file of these there is no run to read.
    const std::string run_file = std::string(name) == "run.json" ? "" : "=== config.toml\na=1\n";
    write_text(corpus / text::format("seed-{}", fs::path(name).filename().string()),
               run_file + part);
  }
  write_text(corpus / "seed-run", all);
  write_text(corpus / "seed-threshold",
             "=== threshold\n" + thresholds_to_metadata(*known_evaluation().decision.chosen));
}

void write_checkpoints(const fs::path& corpus) {
  const test::SmallOptimiser small;
  Checkpoint checkpoint;
  TrainingState& state = checkpoint.state;
  state.history = known_epochs();
  state.epoch = static_cast<int64_t>(state.history.size());
  state.step = 2;
  state.global_step = 32;
  state.epoch_samples = 8;
  state.epoch_correct = 5;
  state.epoch_loss_sum = 3.25;
  state.best_epoch = 2;
  state.best_digest = "0123456789abcdef";
  checkpoint.recipe = {7, "stem", 2, config_text({}), "a processor", "pictures", false};
  const std::string text = checkpoint_text(checkpoint, small.adam);
  write_text(corpus / "seed-state", text);
  nlohmann::json first = nlohmann::json::parse(text);
  first["format"] = kCheckpointFormatWithoutChecksum;
  first["state"]["history"] = nlohmann::json::array();
  first["state"]["epoch"] = first["state"]["best_epoch"] = 0;
  write_text(corpus / "seed-first_epoch", first.dump());
  std::vector<weights::TensorToWrite> tensors;
  for (const optim::Adam::Moments& entry : small.adam.moments()) {
    for (const auto& [which, tensor] : {std::pair("m", &entry.m), std::pair("v", &entry.v)}) {
      engine::Shape shape = tensor->shape();
      if (shape.size() == 4) shape = {shape[0], shape[3], shape[1], shape[2]};
      tensors.emplace_back(text::format("optimizer.{}.{}", which, entry.parameter->name), shape,
                           tensor->f32_span());
    }
  }
  std::map<std::string, std::string> metadata{{kCheckpointKey, text}};
  metadata[weights::kChecksumKey] = weights::kChecksumToFill;
  weights::write_safetensors((corpus / "seed-file").string(), tensors, metadata);
  metadata = {{kCheckpointKey, first.dump()}};
  weights::write_safetensors((corpus / "seed-file_without_checksum").string(), tensors, metadata);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "use: %s CORPUS\n", argv[0]);
    return 2;
  }
  write_records(fs::path(argv[1]) / "run_records");
  fs::create_directories(fs::path(argv[1]) / "checkpoint");
  write_checkpoints(fs::path(argv[1]) / "checkpoint");
  return 0;
}
