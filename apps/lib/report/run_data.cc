// Reading the folder of a run.
#include "apps/lib/report/run_data.h"

#include <sstream>

#include "apps/lib/weights_digest.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

namespace fs = std::filesystem;

template <typename Read>
auto found(Read read) -> Found<decltype(read())> {
  try {
    return {read(), {}};
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    return {std::nullopt, error.what()};
  }
}

std::vector<EpochMetrics> read_metrics(const fs::path& folder) {
  std::istringstream lines(read_text_file(folder / "metrics.jsonl"));
  std::vector<EpochMetrics> epochs;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    epochs.push_back(epoch_from_json(line, text::format("metrics.jsonl:{}", epochs.size() + 1)));
    if (epochs.size() > 1 && epochs.back().epoch <= epochs[epochs.size() - 2].epoch) {
      fail_input(
          text::format("metrics.jsonl:{}: its epoch is not after the one before", epochs.size()));
    }
  }
  if (epochs.empty()) fail_input("metrics.jsonl: holds no epoch yet");
  return epochs;
}

// Where a file lies on somebody's disc is nobody's business: pages get around.
std::string without_folder(const std::string& value) {
  const size_t slash = value.find_last_of('/', value.size() < 2 ? 0 : value.size() - 2);
  if (slash == std::string::npos || slash + 1 == value.size()) return value;
  return value.substr(slash + 1);
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos
             ? ""
             : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

Config read_config_lines(const fs::path& folder) {
  std::istringstream lines(read_text_file(folder / "config.toml"));
  Config config;
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals == std::string::npos || line.starts_with('#')) continue;
    std::string value = trimmed(line.substr(equals + 1));
    const char quote = value.empty() ? '\0' : value.front();
    if (value.size() >= 2 && (quote == '"' || quote == '\'') && value.back() == quote) {
      value = without_folder(value.substr(1, value.size() - 2));
    }
    config.emplace_back(trimmed(line.substr(0, equals)), value);
  }
  if (config.empty()) fail_input("config.toml: holds no settings");
  return config;
}

Found<RunRecord> find_record(const fs::path& folder) {
  Found<RunRecord> record =
      found([&] { return read_run_record(read_text_file(folder / "run.json"), "run.json"); });
  if (!record.value) return record;
  for (std::string& word : record.value->command) {
    const size_t flag = word.starts_with("--") ? word.find('=') + 1 : 0;  // 0: no '='
    word = word.substr(0, flag) + without_folder(word.substr(flag));
  }
  return record;
}

TrainingData read_training(const fs::path& folder, const std::string& title) {
  return {title, found([&] { return read_metrics(folder); }),
          found([&] { return read_config_lines(folder); }), find_record(folder)};
}

bool is_training(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / "metrics.jsonl", error) ||
         fs::is_regular_file(folder / "config.toml", error);
}

// Of which network evaluation and attack are, beside the best one that the run holds.
void compare_networks(RunData& run, const fs::path& file) {
  if (!run.evaluation.value && !run.attack.value) return;
  const Found<std::string> best = found([&] { return weights_digest(file.string()); });
  if (run.attack.value) {
    AttackData& attack = *run.attack.value;
    attack.unknown_network = attack.weights.empty() || !best.value;
    attack.other_network = !attack.unknown_network && *best.value != attack.weights;
  }
  // A training that went on may have died, or found no place, before it wrote the new figures.
  if (run.evaluation.value && best.value && !run.evaluation.value->weights.empty() &&
      *best.value != run.evaluation.value->weights) {
    run.evaluation = {std::nullopt,
                      "evaluation.json: was made with other weights than those of "
                      "best.safetensors: verace eval judges these"};
  }
}

}  // namespace

std::string read_text_file(const fs::path& path) {
  constexpr int64_t kMost = 64'000'000;
  const std::string name = path.filename().string();
  std::error_code error;
  if (!fs::exists(path, error)) fail_input(name + ": is not in the folder");
  try {
    const std::vector<std::byte> bytes = data::read_file(path, kMost, "file");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  } catch (const Error&) {
    fail_input(text::format("{}: cannot be read, or is larger than {} MB", name, kMost / 1000000));
  }
}

RunData read_run(const fs::path& folder) {
  RunData run;
  std::error_code error;
  run.name = fs::absolute(folder / "x").lexically_normal().parent_path().filename().string();
  const bool training = is_training(folder), finetuned = is_training(folder / "finetuned");
  if (!training && !finetuned && !fs::is_regular_file(folder / "run.json", error)) {
    fail_input(text::format("{}: {}: name the folder that verace train or verace demo has written",
                            folder.string(),
                            fs::is_directory(folder, error) ? "holds no run" : "is no folder"));
  }
  run.record = find_record(folder);
  run.demo = run.record.value ? run.record.value->kind == "demo" : !training;
  if (run.demo) {
    const bool two = is_training(folder / "pretrained");
    if (two) {
      run.trainings.push_back(
          read_training(folder / "pretrained", "first task: from where the light comes"));
    }
    run.trainings.push_back(
        read_training(folder / "finetuned", two ? "second task: real or fake" : ""));
  } else {
    run.trainings.push_back(read_training(folder, ""));
  }
  const fs::path last = run.demo ? folder / "finetuned" : folder;
  run.evaluation = found([&] {
    return read_evaluation_record(read_text_file(folder / "evaluation.json"), "evaluation.json");
  });
  run.profile =
      found([&] { return read_profile(read_text_file(last / "profile.json"), "profile.json"); });
  run.attack = found([&] { return read_attack(folder / "attack"); });
  compare_networks(run, last / "best.safetensors");
  return run;
}

}  // namespace verace::apps::report
