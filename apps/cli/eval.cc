// verace eval: figures of merit on labelled pictures.

#include <cstdio>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/judge.h"
#include "apps/lib/evaluation_report.h"
#include "apps/lib/signals.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct EvalArguments {
  JudgeFlags judging;
  apps::DecisionFlags decision;
  std::filesystem::path csv, curves;
  apps::BootstrapOptions bootstrap;
  bool json = false;
};

void declare(Flags& flags, EvalArguments& o) {
  declare_model(flags, o.judging.model);
  declare_data(flags, o.judging.data);
  declare_threshold(flags, o.decision.threshold);
  declare_policy(flags, o.decision);
  flags.value("--bootstrap", "N",
              "Resamples for the 95 % intervals of all figures; 0: none (default 1000)",
              into(o.bootstrap.resamples, 0));
  flags.value("--seed", "N", "Of these resamples (default 1)", into(o.bootstrap.seed));
  flags.toggle("--json", "Print JSON instead of a table", o.json);
  flags.value("--csv", "FILE", "Also write a line per face: path,video,label,probability,loss",
              into(o.csv));
  flags.value("--curves", "DIR",
              "Also write roc.csv, precision_recall.csv and reliability.csv to DIR",
              into(o.curves));
  declare_judging(flags, o.judging);
}

// What the account says that stands beside the manifest, if there is one.
std::vector<apps::FailedVideo> failed_videos(const DataFlags& data) {
  std::error_code error;
  if (std::filesystem::is_directory(data.data, error)) return {};
  const std::filesystem::path account = data.data.parent_path() / "account.csv";
  if (!std::filesystem::exists(account, error)) return {};
  return apps::read_failed_videos(account, data.split);
}

int run(const Flags& flags, EvalArguments& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  check_precision(o.judging.device);
  check_output_file({"--csv", o.csv, apps::kFacesCsvHeader, o.judging.data.data});
  check_output_folder(o.curves, "--curves", true);
  std::vector<data::Sample> samples = load_samples(o.judging.data);
  const apps::LoadedModel model = load(o.judging.model, o.judging.quiet);
  const std::vector<apps::FailedVideo> failed = failed_videos(o.judging.data);
  apps::Evaluation evaluation =
      judge(o.judging, model, std::move(samples),
            apps::decide(o.decision, model.thresholds, model.calibration));
  evaluation.failed.insert(evaluation.failed.begin(), failed.begin(), failed.end());
  if (o.bootstrap.resamples > 0) apps::add_intervals(evaluation, o.bootstrap);
  const std::string name = o.judging.model.file.string();
  const char* split = data::kSplitNames[static_cast<size_t>(o.judging.data.split)];
  text::print(
      stdout, "{}",
      o.json ? apps::evaluation_json(evaluation, name, split) : apps::evaluation_text(evaluation));
  std::fflush(stdout);
  // Last: if the disc is full the figures are out already.
  if (!o.csv.empty()) apps::write_faces_csv(o.csv.string(), evaluation);
  if (!o.curves.empty()) {
    make_folder(o.curves, "--curves");
    apps::write_curves(o.curves, evaluation);
  }
  if (!evaluation.stopped) return 0;
  text::print(stderr, "stopped: the figures are of {} pictures only\n", evaluation.samples.size());
  return 128 + apps::stop_signal();
}

}  // namespace

Command eval_command() {
  const auto options = std::make_shared<EvalArguments>();
  return {"eval",
          "Judge a network on labelled pictures, face by face and video by video",
          "Prints loss, accuracy, balanced accuracy, AUC, average precision, equal error rate,\n"
          "calibration error and confusion, with 95 % intervals. Positive means fake. Beside the\n"
          "manifest of verace faces its account.csv is read: videos without a face are counted by\n"
          "reason, and what the accuracy is if each of them counts as wrong.",
          "  verace eval --model RUN/best.safetensors --data DIR --split test\n"
          "  verace eval --model RUN --data faces.csv --json --csv judged.csv --curves curves\n"
          "  verace eval --model RUN --data FACES/manifest.csv --policy median\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
