// Which faces there are, who lends a face to whom, and the files.
#include "data/faces/dataset.h"

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/draws.h"
#include "data/face_frame.h"
#include "data/face_manifest.h"
#include "data/faces/camera.h"
#include "data/faces/render.h"
#include "data/faces/swap.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/parallel.h"

namespace verace::data::faces {
namespace {

namespace fs = std::filesystem;

constexpr uint8_t kDonorStream = 0xD9;
constexpr int64_t kFrameNumbers = 4096;  // per video
// The shots of donors are others than those of persons.
constexpr int64_t kDonorShots = int64_t{1} << 32;

// One picture of the data set.
struct Entry {
  size_t split = 0;
  int32_t label = kReal;
  int64_t target = 0, donor = 0, frame = 0;
  bool lit_from_left = false;
  std::vector<std::byte> file;

  std::string video() const {
    return text::format("{}/{}/{:04}", kSplitNames[split], kClassNames[static_cast<size_t>(label)],
                        target);
  }
};

// The donor's scene: the face swap gave it the target's expression and about its pose.
Shot donor_shot(uint64_t seed, const Shot& target, int64_t number, int64_t frame) {
  Shot shot = draw_shot(seed, kDonorShots + number, frame);
  shot.expression = target.expression;
  shot.pose.yaw = mix(target.pose.yaw, shot.pose.yaw, 0.3F);
  shot.pose.pitch = mix(target.pose.pitch, shot.pose.pitch, 0.3F);
  shot.pose.roll = target.pose.roll;
  shot.pose.scale = target.pose.scale;
  shot.pose.centre = target.pose.centre;
  return shot;
}

// Somebody else of [first, first + count).
int64_t donor_of(uint64_t seed, int64_t person, int64_t first, int64_t count) {
  const engine::Philox rng(seed, stream_of(kDonorStream, person));
  const auto step = static_cast<int64_t>(rng.below(0, static_cast<uint64_t>(count - 1)));
  return first + (person - first + 1 + step) % count;
}

std::vector<Entry> entries_of(const DatasetOptions& options) {
  std::vector<Entry> entries;
  int64_t first = 0;
  for (size_t split = 0; split < options.identities.size(); ++split) {
    const int64_t count = options.identities[split];
    for (int32_t label : {kReal, kFake}) {
      for (int64_t person = first; person < first + count; ++person) {
        const int64_t donor =
            label == kReal ? person : donor_of(options.seed, person, first, count);
        for (int64_t frame = 0; frame < options.frames; ++frame) {
          entries.push_back({split, label, person, donor, frame, false, {}});
        }
      }
    }
    first += count;
  }
  return entries;
}

void check_options(const DatasetOptions& options) {
  VERACE_CHECK(options.size >= 32 && options.size <= kMaxImageSide);
  VERACE_CHECK(options.frames >= 1 && options.frames <= kFrameNumbers);
  for (const int64_t count : options.identities) VERACE_CHECK(count == 0 || count >= 2);
}

void write_picture(const fs::path& directory, Entry& e) {
  const fs::path folder = directory / e.video();
  std::error_code error;
  if (e.frame == 0) fs::create_directories(folder, error);  // write_file names what went wrong
  write_file(folder / text::format("{:02}.jpg", e.frame), e.file, Durability::kFast);
  e.file = {};
}

void write_manifests(const fs::path& directory, const std::vector<Entry>& entries,
                     const DatasetOptions& options) {
  std::string faces = face_manifest_header();
  std::string light = "path,label,video,identity,split\n";
  for (const Entry& e : entries) {
    const std::string path = text::format("{}/{:02}.jpg", e.video(), e.frame);
    faces += face_manifest_line({path,
                                 e.label,
                                 e.video(),
                                 text::format("person{:04}", e.target),
                                 static_cast<Split>(e.split),
                                 e.frame,
                                 {},
                                 {},
                                 {},
                                 drawn_landmarks(options.seed, options.size, e.target, e.frame)});
    if (e.label != kReal) continue;  // a fake's inner face has a light of its own
    // Frames are alike where the light is: a video, of which there may be two of a person.
    light += text::format("{},{},{}-{},person{:04},{}\n", path, e.lit_from_left ? 0 : 1, e.video(),
                          e.lit_from_left ? "left" : "right", e.target, kSplitNames[e.split]);
  }
  const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  write_file(directory / "faces.csv", bytes(faces), Durability::kFast);
  write_file(directory / "light.csv", bytes(light), Durability::kFast);
}

}  // namespace

DrawnFace draw_face(uint64_t seed, int64_t size, int64_t target, int64_t donor, int64_t frame) {
  const int64_t number = target * kFrameNumbers + frame;
  const Person person = draw_person(seed, target);
  const Shot shot = draw_shot(seed, target, frame);
  const Picture light = render(person, shot, size);
  const Picture outer = photograph(light, shot.camera, seed, 4 * number);
  const Swap swap = draw_swap(seed, number);
  DrawnFace result{{}, shot.jpeg_quality, shot.light.direction.x < 0};
  const Landmarks places = landmarks(person, shot.pose);
  if (donor == target) {
    const Picture inner = photograph(light, shot.camera, seed, 4 * number + 1);
    result.image = develop(swap_inner_face({outer, places}, {inner, places}, swap));
  } else {
    const Person other = draw_person(seed, donor);
    const Shot scene = donor_shot(seed, shot, target, frame);
    const Picture inner =
        photograph(render(other, scene, size), scene.camera, seed, 4 * number + 2);
    result.image =
        develop(swap_inner_face({outer, places}, {inner, landmarks(other, scene.pose)}, swap));
  }
  return result;
}

std::array<ImagePoint, kFaceLandmarks> drawn_landmarks(uint64_t seed, int64_t size, int64_t target,
                                                       int64_t frame) {
  auto points = five_landmarks(draw_person(seed, target), draw_shot(seed, target, frame).pose);
  for (ImagePoint& point : points) point = point * static_cast<float>(size);
  return points;
}

int64_t picture_count(const DatasetOptions& options) {
  int64_t identities = 0;
  for (const int64_t count : options.identities) identities += count;
  return identities * 2 * options.frames;
}

void write_dataset(const fs::path& directory, const DatasetOptions& options,
                   const kernels::Exec& exec, const std::function<void(int64_t)>& written) {
  check_options(options);
  make_empty_folder(directory);
  std::vector<Entry> entries = entries_of(options);
  constexpr size_t kPiece = 256;  // pictures between two reports
  for (size_t first = 0; first < entries.size(); first += kPiece) {
    const size_t count = std::min(kPiece, entries.size() - first);
    const std::span<Entry> piece(entries.data() + first, count);
    kernels::parallel_for(exec, static_cast<int64_t>(count), [&](int64_t i) {
      Entry& e = piece[static_cast<size_t>(i)];
      const DrawnFace face = draw_face(options.seed, options.size, e.target, e.donor, e.frame);
      e.lit_from_left = face.lit_from_left;
      e.file = encode_jpeg(face.image, face.jpeg_quality);
    });
    for (Entry& e : piece) write_picture(directory, e);
    if (written) written(static_cast<int64_t>(first + count));
  }
  write_manifests(directory, entries, options);
}

}  // namespace verace::data::faces
