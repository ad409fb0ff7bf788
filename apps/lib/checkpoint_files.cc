// Finding, keeping and replacing the checkpoints of a run.
#include "apps/lib/checkpoint_files.h"

#include <unistd.h>

#include <optional>
#include <system_error>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/safetensors_checksum.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

// Beside the file that `last` stands for: it may be a link.
fs::path previous_of(const fs::path& last) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(last, error);
  const bool linked = !error && fs::is_symlink(last, error);
  return (linked ? resolved : last).parent_path() / kPreviousName;
}

// The message of a checkpoint that cannot be used; empty: `found` holds it.
std::string trouble_with(const fs::path& path, std::optional<Checkpoint>& found) {
  try {
    found = read_checkpoint(path.string());
    return {};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return error.what();
  }
}

// "FILE: what is wrong: what to do" without the last part.
std::string without_advice(const std::string& message) {
  return message.substr(0, message.rfind(": "));
}

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error) && !error;
}

// Whether `path` is a checkpoint of this state, as far as one can tell.
bool holds(const fs::path& path, const TrainingState& state) {
  std::optional<Checkpoint> found;
  if (!trouble_with(path, found).empty()) return false;
  const TrainingState& other = found->state;
  return other.global_step == state.global_step && other.step == state.step &&
         other.epoch_loss_sum == state.epoch_loss_sum && other.best_digest == state.best_digest;
}

// What --overwrite has moved aside for a run that then stored nothing.
std::string moved_aside(const fs::path& last) {
  std::error_code error;
  const fs::path aside = last.string() + kReplaced;
  if (!fs::exists(aside, error)) return {};
  return text::format(
      "{}: there is no such file, but {}: of the run that --overwrite was to replace, by one that "
      "ended before it had stored anything; rename the files *{} in the folder back to go on with "
      "that run, or start the training again",
      last.string(), aside.filename().string(), kReplaced);
}

}  // namespace

std::string moment_of(const TrainingState& state) {
  return text::format("epoch {}, after step {}", state.epoch + 1, state.step);
}

FoundCheckpoint find_checkpoint(const fs::path& wanted) {
  std::error_code error;
  const bool missing = !fs::exists(wanted, error);
  if (error) {
    fail_input(text::format("{}: cannot be looked at ({}): check the folder's permissions",
                            wanted.string(), error.message()));
  }
  std::optional<Checkpoint> found;
  const std::string trouble = trouble_with(wanted, found);
  if (found) return {wanted, std::move(*found), ""};
  const bool locked = !missing && ::access(wanted.c_str(), R_OK) != 0;
  // What is whole, but of another version or of no training, is not given up for an older state.
  const bool whole =
      !missing && !locked && weights::check_checksum(wanted) == weights::Checksum::kRight;
  if (wanted.filename() != kLastName || locked || whole) fail_input(trouble);
  const fs::path previous = previous_of(wanted);
  if (!fs::exists(previous, error)) {
    if (!missing || !fs::is_directory(fs::absolute(wanted).parent_path(), error)) {
      fail_input(trouble);
    }
    if (const std::string aside = moved_aside(wanted); !aside.empty()) fail_input(aside);
    fail_input(
        text::format("{}: there is no such file, and no {} beside it: nothing was stored "
                     "there yet; start the training again",
                     wanted.string(), kPreviousName));
  }
  const std::string second = trouble_with(previous, found);
  if (!found) {
    fail_input(text::format(
        "{}; {}; no checkpoint is left to go on with: restore one of them, or train anew",
        missing ? wanted.string() + ": is missing" : without_advice(trouble),
        without_advice(second)));
  }
  std::string warning =
      text::format("{}; going on from the one before it: {}, {}",
                   missing ? wanted.string() + ": is missing" : without_advice(trouble),
                   previous.string(), moment_of(found->state));
  return {previous, std::move(*found), std::move(warning)};
}

CheckpointFiles::CheckpointFiles(const fs::path& folder, const fs::path& resumed)
    : last_(folder / kLastName), previous_(previous_of(last_)) {
  if (resumed.empty()) return;
  last_is_ours_ = is_same_file(resumed, last_);
  previous_is_ours_ = last_is_ours_ || is_same_file(resumed, previous_);
}

void CheckpointFiles::save(const layers::Classifier& classifier, const optim::Adam& adam,
                           const Checkpoint& checkpoint) {
  try {
    save_checkpoint(last_.string(), classifier, adam, checkpoint,
                    last_is_ours_ ? kPreviousName : "");
  } catch (const Error&) {
    // The last step of all may fail when the file is in place already.
    last_is_ours_ = last_is_ours_ || holds(last_, checkpoint.state);
    throw;
  }
  previous_is_ours_ = last_is_ours_ || previous_is_ours_;
  last_is_ours_ = true;
  std::error_code ignored;  // another run's: better than to go on from it one day
  if (!previous_is_ours_) fs::remove(previous_, ignored);
}

}  // namespace verace::apps
