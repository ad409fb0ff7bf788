// verace faces: from videos to crops of faces and their manifest.

#include <charconv>
#include <memory>

#include "apps/cli/command_line.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/face_flags.h"
#include "apps/cli/video_set_flags.h"
#include "apps/lib/face_pipeline.h"
#include "apps/lib/signals.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

constexpr int64_t kMostFrames = 1'000'000;

struct FacesArguments {
  apps::FacePipelineOptions work;
  DetectorFlags detector;
  CropFlags crop;
  DeviceFlags device;
  bool png = false, timing = false, quiet = false;
  VideoSetFlags set;
};

[[noreturn]] void refuse_count(const std::string& text, const std::string& flag) {
  fail_input(
      text::format("{}: '{}' is neither a number of at least 1 nor real=N,fake=N", flag, text));
}

int64_t count_in(const std::string& part, const std::string& text, const std::string& flag) {
  int64_t value = 0;
  const char* end = part.data() + part.size();
  const auto [stop, error] = std::from_chars(part.data(), end, value);
  if (error != std::errc{} || stop != end || value < 1 || value > kMostFrames) {
    refuse_count(text, flag);
  }
  return value;
}

// "10", "real=100,fake=10" (in any order).
apps::FacesPerVideo parse_count(const std::string& text, const std::string& flag) {
  apps::FacesPerVideo count;
  if (text.find('=') == std::string::npos) {
    count.real = count.fake = count_in(text, text, flag);
    return count;
  }
  count.by_class = true;
  const size_t comma = text.find(',');
  if (comma == std::string::npos) refuse_count(text, flag);
  bool has_real = false, has_fake = false;
  for (const std::string& part : {text.substr(0, comma), text.substr(comma + 1)}) {
    if (part.starts_with("real=")) {
      count.real = count_in(part.substr(5), text, flag);
      has_real = true;
    } else if (part.starts_with("fake=")) {
      count.fake = count_in(part.substr(5), text, flag);
      has_fake = true;
    }
  }
  if (!has_real || !has_fake) refuse_count(text, flag);
  return count;
}

void declare_frames(Flags& flags, FacesArguments& o) {
  apps::FacePipelineOptions& work = o.work;
  flags.group("Which frames and faces");
  flags.value("--faces-per-video", "N",
              "Frames of each video, or real=N,fake=N by the video's label (default 10)",
              [&work](const std::string& text, const std::string& flag) {
                work.count = parse_count(text, flag);
              });
  flags.value(
      "--sampling", "RULE",
      "max-stride (every FRAMES/N th), sequential (the first), or linspace (first to last) "
      "(default max-stride)",
      into_choice({data::kSamplingNames.begin(), data::kSamplingNames.end()},
                  [&work](size_t i) { work.search.sampling = static_cast<data::Sampling>(i); }));
  flags.toggle("--fill", "Look at further frames in place of those without a face",
               work.search.fill);
  flags.toggle("--all-faces", "All faces of a frame, not the largest alone", work.search.all_faces);
}

void declare_inputs(Flags& flags, FacesArguments& o) {
  apps::FacePipelineOptions& work = o.work;
  flags.group("Inputs");
  flags.value("--label", "CLASS", "real or fake: of videos whose folder does not say it",
              into_choice({data::kClassNames.begin(), data::kClassNames.end()},
                          [&work](size_t i) { work.label = static_cast<int32_t>(i); }));
  flags.toggle("--pictures", "Folders hold single pictures, not the frames of one video",
               work.pictures);
}

void declare(Flags& flags, FacesArguments& o) {
  flags.arguments("INPUT", "Videos, folders of frames, pictures, or the folder of a data set",
                  o.work.inputs);
  flags.value("--out", "DIR", "Where crops, manifest and account go", into(o.work.out));
  flags.toggle("--timing", "Print where the time went", o.timing);
  flags.toggle("--quiet", "No progress, no notes", o.quiet);
  declare_frames(flags, o);
  declare_crop(flags, o.crop);
  flags.value("--jpeg-quality", "Q", "Of the crops, 1 to 100 (default 95)",
              into(o.work.jpeg_quality, 1, 100));
  flags.toggle("--png", "Crops without loss", o.png);
  declare_detector(flags, o.detector);
  declare_inputs(flags, o);
  declare_video_set(flags, o.set);
  declare_execution(flags, o.device);
  flags.value("--workers", "N", "Videos that are read at a time (default 2)",
              into(o.work.workers, 1, kMostWorkers));
}

void check(const Flags& flags, FacesArguments& o) {
  flags.require("INPUT", "name at least one video or folder");
  flags.require("--detector", "name the weights of a RetinaFace");
  flags.require("--out", "name the folder for the crops");
  flags.refuse_both("--png", "--jpeg-quality", "PNG has no quality");
  check_crop(flags, o.crop);
  check_video_set(flags, o.set);
  apps::FacePipelineOptions& work = o.work;
  work.search.crop = o.crop.options();
  if (o.png) work.jpeg_quality = 0;
  work.set = o.set.set;
  if (o.set.rule) work.splits = o.set.splits;
  check_output_folder(work.out, "--out", true);
}

int run(const Flags& flags, FacesArguments& o) {
  check(flags, o);
  const engine::Device device = open_device(o.device, o.quiet);
  const std::unique_ptr<apps::FaceFinder> finder =
      open_detector(o.detector, device.exec(), o.quiet);
  apps::FacePipelineOptions& work = o.work;
  work.detector = detector_settings(o.detector);
  work.search.batch = o.detector.options.batch;
  work.progress = apps::default_progress(o.quiet);
  const apps::SignalGuard guard;
  const apps::FacePipelineResult result = apps::run_face_pipeline(work, *finder);
  if (!o.quiet) {
    for (const std::string& note : result.notes) {
      text::print(stderr, "note: {}\n", one_line(note));
    }
  }
  if (result.stopped) {
    text::print(stderr, "verace: stopped: the same command goes on from here\n");
    return 128 + apps::stop_signal();
  }
  text::print(stdout, "{}", apps::pipeline_summary(result, work));
  if (o.timing) text::print(stdout, "{}", apps::timing_text(result.times, work.workers));
  for (const apps::DoneVideo& video : result.videos) {
    if (!video.record.faces.empty()) return 0;
  }
  text::print(stderr, "verace: {}: no face was found in any of {} videos; account.csv says why\n",
              data::name_of(work.out), result.videos.size());
  return kExitInput;
}

}  // namespace

Command faces_command() {
  const auto options = std::make_shared<FacesArguments>();
  return {
      "faces",
      "Cut the faces out of videos, for training and for eval",
      "Looks at N frames of each video, cuts out the largest face of each, and writes the crops\n"
      "with a manifest that train, eval and fakes read, an account of every video (why there\n"
      "are fewer faces, why none) and a contact sheet. A folder of pictures is one video, in the\n"
      "order of their names; the folder of Celeb-DF, FaceForensics++ or of real/ and fake/ is a\n"
      "data set. What was broken off is gone on with by the same command: finished videos are\n"
      "not done again, and the result is the same.",
      "  verace faces Celeb-DF-v2 --detector Final_Retinaface.pth --faces-per-video "
      "real=100,fake=10 "
      "--splits official --out faces\n"
      "  verace faces clip.mp4 --detector Final_Retinaface.pth --crop margin --out faces\n"
      "  verace faces portraits --pictures --label real --faces-per-video 1 --detector "
      "Final_Retinaface.pth --out faces\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
