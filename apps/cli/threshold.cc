// verace threshold: chooses a model's threshold on validation data and stores it with the model.

#include <filesystem>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/judge.h"
#include "apps/lib/signals.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct Options {
  JudgeFlags judging;
  std::optional<double> fpr;
  std::filesystem::path out;
};

void declare(Flags& flags, Options& o) {
  declare_model(flags, o.judging.model);
  flags.value("--data", "DIR", "Pictures: DIR/val/{real,fake}/..., or a CSV file",
              into(o.judging.data.data));
  declare_fpr(flags, o.fpr);
  flags.value("--out", "FILE", "Write a copy of the model instead of changing it", into(o.out));
  declare_loading(flags, o.judging.data);
  declare_judging(flags, o.judging);
}

// Before minutes of work: where the result goes can be written, and is the model itself or new.
void check_target(const Options& o) {
  std::error_code error;
  const std::filesystem::path& model = o.judging.model.file;
  if (o.out.empty()) return check_output_file({"--model", model, {}, {}});
  check_output_file({"--out", o.out, {}, {}});
  if (!std::filesystem::exists(o.out, error)) return;
  if (std::filesystem::equivalent(o.out, model, error)) return;
  fail_input(text::format("--out {}: the file exists: name another one", o.out.string()));
}

int run(const Flags& flags, Options& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  flags.require("--fpr", "give the share of reals that may be called fake, for example 0.05");
  check_precision(o.judging.device);
  o.judging.model.file = model_file(o.judging.model.file);
  apps::check_keeps_thresholds(o.judging.model.file.string());
  // Only val: a threshold chosen on test would make the figures on test better than they are.
  o.judging.data.split = data::Split::kVal;
  std::vector<data::Sample> samples = load_samples(o.judging.data);
  const std::string path = o.judging.model.file.string();
  const apps::FileVersion version = apps::file_version(path);
  const apps::LoadedModel model = load(o.judging.model, o.judging.quiet);
  check_target(o);
  const apps::Evaluation evaluation = judge(o.judging, model, std::move(samples), {});
  if (evaluation.stopped) {
    text::print(stderr, "stopped: nothing was stored\n");
    return 128 + apps::stop_signal();
  }
  const apps::ChosenThresholds chosen =
      apps::choose_thresholds(apps::face_scores(evaluation), *o.fpr, o.judging.data.data.string(),
                              "val", {o.judging.data.fit, o.judging.data.filter});
  const std::string target = o.out.empty() ? path : o.out.string();
  apps::store_thresholds(path, target, chosen, version);
  text::print(stdout, "faces: {}\nvideos: {}\nstored in {}\n", apps::level_text(chosen.faces),
              apps::level_text(chosen.videos), target);
  return 0;
}

}  // namespace

Command threshold_command() {
  const auto options = std::make_shared<Options>();
  return {
      "threshold",
      "Choose from which probability on a picture is called fake, and store it in the model",
      "Judges the split val and takes the threshold with the largest share of real pictures\n"
      "called fake that is not above --fpr, half way to the next score: one for faces, one for\n"
      "videos. eval and predict use it unless --threshold says otherwise. train --fpr does the\n"
      "same.",
      "  verace threshold --model RUN/best.safetensors --data DIR --fpr 0.05\n"
      "  verace threshold --model RUN --data faces.csv --fpr 0.01 --out strict.safetensors\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
