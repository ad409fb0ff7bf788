// Lines of CSV for faces.
#include "data/face_manifest.h"

#include "data/csv.h"
#include "data/manifest.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

std::string number(const std::optional<double>& value, int decimals) {
  return value ? text::format("{:.{}f}", *value, decimals) : std::string();
}

}  // namespace

std::string face_manifest_header() {
  return text::format("{}\n", text::join(kManifestColumns, ","));
}

std::string face_manifest_line(const FaceRecord& f) {
  std::string line =
      text::format("{},{},{},{},{},{},{},{}", csv_field(f.path),
                   f.label ? kClassNames[static_cast<size_t>(*f.label)] : "", csv_field(f.video),
                   csv_field(f.identity), f.split ? kSplitNames[static_cast<size_t>(*f.split)] : "",
                   f.frame ? text::format("{}", *f.frame) : std::string(), number(f.seconds, 3),
                   number(f.score, 5));
  const FaceBox box = f.box.value_or(FaceBox{});
  for (const float side : {box.x1, box.y1, box.x2, box.y2}) {
    line += f.box ? text::format(",{:.2f}", side) : ",";
  }
  for (size_t i = 0; i < kFaceLandmarks; ++i) {
    line += f.landmarks ? text::format(",{:.2f},{:.2f}", (*f.landmarks)[i].x, (*f.landmarks)[i].y)
                        : ",,";
  }
  return line + "\n";
}

}  // namespace verace::data
