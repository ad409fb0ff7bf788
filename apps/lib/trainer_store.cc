// Storing a training run, and saying what is stored.
#include "apps/lib/trainer_store.h"

#include <system_error>

#include "apps/lib/model_file.h"
#include "apps/lib/weights_digest.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {

TrainingStore::TrainingStore(TrainingSetup& setup, const RunFolder& folder,
                             TrainingRecorder& recorder, std::ostream& out)
    : setup_(setup),
      folder_(folder),
      recorder_(recorder),
      out_(out),
      files_(folder.folder(), setup.options.resume) {}

void TrainingStore::write(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw Error(error.kind(), text::format("{}: {}; {}", moment_of(setup_.checkpoint.state),
                                           error.what(), what_is_left()));
  }
}

void TrainingStore::write_config() {
  write([&] {
    weights::write_file_atomically(folder_.config().string(), config_text(setup_.options));
  });
}

void TrainingStore::save() {
  write([&] { files_.save(*setup_.model.classifier, *setup_.adam, setup_.checkpoint); });
}

void TrainingStore::save_epoch(bool best, const std::optional<ChosenThresholds>& thresholds) {
  TrainingState& state = setup_.checkpoint.state;
  if (best) {
    write([&] {
      const std::string file = folder_.best().string();
      save_model(file, *setup_.model.classifier, thresholds, setup_.model.crop);
      state.best_digest = weights_digest(file);
    });
    recorder_.best_epoch(thresholds, state.best_digest);
  }
  save();
  write([&] { folder_.write_metrics(state.history); });
  recorder_.epoch_done();
}

void TrainingStore::fit() {
  const TrainingState& state = setup_.checkpoint.state;
  write([&] { folder_.fit_metrics(state.history); });
  recorder_.fit_to_state();
  if (state.best_epoch == 0 || state.best_digest.empty()) return;
  const std::string best = folder_.best().string();
  std::error_code error;
  if (!std::filesystem::exists(best, error)) {
    text::print(out_, "resume: {} is missing: epoch {} was the best one so far\n", best,
                state.best_epoch);
  } else if (weights_digest(best) != state.best_digest) {
    text::print(out_, "resume: {} is not of epoch {}, the best one so far, but of a later one\n",
                best, state.best_epoch);
  }
}

std::string TrainingStore::what_is_left() const {
  const auto lost = [](int64_t steps, const char* since) {
    return steps == 1 ? text::format("1 step{} is lost", since)
                      : text::format("{} steps{} are lost", steps, since);
  };
  const int64_t here = setup_.checkpoint.state.global_step;
  if (!files_.has_any()) {
    return here == 0 ? "nothing was stored yet"
                     : text::format("nothing was stored yet: {}", lost(here, ""));
  }
  try {
    const FoundCheckpoint found = find_checkpoint(files_.last());
    const TrainingState& state = found.checkpoint.state;
    const int64_t since = here - state.global_step;
    return text::format("{} holds the state of {}: go on with --resume {}{}", found.path.string(),
                        moment_of(state), files_.last().string(),
                        since > 0 ? text::format(" ({})", lost(since, " since then")) : "");
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace verace::apps
