// verace train: from pictures and weights to a run folder.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/run_files.h"
#include "apps/lib/checkpoint_files.h"
#include "apps/lib/report/report.h"
#include "apps/lib/trainer.h"
#include "engine/trace.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct TrainArguments {
  apps::TrainOptions train;
  DeviceFlags device;
  bool overwrite = false;
};

void declare_input(Flags& flags, apps::TrainOptions& o) {
  flags.group("Data");
  flags.value("--data", "DIR", "Pictures: DIR/{train,val,test}/{real,fake}/..., or a CSV file",
              into(o.data));
  declare_fit(flags, o.fit, o.resize);
  flags.toggle("--no-flip", "Do not mirror half of the training pictures", o.flip, false);
  flags.toggle("--balanced-sampling", "As many real as fake pictures in each epoch",
               o.balanced_sampling);
  flags.value("--pseudo-fakes", "SHARE",
              "Pseudo-fakes, made anew in each epoch, of so many of the real training pictures;\n"
              "1: of each (default 0; needs a manifest with landmarks, as verace faces writes it)",
              [&o](const std::string& text, const std::string& flag) {
                std::optional<double> share;
                into_range(share, 0, 1)(text, flag);
                o.pseudo_fakes = share.value_or(0);
              });
  flags.toggle("--allow-leak", "Accept a video or person that stands in two splits", o.allow_leak);
  flags.toggle("--strict", "End with an error at the first broken picture", o.strict);
  flags.value("--workers", "N", "Threads that decode pictures; 0: none (default 2)",
              into(o.workers, 0, kMostWorkers));
  flags.value("--cache-mb", "N", "Keep decoded pictures if they fit into N MB (default 0)",
              into(o.cache_mb, 0));
}

void declare_network(Flags& flags, apps::TrainOptions& o) {
  flags.group("Network");
  flags.value("--weights", "FILE", "Weights to start from; none: from scratch",
              [&o](const std::string& text, const std::string& flag) {
                if (text == "none") return o.weights.clear();
                into(o.weights)(text, flag);
              });
  flags.value("--head", "N|none|keep",
              "Hidden neurons of the new head; keep: the file's head (default none)",
              [&o](const std::string& text, const std::string& flag) {
                o.keep_head = text == "keep";
                o.head_hidden = 0;
                if (text != "keep" && text != "none") into(o.head_hidden, 1)(text, flag);
              });
  flags.value("--activation", "NAME",
              "Behind the hidden neurons: relu or leaky:SLOPE (default relu)",
              [&o](const std::string& text, const std::string& flag) {
                o.head_slope = apps::parse_activation(text, flag);
              });
  flags.value("--freeze", "WHAT",
              "none, backbone, keras:K, stages:N, blocks:N or name:LAYER (default none)",
              into(o.freeze));
  flags.value("--frozen-bn", "HOW",
              "Frozen batch norms use running (inference) or batch statistics (default inference)",
              [&o](const std::string& text, const std::string& flag) {
                apps::parse_text(text, flag, o.frozen_bn);
              });
  flags.value("--init", "HOW", "Initial values of new layers: keras or pytorch (default keras)",
              [&o](const std::string& text, const std::string& flag) {
                apps::parse_text(text, flag, o.initialisation);
              });
  flags.value("--input-size", "PIXELS", "Height and width of pictures (default the file's, or 224)",
              into(o.input_size, 32));
  flags.value("--width", "X", "From scratch: channels times X, for example 0.25 (default 1)",
              [&o](const std::string& text, const std::string& flag) {
                double width = 0;
                into(width, 0, Bound::kAbove)(text, flag);
                const double channels = 64 * width;
                if (channels != std::floor(channels) || channels > 1024) {
                  fail_input(text::format("{} {}: 64 times it must be a whole number up to 1024",
                                          flag, text));
                }
                o.stem_channels = static_cast<int64_t>(channels);
              });
}

