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

struct Options {
  JudgeFlags judging;
  std::optional<double> threshold;
  std::filesystem::path csv, curves;
  apps::BootstrapOptions bootstrap;
  bool json = false;
};

void declare(Flags& flags, Options& o) {
  declare_model(flags, o.judging.model);
  declare_data(flags, o.judging.data);
  declare_threshold(flags, o.threshold);
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

int run(const Flags& flags, Options& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  check_precision(o.judging.device);
  check_output_file({"--csv", o.csv, apps::kFacesCsvHeader, o.judging.data.data});
  check_output_folder(o.curves, "--curves", true);
  std::vector<data::Sample> samples = load_samples(o.judging.data);
  const apps::LoadedModel model = load(o.judging.model, o.judging.quiet);
  apps::Evaluation evaluation =
      judge(o.judging, model, std::move(samples), apps::decide(o.threshold, model.thresholds));
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
  const auto options = std::make_shared<Options>();
  return {"eval",
          "Judge a network on labelled pictures, face by face and video by video",
          "Prints loss, accuracy, balanced accuracy, AUC, average precision, equal error rate,\n"
          "calibration error and confusion, with 95 % intervals. Positive means fake.",
          "  verace eval --model RUN/best.safetensors --data DIR --split test\n"
          "  verace eval --model RUN --data faces.csv --json --csv judged.csv --curves curves\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
