// verace predict: verdicts about pictures; and the way to predict_media.cc.

#include <memory>

#include "apps/cli/command_line.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/judge.h"
#include "apps/cli/predict.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/predictor.h"
#include "apps/lib/progress.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

void declare(Flags& flags, PredictOptions& o) {
  declare_model(flags, o.model);
  flags.arguments("PICTURE", "Pictures or folders of them; with --detector videos too", o.inputs);
  flags.toggle("--json", "Print JSON instead of a table", o.json);
  declare_threshold(flags, o.decision.threshold);
  declare_policy(flags, o.decision);
  flags.value("--top", "K", "Classes to print, for networks with other classes (default 5)",
              into(o.top, 1));
  flags.value("--labels", "FILE", "Names of the classes, one per line", into(o.labels));
  flags.value("--fit", "HOW", "stretch to a square, or crop the middle (default: by the network)",
              into_choice({data::kFitNames.begin(), data::kFitNames.end()},
                          [&o](size_t i) { o.fit = static_cast<data::Fit>(i); }));
  flags.value("--batch", "N", "Pictures that are judged at a time (default 16)",
              into(o.batch, 1, kMostPictures));
  flags.toggle("--quiet", "No progress, no notes", o.quiet);
  declare_media(flags, o);
  declare_execution(flags, o.device);
  declare_precision(flags, o.device.precision);
  declare_overrides(flags, o.model.overrides);
}

data::FitOptions choose_fit(const PredictOptions& o, const layers::ClassifierOptions& network) {
  const bool faces = apps::real_and_fake(network).has_value();
  const data::Fit fit = o.fit.value_or(faces ? data::Fit::kStretch : data::Fit::kCrop);
  if (!o.fit && !o.quiet) {
    text::print(stderr, "ASSUMPTION: --fit {} ({})\n", faces ? "stretch" : "crop",
                faces ? "as training does" : "as ImageNet's evaluation: middle of the picture");
  }
  return apps::fit_options(network, fit);
}

int run(const Flags& flags, PredictOptions& o) {
  flags.require("--model", "name the network's file");
  flags.require("PICTURE", "name at least one picture, video or folder");
  check_precision(o.device);
  const PredictKind kind = check_media(flags, o);
  if (kind == PredictKind::kMedia) return predict_media(o);
  if (kind == PredictKind::kManifest) return predict_manifest(o);
  const auto paths = apps::expand_pictures(o.inputs);
  const apps::LoadedModel model = load(o.model, o.quiet);
  const layers::ClassifierOptions& network = model.classifier->options();
  std::vector<std::string> names = network.class_names;
  if (!o.labels.empty()) names = apps::read_labels(o.labels, network.classes);
  const data::FitOptions fit = choose_fit(o, network);
  const apps::Decision decision = choose_decision(o, model, fit);
  const engine::Device device = open_device(o.device, o.quiet);
  const kernels::Exec exec = place(*model.classifier, device, o.device);
  const int64_t batch = std::min(o.batch, static_cast<int64_t>(paths.size()));
  apps::InferenceSession session(*model.classifier, exec, std::make_shared<engine::Arena>(), batch);
  apps::require_memory(session, o.batch, batch, apps::available_memory());
  apps::Progress progress(
      paths.size() > 100 ? apps::default_progress(o.quiet) : apps::ProgressStyle{}, "predict",
      "pictures", static_cast<int64_t>(paths.size()));
  apps::Predictions predictions = apps::predict(
      session, paths, fit, names, decision, [&progress](int64_t done) { progress.update(done); });
  progress.finish();
  text::print(stdout, "{}",
              o.json ? apps::predictions_json(predictions, o.top)
                     : apps::predictions_text(predictions, o.top));
  std::fflush(stdout);
  for (const apps::Prediction& picture : predictions.pictures) {
    if (!picture.error.empty()) text::print(stderr, "verace: {}\n", picture.error);
  }
  if (predictions.broken == 0) return 0;
  if (predictions.pictures.size() == 1) return kExitInput;  // all is said
  text::print(stderr, "verace: {} of {} pictures could not be judged\n", predictions.broken,
              predictions.pictures.size());
  return kExitInput;
}

}  // namespace

apps::Decision choose_decision(const PredictOptions& o, const apps::LoadedModel& model,
                               const data::FitOptions& fit) {
  const bool faces = apps::real_and_fake(model.classifier->options()).has_value();
  if ((o.decision.threshold || o.decision.policy) && !faces) {
    fail_input(text::format("{}: the network tells other classes apart than real and fake",
                            o.decision.threshold ? "--threshold" : "--policy"));
  }
  const apps::Decision decision = apps::decide(o.decision, model.thresholds, model.calibration);
  if (decision.source != apps::Decision::Source::kDefault && faces && !o.quiet) {
    text::print(stderr, "threshold: {}\n", apps::decision_text(decision));
  }
  if (decision.calibration && faces && !o.quiet) {
    text::print(stderr, "calibration: {}\n", apps::calibration_text(*decision.calibration));
  }
  for (const std::string& note :
       {apps::fit_warning(decision, {fit.fit, fit.filter}), apps::policy_warning(decision)}) {
    if (!note.empty() && !o.quiet) text::print(stderr, "WARNING: {}\n", note);
  }
  return decision;
}

Command predict_command() {
  const auto options = std::make_shared<PredictOptions>();
  return {
      "predict",
      "Say of pictures and videos whether they are real or fake",
      "Also asks networks of other classes, such as ImageNet's. Broken pictures are named and\n"
      "left out; the exit code is 2 then. Several faces also get one verdict together, by\n"
      "--policy and the model's threshold of videos. With --detector faces are found first, in\n"
      "pictures and in some frames of videos, and each file gets a verdict, or the reason why\n"
      "there is none: without a face nothing is known. A manifest of verace faces is judged video\n"
      "by video.",
      "  verace predict --model RUN/best.safetensors face.jpg\n"
      "  verace predict --model RUN faces/ --json\n"
      "  verace predict --model imagenet.safetensors --top 5 --labels names.txt cat.jpg\n"
      "  verace predict --model RUN --detector Final_Retinaface.pth clip.mp4 --annotate "
      "judged.mp4\n"
      "  verace predict --model RUN FACES/manifest.csv --json\n"
      "  verace predict --model RUN --detector Final_Retinaface.pth --video frames/ --policy "
      "median\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