void declare_optimisation(Flags& flags, apps::TrainOptions& o) {
  flags.group("Optimisation");
  flags.value("--epochs", "N", "Passes over the training pictures (default 3)", into(o.epochs, 1));
  flags.value("--batch", "N", "Pictures per step (default 64)", into(o.batch, 1, kMostPictures));
  flags.value("--lr", "X", "Learning rate of Adam (default 1e-4)",
              into(o.learning_rate, 0, Bound::kAbove));
  flags.value("--adam", "FORM", "Where epsilon stands: as in keras or torch (default keras)",
              [&o](const std::string& text, const std::string& flag) {
                into_choice({"keras", "torch", "pytorch"}, [&o](size_t i) {
                  o.adam = i == 0 ? kernels::AdamEpsilon::kKeras : kernels::AdamEpsilon::kPyTorch;
                })(text, flag);
              });
  flags.value("--adam-epsilon", "X", "Epsilon (default 1e-7 for keras, 1e-8 for torch)",
              into(o.adam_epsilon, 0, Bound::kAbove));
  flags.value("--loss", "FORM", "Cross-entropy of logits, or of clipped probabilities (logits)",
              [&o](const std::string& text, const std::string& flag) {
                into_choice({"logits", "clipped"}, [&o](size_t i) {
                  o.loss = i == 0 ? kernels::CrossEntropyForm::kLogits
                                  : kernels::CrossEntropyForm::kClippedProbability;
                })(text, flag);
              });
  flags.value("--class-weights", "W", "none, balanced, or REAL,FAKE such as 3,1 (default none)",
              [&o](const std::string& text, const std::string& flag) {
                into(o.class_weights)(text, flag);
                std::ranges::replace(o.class_weights, ',', ':');
                apps::class_weights(o.class_weights, 1, 1);
              });
  flags.value("--recalibrate", "N",
              "Pictures that renew batch-norm statistics before evaluation; 0: none (default 1024)",
              into(o.recalibrate, 0));
  declare_fpr(flags, o.fpr);
  flags.value("--seed", "N", "Of new weights, order and mirroring (default 1)", into(o.seed));
}

void declare(Flags& flags, TrainArguments& o) {
  o.train.flip = true;
  declare_input(flags, o.train);
  declare_network(flags, o.train);
  declare_optimisation(flags, o.train);
  flags.group("Run");
  flags.value("--out", "RUN", "Folder of the run: models, metrics, curve, config",
              into(o.train.out));
  flags.toggle("--overwrite", "Replace an earlier run in RUN", o.overwrite);
  flags.value("--resume", "FILE", "Go on with RUN/last.safetensors (or RUN) of a stopped run",
              into(o.train.resume));
  flags.value("--max-steps", "N", "Stop, to be resumed, after N steps; 0: no limit (default 0)",
              into(o.train.max_steps, 0));
  flags.value("--save-every", "N", "Store the state every N steps, too; 0: after each epoch alone",
              [&o](const std::string& text, const std::string& flag) {
                into(o.train.save_every.emplace(), 0)(text, flag);
              });
  flags.value("--trace", "FILE", "Write a Chrome trace of a few steps", into(o.train.trace));
  flags.toggle("--plan", "Print every operation and buffer of the step", o.train.print_plan);
  flags.toggle("--quiet", "No progress", o.train.quiet);
  declare_execution(flags, o.device);
  declare_precision(flags, o.train.precision);
  declare_backbone_overrides(flags, o.train.overrides);
}

void check_resume(const Flags& flags, TrainArguments& o) {
  for (const char* flag : {"--weights",
                           "--head",
                           "--activation",
                           "--freeze",
                           "--frozen-bn",
                           "--init",
                           "--input-size",
                           "--width",
                           "--batch",
                           "--lr",
                           "--adam",
                           "--adam-epsilon",
                           "--loss",
                           "--class-weights",
                           "--seed",
                           "--recalibrate",
                           "--fpr",
                           "--no-flip",
                           "--balanced-sampling",
                           "--pseudo-fakes",
                           "--fit",
                           "--resize",
                           "--allow-leak",
                           "--strict",
                           "--precision",
                           "--plans",
                           "--variant",
                           "--pool",
                           "--input-scale",
                           "--bn-epsilon",
                           "--force"}) {
    flags.refuse_both("--resume", flag, "a resumed run keeps what it was started with");
  }
  flags.refuse_both("--resume", "--overwrite", "a resumed run goes on, it replaces nothing");
  if (flags.given("--epochs")) o.train.resume_epochs = o.train.epochs;
  std::error_code error;
  if (std::filesystem::is_directory(o.train.resume, error)) {
    o.train.resume /= apps::kLastName;
  }
}

