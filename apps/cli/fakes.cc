// verace fakes: pseudo-fakes from real faces.
#include "apps/lib/fakes.h"

#include <memory>
#include <optional>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/cli/face_flags.h"
#include "apps/lib/progress.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct FakesArguments {
  apps::FakesOptions fakes;
  std::string input;
  DetectorFlags detector;
  DeviceFlags device;
  bool png = false, quiet = false;
};

void declare(Flags& flags, FakesArguments& o) {
  flags.argument("INPUT", "Manifest of faces, data set's folder, or folder of pictures (all real)",
                 o.input);
  flags.value("--out", "DIR", "Folder of the result: real/, fake/, faces.csv, sheet.png",
              into(o.fakes.out));
  flags.value("--per-face", "N", "Pseudo-fakes of each real face (default 1)",
              into(o.fakes.per_face, 1, 1000));
  flags.value("--seed", "N", "Of masks and changes (default 1)", into(o.fakes.seed));
  flags.value("--jpeg-quality", "Q",
              "Compress all pictures, real ones too, with this quality (default: PNG, no loss)",
              into(o.fakes.jpeg_quality, 1, 100));
  flags.toggle("--png", "PNG without loss; real pictures keep their files (the default)", o.png);
  flags.toggle("--quiet", "No progress", o.quiet);
  declare_detector(flags, o.detector);
  declare_device(flags, o.device);
}

void report(const apps::FakesResult& result, const FakesArguments& o) {
  for (size_t split = 0; split < data::kSplitNames.size(); ++split) {
    const auto& counts = result.counts[split];
    if (counts[0] + counts[1] == 0) continue;
    text::print(stdout, "{:<5} {} real, {} pseudo-fakes\n", data::kSplitNames[split], counts[0],
                counts[1]);
  }
  if (result.fakes_ignored > 0) {
    text::print(stdout, "{} fakes of {} were left out\n", result.fakes_ignored, o.input);
  }
  text::print(stdout, "written: {} (look at {})\n", (o.fakes.out / "faces.csv").string(),
              (o.fakes.out / "sheet.png").string());
  std::fflush(stdout);
  report_broken(result.left_out);
}

int run(const Flags& flags, FakesArguments& o) {
  flags.require("INPUT", "name a manifest of faces, or a folder of pictures");
  flags.require("--out", "name the folder of the result");
  flags.refuse_both("--png", "--jpeg-quality", "pictures are stored in one way");
  check_detector(flags, o.detector);
  o.fakes.input = o.input;
  check_output_folder(o.fakes.out, "--out", false);
  const kernels::Exec exec = kernels::make_exec(kernels::DeviceKind::kCpu, o.device.threads);
  std::optional<engine::Device> device;  // the detector's
  std::unique_ptr<apps::FaceFinder> finder;
  if (!o.detector.file.empty()) {
    device.emplace(open_device(o.device, o.quiet));
    finder = open_detector(o.detector, device->exec(), o.quiet);
  }
  std::unique_ptr<apps::Progress> progress;
  const apps::FakesResult result =
      apps::write_fakes(o.fakes, finder.get(), exec, [&](int64_t done, int64_t total) {
        if (!progress) {
          progress = std::make_unique<apps::Progress>(apps::default_progress(o.quiet), "fakes",
                                                      "faces", total);
        }
        progress->update(done);
      });
  if (progress) progress->finish();
  report(result, o);
  return 0;
}

}  // namespace

Command fakes_command() {
  const auto options = std::make_shared<FakesArguments>();
  return {
      "fakes",
      "Make pseudo-fakes from real faces: training data for those who have no fakes",
      "Self-blended images: each real face is blended with a changed copy of itself (colours,\n"
      "sharpness, compression, place) through a soft mask of the face's form. What swaps of\n"
      "faces leave, too, is all that differs: outside of the mask the pictures are equal.\n"
      "INPUT needs the faces' landmarks, as a manifest of verace faces has them, or a detector\n"
      "that finds those of the largest face of each picture.\n"
      "DIR/faces.csv lists both classes, in the splits of INPUT: for train, eval and threshold.\n"
      "To make them anew in each epoch instead: verace train --pseudo-fakes.",
      "  verace fakes FACES/faces.csv --out FAKES\n"
      "  verace fakes FACES/faces.csv --out FAKES --per-face 2 --jpeg-quality 90\n"
      "  verace fakes portraits/ --detector retinaface.pth --out FAKES\n"
      "  verace train --data FAKES/faces.csv --weights resnet50.safetensors --out RUN\n",
      [options](Flags& flags) { declare(flags, *options); },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
