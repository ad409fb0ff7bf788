// Writing and reading checkpoints.
#include "apps/lib/checkpoint.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/lib/model_file.h"
#include "apps/lib/trainer_options.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_checksum.h"

namespace verace::apps {
namespace {

using SortedJson = nlohmann::json;

constexpr const char* kStateKey = "verace.checkpoint";
constexpr int kFormat = 2, kFormatWithoutChecksum = 1;

std::string moment_name(const char* which, const engine::Parameter& parameter) {
  return text::format("optimizer.{}.{}", which, parameter.name);
}

// Doubles are written so that reading gives the same bits.
SortedJson state_json(const TrainingState& s) {
  SortedJson history = SortedJson::array();
  for (const EpochMetrics& epoch : s.history) history.push_back(to_json(epoch));
  return {{"epoch", s.epoch},
          {"step", s.step},
          {"global_step", s.global_step},
          {"epoch_samples", s.epoch_samples},
          {"epoch_correct", s.epoch_correct},
          {"epoch_loss_sum", s.epoch_loss_sum},
          {"epoch_seconds", s.epoch_seconds},
          {"epoch_wait", s.epoch_wait},
          {"history", history},
          {"best_epoch", s.best_epoch},
          {"best_digest", s.best_digest}};
}

TrainingState state_from(const SortedJson& j, const std::string& path) {
  TrainingState s;
  s.epoch = j.at("epoch").get<int64_t>();
  s.step = j.at("step").get<int64_t>();
  s.global_step = j.at("global_step").get<int64_t>();
  s.epoch_samples = j.at("epoch_samples").get<int64_t>();
  s.epoch_correct = j.at("epoch_correct").get<int64_t>();
  s.epoch_loss_sum = j.at("epoch_loss_sum").get<double>();
  s.epoch_seconds = j.at("epoch_seconds").get<double>();
  s.epoch_wait = j.at("epoch_wait").get<double>();
  s.best_epoch = j.at("best_epoch").get<int64_t>();
  s.best_digest = j.value("best_digest", "");
  for (const SortedJson& line : j.at("history")) {
    s.history.push_back(epoch_from_json(line.get<std::string>(), path));
  }
  if (s.epoch < 0 || s.step < 0 || s.global_step < s.step ||
      s.epoch != static_cast<int64_t>(s.history.size()) || s.best_epoch < 0 ||
      s.best_epoch > s.epoch) {
    fail_input(path + ": the numbers of steps and epochs do not fit each other: take another file");
  }
  return s;
}

SortedJson scale_json(const kernels::LossScaleState& s) {
  return {{"scale", s.scale}, {"good_steps", s.good_steps}, {"skipped", s.skipped}};
}

kernels::LossScaleState scale_from(const SortedJson& j, const std::string& path) {
  const kernels::LossScaleState s{j.at("scale").get<float>(), j.at("good_steps").get<int32_t>(),
                                  j.at("skipped").get<int32_t>()};
  const bool good = s.scale > 0 && std::isfinite(s.scale) && s.good_steps >= 0 && s.skipped >= 0;
  if (!good) fail_input(path + ": its loss scale is not what it should be: take another file");
  return s;
}

SortedJson adam_json(const optim::AdamOptions& options) {
  return {{"learning_rate", options.learning_rate},
          {"beta1", options.beta1},
          {"beta2", options.beta2},
          {"placement", to_text(options.placement)},
          {"epsilon", options.epsilon}};
}

const std::string& state_text(const weights::WeightFile& file) {
  const auto found = file.metadata().find(kStateKey);
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
  const TrainingRecipe& recipe = checkpoint.recipe;
  SortedJson text = {{"format", kFormat},
                     {"state", state_json(checkpoint.state)},
                     {"adam", adam_json(adam.options())},
                     {"adam_step", adam.step()},
                     {"seed", recipe.seed},
                     {"freeze", recipe.freeze},
                     {"threads", recipe.threads},
                     {"config", recipe.config},
                     {"machine", recipe.machine},
                     {"pictures", recipe.pictures},
                     {"synthetic", recipe.synthetic}};
  if (adam.options().loss_scale) text["loss_scale"] = scale_json(adam.loss_scale());
  stored.metadata[kStateKey] = text.dump(-1, ' ', false, SortedJson::error_handler_t::replace);
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
  try {
    const SortedJson j = SortedJson::parse(state_text(file));
    const int format = j.at("format").get<int>();
    if (format == kFormat) {
      if (checksum == weights::Checksum::kMissing) damaged();
    } else if (format != kFormatWithoutChecksum) {
      fail_input(path +
                 ": the checkpoint is of another version of this program: go on with that one, or "
                 "train again");
    }
    return {state_from(j.at("state"), path),
            {j.at("seed").get<uint64_t>(), j.at("freeze").get<std::string>(),
             j.at("threads").get<int>(), j.at("config").get<std::string>(), j.value("machine", ""),
             j.value("pictures", ""), j.value("synthetic", false)}};
  } catch (const SortedJson::exception& error) {
    fail_input(text::format("{}: the state of training cannot be read ({}): take another file",
                            path, error.what()));
  }
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
  try {
    const SortedJson j = SortedJson::parse(state_text(file));
    const auto step = j.at("adam_step").get<int64_t>();
    if (step < 0) fail_input(path + ": the optimiser's step is negative: take another file");
    adam.set_step(step);
    if (adam.options().loss_scale) adam.set_loss_scale(scale_from(j.at("loss_scale"), path));
  } catch (const SortedJson::exception& error) {
    fail_input(text::format("{}: the optimiser's step cannot be read ({}): take another file", path,
                            error.what()));
  }
}

}  // namespace verace::apps