void check_new(const Flags& flags, TrainArguments& o) {
  flags.require("--data", "name the folder or CSV file of pictures");
  flags.require("--weights", "name a weight file, or none to train from scratch");
  flags.require("--out", "name the folder of the run");
  flags.refuse_both("--quiet", "--plan", "one wants less output, the other more");
  if (o.train.balanced_sampling && o.train.class_weights == "balanced") {
    flags.refuse_both("--balanced-sampling", "--class-weights",
                      "both would correct for the same imbalance");
  }
  if (!o.train.weights.empty() && flags.given("--width")) {
    fail_input("--width: only for training from scratch (--weights none): a file has its own");
  }
  if (o.train.keep_head && flags.given("--activation")) {
    flags.refuse_both("--head", "--activation", "--head keep goes on with the file's");
  }
  if (o.train.weights.empty() && o.train.keep_head) {
    fail_input("--head keep: needs a weight file; from scratch there is no head to keep");
  }
  if (flags.given("--activation") && o.train.head_hidden == 0) {
    fail_input("--activation: is that of the head's hidden neurons; give --head N as well");
  }
  if (o.train.weights.empty() && o.train.freeze != "none") {
    fail_input("--freeze: would freeze layers without any training (--weights none)");
  }
  apps::check_options(o.train);
  check_output_folder(o.train.out, "--out", o.overwrite);
}

int run(const Flags& flags, TrainArguments& o) {
  const bool resume = flags.given("--resume");
  if (resume) {
    check_resume(flags, o);
  } else {
    check_new(flags, o);
  }
  check_output_file({"--trace", o.train.trace, engine::Trace::kChromeStart, {}});
  if (!resume) {
    o.train.device = choose_device(o.device, o.train.quiet);
  } else if (flags.given("--device")) {
    o.train.resume_device = choose_device(o.device, o.train.quiet);
  }
  o.train.threads = o.device.threads;
  o.train.launch = o.device.launch.value_or(o.train.launch);
  o.train.plans = o.device.plans.value_or(o.train.plans);
  RunFilesAside aside(o.train.out, o.overwrite);
  const apps::TrainResult result = apps::train(o.train, std::cout);
  aside.forget();
  const std::filesystem::path folder =
      o.train.out.empty() ? o.train.resume.parent_path() : o.train.out;
  if (result.finished) {
    text::print(stdout, "done: {} (epoch {} is the best: best.safetensors)\n", folder.string(),
                result.best_epoch);
    std::fflush(stdout);
    apps::report::write_report_or_warn(folder, std::cout);
  }
  return result.signal == 0 ? 0 : 128 + result.signal;
}

}  // namespace

Command train_command() {
  const auto options = std::make_shared<TrainArguments>();
  return {
      "train",
      "Train or fine-tune a ResNet-50 to tell real from fake",
      "RUN receives best.safetensors, last.safetensors (for --resume), previous.safetensors (the\n"
      "state before it, should the last one be damaged), metrics.jsonl, curve.svg, config.toml,\n"
      "report.html and tensorboard/ (the metrics once more, for `tensorboard --logdir RUN`).\n"
      "Ctrl-C stores the state before it ends; --resume goes on, also after a crash.",
      "  verace train --data DIR --weights resnet50.safetensors --freeze keras:15 --head 3000 \\\n"
      "               --activation leaky:0.05 --epochs 3 --batch 64 --lr 1e-4 --out RUN\n"
      "  verace train --data DIR --weights none --width 0.25 --input-size 64 --out RUN\n"
      "  verace train --data FACES/faces.csv --pseudo-fakes 1 --weights FILE --out RUN\n"
      "  verace train --resume RUN --epochs 5\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
