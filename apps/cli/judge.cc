// Loader, session and evaluation of a split.
#include "apps/cli/judge.h"

#include <algorithm>
#include <memory>

#include "apps/lib/memory_limit.h"
#include "apps/lib/signals.h"
#include "kernels/format.h"

namespace verace::cli {

void declare_judging(Flags& flags, JudgeFlags& judging) {
  flags.value("--batch", "N", "Pictures that are judged at a time (default 64)",
              into(judging.batch, 1, kMostPictures));
  flags.toggle("--quiet", "No progress, no notes", judging.quiet);
  declare_execution(flags, judging.device);
  declare_precision(flags, judging.device.precision);
  declare_overrides(flags, judging.model.overrides);
}

void declare_threshold(Flags& flags, std::optional<double>& threshold) {
  flags.value("--threshold", "X",
              "Fake is what has a probability above X (default: the model's own, or 0.5)",
              into_range(threshold, 0, 1));
}

void declare_policy(Flags& flags, apps::DecisionFlags& decision) {
  flags.value(
      "--policy", "HOW",
      "A video's probability: mean, median, majority (share of fakes) or confident (mean of "
      "the sure ones) of its faces (default: the model's own, or mean)",
      into_choice({apps::kPolicyNames.begin(), apps::kPolicyNames.end()},
                  [&](size_t i) { decision.policy = static_cast<apps::Policy>(i); }));
  flags.value("--per-frame", "HOW",
              "Several faces of one frame: each counts, or max, the most suspicious of them "
              "(default: the model's own, or each)",
              into_choice({apps::kPerFrameNames.begin(), apps::kPerFrameNames.end()},
                          [&](size_t i) { decision.per_frame = static_cast<apps::PerFrame>(i); }));
}

apps::Evaluation judge(const JudgeFlags& judging, const apps::LoadedModel& model,
                       std::vector<data::Sample> samples, const apps::Decision& decision) {
  const layers::Classifier& classifier = *model.classifier;
  const std::string name = judging.model.file.string();
  apps::class_indices(classifier.options(), name);
  data::LoaderOptions loading;
  loading.batch_size = judging.batch;
  loading.fit = {classifier.options().input_size, judging.data.fit, 0, judging.data.filter};
  loading.workers = judging.data.workers;
  loading.strict = judging.data.strict;
  data::Loader loader(std::move(samples), loading);
  const engine::Device device = open_device(judging.device, judging.quiet);
  const kernels::Exec exec = place(*model.classifier, device, judging.device);
  apps::InferenceSession session(classifier, exec, std::make_shared<engine::Arena>(),
                                 judging.batch);
  apps::require_memory(session, judging.batch, std::min(judging.batch, loader.pictures_per_epoch()),
                       apps::available_memory());
  for (const std::string& note :
       {apps::fit_warning(decision, {judging.data.fit, judging.data.filter}),
        apps::policy_warning(decision),
        apps::crop_warning(model.crop, apps::crop_of_data(judging.data.data))}) {
    if (!note.empty() && !judging.quiet) text::print(stderr, "WARNING: {}\n", note);
  }
  const apps::SignalGuard guard;
  apps::Evaluation evaluation = apps::evaluate(
      session, loader, name, apps::default_progress(judging.quiet), "evaluate", decision);
  std::vector<std::string> broken;
  for (const auto& picture : evaluation.broken) broken.push_back(picture.message);
  report_broken(broken);
  return evaluation;
}

}  // namespace verace::cli
