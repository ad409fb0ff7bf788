// verace attack fgsm: how easily a network is fooled.

#include <cstdio>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/attack_runner.h"
#include "apps/lib/signals.h"
#include "apps/lib/weights_digest.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::cli {
namespace {

struct AttackFgsmArguments {
  ModelFlags model;
  DataFlags data;
  DeviceFlags device;
  apps::AttackOptions attack;
  int64_t limit = 0;
  bool json = false, quiet = false, overwrite = false, no_pictures = false;
};

void declare(Flags& flags, AttackFgsmArguments& o) {
  declare_model(flags, o.model);
  declare_data(flags, o.data);
  flags.value("--epsilon", "E,...", "Largest changes of a pixel, in units of pixels in [0, 1]",
              [&o](const std::string& text, const std::string& flag) {
                o.attack.epsilons = apps::parse_epsilons(text, flag);
              });
  flags.value("--out", "DIR", "Folder of the attacked pictures and attack.json",
              into(o.attack.out));
  flags.toggle("--no-pictures", "Write only attack.json", o.no_pictures);
  flags.toggle("--overwrite", "Replace the results of an earlier attack in DIR", o.overwrite);
  flags.value("--batch", "N", "Pictures that are attacked at a time (default 32)",
              into(o.attack.batch, 1, kMostPictures));
  flags.value("--limit", "N", "Attack only the first N pictures of each class; 0: all (default 0)",
              into(o.limit, 0));
  flags.toggle("--json", "Print the figures as JSON", o.json);
  flags.toggle("--quiet", "No progress, no notes", o.quiet);
  declare_execution(flags, o.device);
  declare_precision(flags, o.device.precision);
  declare_overrides(flags, o.model.overrides);
}

// The samples come sorted by class: a limit must keep both.
std::vector<data::Sample> first_of_each_class(std::vector<data::Sample> samples, int64_t limit) {
  if (limit == 0) return samples;
  int64_t kept[2] = {0, 0};
  std::erase_if(samples, [&](const data::Sample& sample) { return ++kept[sample.label] > limit; });
  return samples;
}

int run(const Flags& flags, AttackFgsmArguments& o) {
  flags.require("--model", "name the network's file");
  flags.require("--data", "name the folder or CSV file of pictures");
  flags.require("--epsilon", "give one or more, for example --epsilon 0.01,0.02");
  flags.require("--out", "name the folder of the results");
  check_precision(o.device);
  check_output_folder(o.attack.out, "--out", o.overwrite);
  const auto samples = first_of_each_class(load_samples(o.data), o.limit);
  const apps::LoadedModel model = load(o.model, o.quiet);
  const std::filesystem::path folder = o.attack.out;
  std::error_code ignored;
  o.attack.input_root =
      std::filesystem::is_directory(o.data.data, ignored) ? o.data.data : o.data.data.parent_path();
  if (o.no_pictures) o.attack.out.clear();
  o.attack.workers = o.data.workers;
  o.attack.strict = o.data.strict;
  o.attack.fit = {model.classifier->options().input_size, o.data.fit, 0, o.data.filter};
  const engine::Device device = open_device(o.device, o.quiet);
  const kernels::Exec exec = place(*model.classifier, device, o.device);
  apps::class_indices(model.classifier->options(), o.model.file.string());
  const apps::SignalGuard guard;
  apps::AttackResult result =
      apps::run_fgsm(*model.classifier, exec, samples, o.attack, o.model.file.string(),
                     apps::default_progress(o.quiet));
  result.weights = apps::weights_digest(o.model.file.string());
  result.split = data::kSplitNames[static_cast<size_t>(o.data.split)];
  const std::string json = apps::attack_json(result, o.model.file.string(), folder);
  const std::filesystem::path report = folder / "attack.json";
  std::vector<std::string> broken;
  for (const auto& picture : result.broken) broken.push_back(picture.message);
  report_broken(broken);
  if (o.json) {
    text::print(stdout, "{}", json);
  } else {
    text::print(stdout, "FGSM on {} pictures ({} split, evaluation mode; all are attacked)\n{}",
                result.count, result.split, apps::attack_table(result));
    text::print(stdout,
                "success: share misjudged afterwards; MSE in units of [0, 1]; 8-bit: as stored\n");
  }
  std::fflush(stdout);
  // Last: if the disc is full the figures are out already.
  make_folder(folder, "--out");
  weights::write_file_atomically(report.string(), json);
  if (!o.json) text::print(stdout, "figures: {}\n", report.string());
  return result.stopped ? 128 + apps::stop_signal() : 0;
}

}  // namespace

Command fgsm_command() {
  const auto options = std::make_shared<AttackFgsmArguments>();
  return {"attack fgsm",
          "Fast gradient sign method: the smallest change that raises the loss",
          "Every picture is attacked in evaluation mode, as Foolbox 3 does it, and judged by the\n"
          "larger of both probabilities, whatever threshold the model holds. For each epsilon:\n"
          "accuracy before and after, success rate, mean squared change, and accuracy on the\n"
          "attacked pictures as stored with 8 bits (DIR/eps_E/..., PNG).",
          "  verace attack fgsm --model RUN --data DIR --epsilon 0.01,0.02 --out attacked\n"
          "  verace attack fgsm --model RUN --data DIR --epsilon 0.01 --limit 32 --out attacked\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
