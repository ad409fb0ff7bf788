// verace eval: figures of merit on labelled pictures.

#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/evaluation_report.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/signals.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct Options {
  ModelFlags model;
  DataFlags data;
  DeviceFlags device;
  int64_t batch = 64;
  std::filesystem::path csv;
  bool json = false, quiet = false;
};

void declare(Flags& flags, Options& o) {
  declare_model(flags, o.model);
  declare_data(flags, o.data);
  flags.toggle("--json", "Print JSON instead of a table", o.json);
  flags.value("--csv", "FILE", "Also write a line per face: path,video,label,probability,loss",
              into(o.csv));
  flags.value("--batch", "N", "Pictures that are judged at a time (default 64)",
              into(o.batch, 1, kMostPictures));
  flags.toggle("--quiet", "No progress, no notes", o.quiet);
  declare_device(flags, o.device);
  declare_overrides(flags, o.model.overrides);
}

int run(const Flags& flags, Options& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  check_output_file({"--csv", o.csv, apps::kFacesCsvHeader, o.data.data});
  std::vector<data::Sample> samples = load_samples(o.data);
  const apps::LoadedModel model = load(o.model, o.quiet);
  const std::string name = o.model.file.string();
  apps::class_indices(model.classifier->options(), name);
  data::LoaderOptions loading;
  loading.batch_size = o.batch;
  loading.fit = {model.classifier->options().input_size, o.data.fit, 0, o.data.filter};
  loading.workers = o.data.workers;
  loading.strict = o.data.strict;
  data::Loader loader(std::move(samples), loading);
  const kernels::Exec exec = make_exec(o.device, o.quiet);
  apps::InferenceSession session(*model.classifier, exec, std::make_shared<engine::Arena>(),
                                 o.batch);
  apps::require_memory(session, o.batch, std::min(o.batch, loader.pictures_per_epoch()),
                       apps::available_memory());
  const apps::SignalGuard guard;
  const apps::Evaluation evaluation =
      apps::evaluate(session, loader, name, apps::default_progress(o.quiet));
  std::vector<std::string> broken;
  for (const auto& picture : evaluation.broken) broken.push_back(picture.message);
  report_broken(broken);
  const char* split = data::kSplitNames[static_cast<size_t>(o.data.split)];
  text::print(
      stdout, "{}",
      o.json ? apps::evaluation_json(evaluation, name, split) : apps::evaluation_text(evaluation));
  std::fflush(stdout);
  // Last: if the disc is full the figures are out already.
  if (!o.csv.empty()) apps::write_faces_csv(o.csv.string(), evaluation);
  if (!evaluation.stopped) return 0;
  text::print(stderr, "stopped: the figures are of {} pictures only\n", evaluation.samples.size());
  return 128 + apps::stop_signal();
}

}  // namespace

Command eval_command() {
  const auto options = std::make_shared<Options>();
  return {"eval",
          "Judge a network on labelled pictures, face by face and video by video",
          "Prints loss, accuracy, balanced accuracy, AUC and confusion. Positive means fake.",
          "  verace eval --model RUN/best.safetensors --data DIR --split test\n"
          "  verace eval --model RUN --data faces.csv --json --csv judged.csv\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
