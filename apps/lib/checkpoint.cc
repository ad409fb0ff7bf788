// Writing and reading checkpoints.
#include "apps/lib/checkpoint.h"

#include <utility>

#include "apps/lib/checkpoint_state.h"
#include "apps/lib/model_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_checksum.h"

namespace verace::apps {
namespace {

std::string moment_name(const char* which, const engine::Parameter& parameter) {
  return text::format("optimizer.{}.{}", which, parameter.name);
}

const std::string& state_text(const weights::WeightFile& file) {
  const auto found = file.metadata().find(kCheckpointKey);
  if (found == file.metadata().end()) {
    fail_input(file.path() +
               ": holds a model but no state of training: resume from a run's last.safetensors, or "
               "start from it with --weights");
  }
  return found->second;
}

}  // namespace

void save_checkpoint(const std::string& path, const layers::Classifier& classifier,
                     const optim::Adam& adam, const Checkpoint& checkpoint,
                     const std::string& keep_old_as) {
  StoredNetwork stored = stored_network(classifier);
  for (const optim::Adam::Moments& entry : adam.moments()) {
    const engine::Parameter& parameter = *entry.parameter;
    stored.tensors.push_back(stored_tensor(moment_name("m", parameter), entry.m, stored.owned));
    stored.tensors.push_back(stored_tensor(moment_name("v", parameter), entry.v, stored.owned));
  }
  stored.metadata[kCheckpointKey] = checkpoint_text(checkpoint, adam);
  stored.metadata[weights::kChecksumKey] = weights::kChecksumToFill;
  const auto prove = [&path](const std::string& written) {
    try {
      read_checkpoint(written);
    } catch (const Error& error) {
      fail_input(
          text::format("{}: what was written is not what can be read back ({}): nothing was "
                       "changed; check the disc, or choose another one",
                       path, error.what()));
    }
  };
  weights::write_safetensors(path, stored.tensors, stored.metadata, {prove, keep_old_as});
}

Checkpoint read_checkpoint(const std::string& path) {
  const weights::Checksum checksum = weights::check_checksum(path);
  const weights::WeightFile file(path);
  const auto damaged = [&] {
    fail_input(path +
               ": is damaged: its bytes are not those that were written (checksum): take "
               "another file");
  };
  if (checksum == weights::Checksum::kWrong) damaged();
  ReadCheckpoint read = read_checkpoint_text(state_text(file), path);
  const bool summed = read.format != kCheckpointFormatWithoutChecksum;
  if (summed && checksum == weights::Checksum::kMissing) damaged();
  return std::move(read.checkpoint);
}

void load_moments(const std::string& path, optim::Adam& adam) {
  const weights::WeightFile file(path);
  size_t stored = 0;
  for (const weights::TensorView& tensor : file.tensors()) {
    stored += tensor.name.starts_with("optimizer.") ? 1 : 0;
  }
  if (stored != 2 * adam.moments().size()) {
    fail_input(
        text::format("{}: holds {} tensors of the optimiser, {} are needed: resume with the "
                     "same --freeze",
                     path, stored, 2 * adam.moments().size()));
  }
  for (optim::Adam::Moments& entry : adam.moments()) {
    read_stored_tensor(file, moment_name("m", *entry.parameter), entry.m);
    read_stored_tensor(file, moment_name("v", *entry.parameter), entry.v);
  }
  read_optimiser_text(state_text(file), path, adam);
}

}  // namespace verace::apps
