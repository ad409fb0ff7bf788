// From metrics to events, and the event file on disk.
#include "apps/lib/tensorboard/run_events.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>

#include "apps/lib/tensorboard/record.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps::tensorboard {
namespace {

void add_split(std::vector<Scalar>& scalars, const std::string& name,
               const std::optional<SplitMetrics>& split) {
  if (!split) return;
  scalars.push_back({name + "/loss", split->loss});
  scalars.push_back({name + "/accuracy", split->accuracy});
  for (const SplitFigure& figure : kSplitFigures) {
    const std::optional<double>& value = (*split).*figure.member;
    if (value) scalars.push_back({name + "/" + figure.key, *value});
  }
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void append(const std::filesystem::path& path, std::string_view bytes) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::app);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) {
    fail_input(
        text::format("{}: cannot be written ({}): free some space or check the permissions; "
                     "metrics.jsonl has the same numbers",
                     path.string(), std::strerror(errno)));
  }
}

}  // namespace

std::vector<Scalar> scalars_of(const EpochMetrics& epoch) {
  std::vector<Scalar> scalars = {{"train/loss", epoch.train_loss},
                                 {"train/accuracy", epoch.train_accuracy},
                                 {"train/learning_rate", epoch.learning_rate}};
  add_split(scalars, "val", epoch.val);
  add_split(scalars, "test", epoch.test);
  scalars.push_back({"speed/images_per_second", epoch.images_per_second});
  scalars.push_back({"speed/seconds", epoch.seconds});
  scalars.push_back({"speed/loader_wait_share", epoch.loader_wait_share});
  return scalars;
}

std::string event_file(std::span<const EpochMetrics> epochs) {
  std::string file;
  append_record(file, version_event(epochs.empty() ? 0 : epochs.front().wall_time));
  for (const EpochMetrics& epoch : epochs) {
    const std::string event = scalar_event(epoch.wall_time, epoch.epoch, scalars_of(epoch));
    if (!event.empty()) append_record(file, event);
  }
  return file;
}

void make_event_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) {
    fail_input(text::format("{}: cannot be made as a folder ({}): move away what is in the way",
                            path.parent_path().string(), error.message()));
  }
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status)) return;
  fail_input(text::format("{}: is no regular file: move away what is in the way", path.string()));
}

void write_events(const std::filesystem::path& path, std::span<const EpochMetrics> epochs) {
  make_event_folder(path);
  const std::string wanted = event_file(epochs);
  const std::optional<std::string> present = read_file(path);
  if (present && wanted.starts_with(*present)) {
    append(path, std::string_view(wanted).substr(present->size()));
  } else {
    weights::write_file_atomically(path.string(), wanted);
  }
}

}  // namespace verace::apps::tensorboard
