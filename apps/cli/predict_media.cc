// verace predict --detector: verdicts about videos.
#include <algorithm>
#include <memory>

#include "apps/cli/command_line.h"
#include "apps/cli/judge.h"
#include "apps/cli/predict.h"
#include "apps/lib/annotate.h"
#include "apps/lib/media_predictor.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/predictor.h"
#include "apps/lib/progress.h"
#include "apps/lib/signals.h"
#include "data/text.h"
#include "data/video_sets/files.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

constexpr const char* kMediaFlags[] = {"--frames", "--sampling",  "--all-faces", "--crop",
                                       "--margin", "--min-score", "--min-size",  "--long-side",
                                       "--slope",  "--annotate",  "--video"};

bool is_csv(const std::string& path) {
  return data::lower(std::filesystem::path(path).extension().string()) == ".csv";
}

// What the flags say, else what the model was trained on.
apps::CropRecord choose_crop(const PredictOptions& o,
                             const std::optional<apps::CropRecord>& trained) {
  apps::CropRecord crop = trained.value_or(apps::CropRecord{});
  if (o.crop && *o.crop != crop.kind) crop = {*o.crop, data::usual_margin(*o.crop)};
  if (o.margin) crop.margin = *o.margin;
  if (o.quiet) return crop;
  if (!trained && !o.crop) {
    text::print(stderr, "ASSUMPTION: {} (the model does not say what it was trained on)\n",
                apps::crop_text(crop));
  }
  if (const std::string warning = apps::crop_warning(trained, crop); !warning.empty()) {
    text::print(stderr, "WARNING: {}\n", warning);
  }
  return crop;
}

apps::MediaOptions media_options(const PredictOptions& o, const apps::LoadedModel& model) {
  const layers::ClassifierOptions& network = model.classifier->options();
  apps::MediaOptions options;
  options.classes = apps::class_indices(network, o.model.file.string());
  options.fit = apps::fit_options(network, data::Fit::kStretch);
  options.decision = choose_decision(o, model, options.fit);
  return options;
}

// Prints the verdicts, and errors of files on stderr; the exit code.
int report(const PredictOptions& o, const apps::MediaVerdicts& verdicts) {
  text::print(stdout, "{}", o.json ? apps::media_json(verdicts) : apps::media_text(verdicts));
  std::fflush(stdout);
  int64_t without = 0;
  for (const apps::MediaVerdict& item : verdicts.items) {
    if (!item.fake_probability) ++without;
    if (!item.readable) text::print(stderr, "verace: {}\n", item.why_not);
  }
  if (without == 0) return 0;
  if (verdicts.items.size() > 1) {
    text::print(stderr, "verace: {} of {} have no verdict\n", without, verdicts.items.size());
  }
  return kExitInput;
}

// Stopped by a signal: says how far; else 0.
int stopped(size_t done, size_t all) {
  if (apps::stop_signal() == 0) return 0;
  text::print(stderr, "stopped: {} of {} files were judged\n", done, all);
  return 128 + apps::stop_signal();
}

// A network on its device, ready to be asked.
struct Judge {
  Judge(PredictOptions& o, apps::LoadedModel& model)
      : device(open_device(o.device, o.quiet)),
        exec(place(*model.classifier, device, o.device)),
        session(*model.classifier, exec, std::make_shared<engine::Arena>(), o.batch) {
    apps::require_memory(session, o.batch, o.batch, apps::available_memory());
  }
  engine::Device device;
  kernels::Exec exec;
  apps::InferenceSession session;
};

}  // namespace

void declare_media(Flags& flags, PredictOptions& o) {
  o.search.frames = 32;
  o.search.sampling = data::Sampling::kLinspace;
  declare_detector(flags, o.detector);
  flags.group("Videos, and pictures in which faces must be found");
  flags.value("--frames", "N", "Frames that are looked at in each video (default 32)",
              into(o.search.frames, 1));
  flags.value("--sampling", "HOW", "Which: max-stride, sequential or linspace (default linspace)",
              into_choice({data::kSamplingNames.begin(), data::kSamplingNames.end()},
                          [&o](size_t i) { o.search.sampling = static_cast<data::Sampling>(i); }));
  flags.toggle("--all-faces", "All faces of a frame, not only its largest", o.search.all_faces);
  flags.value("--crop", "KIND",
              "tight, margin, square, aligned or eye-angle: as the network was trained (default "
              "the model's own, or tight)",
              into_choice({data::kCropNames.begin(), data::kCropNames.end()},
                          [&o](size_t i) { o.crop = static_cast<data::CropKind>(i); }));
  flags.value("--margin", "X", "Of the crop, as a share of the face (default by its kind)",
              into_range(o.margin, 0, data::kMostMargin));
  flags.toggle("--video", "A folder of pictures is one video, its pictures the frames",
               o.folders_are_videos);
  flags.value("--annotate", "FILE",
              "Write a copy with the judged faces framed: .mp4, .mkv, .avi, a folder, or of a "
              "picture .png or .jpg",
              into(o.annotate));
}

