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

struct ThresholdArguments {
  JudgeFlags judging;
  std::optional<double> fpr;
  bool calibrate = false;
  apps::DecisionFlags decision;
  std::filesystem::path out;
};

void declare(Flags& flags, ThresholdArguments& o) {
  declare_model(flags, o.judging.model);
  flags.value("--data", "DIR", "Pictures: DIR/val/{real,fake}/..., or a CSV file",
              into(o.judging.data.data));
  declare_fpr(flags, o.fpr);
  flags.toggle("--calibrate",
               "Store the temperature that makes the probabilities as sure as they are right",
               o.calibrate);
  declare_policy(flags, o.decision);
  flags.value("--out", "FILE", "Write a copy of the model instead of changing it", into(o.out));
  declare_loading(flags, o.judging.data);
  declare_judging(flags, o.judging);
}

// Before minutes of work: where the result goes can be written, and is the model itself or new.
void check_target(const ThresholdArguments& o) {
  std::error_code error;
  const std::filesystem::path& model = o.judging.model.file;
  if (o.out.empty()) return check_output_file({"--model", model, {}, {}});
  check_output_file({"--out", o.out, {}, {}});
  if (!std::filesystem::exists(o.out, error)) return;
  if (std::filesystem::equivalent(o.out, model, error)) return;
  fail_input(text::format("--out {}: the file exists: name another one", o.out.string()));
}

std::string error_text(const apps::Metrics& metrics) {
  return text::format("{:.4f}", metrics.calibration_error.value());
}

struct Choice {
  apps::VerdictMetadata stored;
  std::string text;
};

// Temperature and thresholds by the judged faces of val.
Choice choose(const ThresholdArguments& o, const apps::LoadedModel& model,
              apps::Evaluation& evaluation) {
  const std::string data = o.judging.data.data.string();
  apps::Decision decision = evaluation.decision;
  Choice choice;
  apps::VerdictMetadata& chosen = choice.stored;
  chosen.calibration = model.calibration;
  if (o.calibrate) {
    chosen.calibration =
        apps::calibrate(apps::face_margins(evaluation), apps::face_labels(evaluation), data, "val");
    const std::string before = error_text(evaluation.videos);
    decision.calibration = chosen.calibration;
    apps::set_decision(evaluation, decision);
    choice.text = text::format("{}\nvideos: calibration error {} before, {} after\n",
                               apps::calibration_text(*chosen.calibration), before,
                               error_text(evaluation.videos));
  }
  // Thresholds are of calibrated probabilities: with another temperature they are others, for the
  // rate that they were chosen for.
  std::optional<double> rate = o.fpr;
  if (!rate && model.thresholds) rate = model.thresholds->rate;
  if (!rate) return choice;
  chosen.thresholds = apps::choose_thresholds(apps::face_scores(evaluation), *rate, data, "val",
                                              {o.judging.data.fit, o.judging.data.filter},
                                              decision.policy, decision.temperature());
  choice.text += text::format("faces: {}\nvideos: {}\n", apps::level_text(chosen.thresholds->faces),
                              apps::level_text(chosen.thresholds->videos));
  return choice;
}

int run(const Flags& flags, ThresholdArguments& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  if (!o.calibrate) {
    flags.require("--fpr", "give the share of reals that may be called fake, for example 0.05");
  }
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
  apps::Decision decision;  // the thresholds are what is asked for
  decision.policy = apps::decide(o.decision, model.thresholds).policy;
  if (!o.calibrate) decision.calibration = model.calibration;
  apps::Evaluation evaluation = judge(o.judging, model, std::move(samples), decision);
  if (evaluation.stopped) {
    text::print(stderr, "stopped: nothing was stored\n");
    return 128 + apps::stop_signal();
  }
  const Choice choice = choose(o, model, evaluation);
  const std::string target = o.out.empty() ? path : o.out.string();
  apps::store_thresholds(path, target, choice.stored, version);
  text::print(stdout, "{}stored in {}\n", choice.text, target);
  return 0;
}

}  // namespace

Command threshold_command() {
  const auto options = std::make_shared<ThresholdArguments>();
  return {
      "threshold",
      "Choose from which probability on a picture is called fake, and store it in the model",
      "Judges the split val and takes the threshold with the largest share of real pictures\n"
      "called fake that is not above --fpr, half way to the next score: one for faces, one for\n"
      "videos (by --policy). eval and predict use them unless --threshold says otherwise. train\n"
      "--fpr does the same. --calibrate also stores a temperature: the probabilities that eval\n"
      "and predict give then are of logits divided by it, and thresholds are chosen on them; a\n"
      "threshold that the model has is chosen anew for its rate.",
      "  verace threshold --model RUN/best.safetensors --data DIR --fpr 0.05\n"
      "  verace threshold --model RUN --data faces.csv --fpr 0.01 --out strict.safetensors\n"
      "  verace threshold --model RUN --data FACES/manifest.csv --calibrate --fpr 0.05\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