PredictKind check_media(const Flags& flags, const PredictOptions& o) {
  const bool manifest = std::ranges::any_of(o.inputs, is_csv);
  if (manifest && (o.inputs.size() > 1 || !o.detector.file.empty())) {
    fail_input(text::format("{}: a manifest of faces is judged alone, and without --detector",
                            data::name_of(o.inputs[0])));
  }
  if (o.detector.file.empty()) {
    for (const char* flag : kMediaFlags) {
      if (flags.given(flag)) {
        fail_input(text::format("{}: needs --detector FILE, which finds the faces", flag));
      }
    }
    for (const std::string& input : o.inputs) {
      if (data::is_video_name(input)) {
        fail_input(text::format("{}: a video: its faces must be found first: give --detector FILE",
                                data::name_of(input)));
      }
    }
    if (!manifest) return PredictKind::kPictures;
  }
  for (const char* flag : {"--labels", "--top", "--fit"}) {
    if (!flags.given(flag)) continue;
    fail_input(text::format("{}: has no meaning with {}", flag,
                            manifest ? "a manifest of faces" : "--detector"));
  }
  if (manifest) return PredictKind::kManifest;
  if (o.annotate.empty()) return PredictKind::kMedia;
  if (o.inputs.size() != 1) {
    fail_input("--annotate: one file is annotated at a time: name one video or picture");
  }
  apps::check_annotation(o.inputs[0], o.annotate, "--annotate");
  return PredictKind::kMedia;
}

int predict_media(PredictOptions& o) {
  const auto paths = apps::expand_media(o.inputs, o.folders_are_videos);
  if (!o.annotate.empty() && paths.size() != 1) {
    fail_input("--annotate: the folder holds several files: name one of them, or give --video");
  }
  apps::LoadedModel model = load(o.model, o.quiet);
  apps::MediaOptions options = media_options(o, model);
  const apps::CropRecord crop = choose_crop(o, model.crop);
  options.search = o.search;
  options.search.crop = {crop.kind, crop.margin, options.fit.size};
  options.search.threads = std::max(1, o.device.threads);
  Judge judge(o, model);
  const auto finder = open_detector(o.detector, judge.device.exec(), o.quiet);
  apps::MediaVerdicts verdicts{{}, options.decision, options.search, finder->description()};
  apps::Progress progress(
      paths.size() > 1 ? apps::default_progress(o.quiet) : apps::ProgressStyle{}, "predict",
      "files", static_cast<int64_t>(paths.size()));
  const apps::SignalGuard guard;
  for (const auto& path : paths) {
    if (apps::stop_signal() != 0) break;
    verdicts.items.push_back(apps::judge_media(path, *finder, judge.session, options));
    progress.update(static_cast<int64_t>(verdicts.items.size()));
  }
  progress.finish();
  const int code = report(o, verdicts);
  if (const int signal = stopped(verdicts.items.size(), paths.size()); signal != 0) return signal;
  if (!o.annotate.empty() && verdicts.items[0].readable) {
    const std::string written = apps::annotate(verdicts.items[0], options.decision, o.annotate);
    if (!o.quiet) text::print(stderr, "annotated: {}\n", written);
  }
  return code;
}

int predict_manifest(PredictOptions& o) {
  apps::LoadedModel model = load(o.model, o.quiet);
  const apps::MediaOptions options = media_options(o, model);
  const std::filesystem::path manifest = o.inputs[0];
  if (const std::string warning = apps::crop_warning(model.crop, apps::crop_of_data(manifest));
      !warning.empty() && !o.quiet) {
    text::print(stderr, "WARNING: {}\n", warning);
  }
  Judge judge(o, model);
  apps::MediaVerdicts verdicts{{}, options.decision, {}, {}};
  verdicts.items = apps::judge_manifest(manifest, judge.session, options);
  return report(o, verdicts);
}

}  // namespace verace::cli
