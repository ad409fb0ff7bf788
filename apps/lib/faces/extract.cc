// The order makes it safe to be killed at any instant: old record away, crops, new record.
#include "apps/lib/faces/extract.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <system_error>

#include "data/text.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double time_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void make_crops_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return;
  fail_input(text::format("{}: cannot be made a folder ({}); check the folder and free space",
                          data::name_of(folder), error.message()));
}

// What an earlier, unfinished attempt or another source has left. Other files stay.
void clear_folder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> crops;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (is_crop_name(it->path().filename().string())) crops.push_back(it->path());
  }
  for (const fs::path& crop : crops) fs::remove(crop, error);
  weights::remove_abandoned_files(folder.string());
}

std::vector<std::byte> encoded(const data::Image& image, int jpeg_quality) {
  return jpeg_quality == 0 ? data::encode_png(image) : data::encode_jpeg(image, jpeg_quality);
}

}  // namespace

fs::path crops_folder(const fs::path& out, const FaceJob& job) {
  return out / "faces" / job.folder;
}

fs::path record_file(const fs::path& out, const FaceJob& job) {
  return out / "videos" / (job.folder + ".json");
}

VideoRecord extract_faces(const FaceJob& job, FaceFinder& finder,
                          const FacePipelineOptions& options, ExtractTimes& times) {
  const fs::path folder = crops_folder(options.out, job), file = record_file(options.out, job);
  VideoRecord record;
  record.source = stamp_of(job.video.path);
  record.wanted = job.wanted;
  std::error_code error;
  fs::remove(file, error);
  clear_folder(folder);
  VideoFacesOptions search = options.search;
  search.frames = job.wanted;
  const VideoFaces found = find_video_faces(job.video.path, finder, search, [&](FoundFace& face) {
    Clock::time_point begin = Clock::now();
    FaceEntry entry = entry_of(face);
    const std::vector<std::byte> bytes = encoded(face.crop.image, options.jpeg_quality);
    face.crop.image = {};
    times.encode += time_since(begin);
    begin = Clock::now();
    entry.file = crop_name(face.frame, face.place, options.jpeg_quality == 0);
    entry.bytes = static_cast<int64_t>(bytes.size());
    entry.digest = digest_of(bytes);
    if (record.faces.empty()) make_crops_folder(folder);
    // Not synchronised one by one: the record holds their digests, and a crop that was lost
    // with the machine's power is noticed.
    data::write_file(folder / entry.file, bytes, data::Durability::kFast);
    record.faces.push_back(std::move(entry));
    times.write += time_since(begin);
  });
  for (double FaceTimes::*stage :
       {&FaceTimes::decode, &FaceTimes::convert, &FaceTimes::detect, &FaceTimes::crop}) {
    times.search.*stage += found.times.*stage;
  }
  std::stable_sort(record.faces.begin(), record.faces.end(),
                   [](const FaceEntry& a, const FaceEntry& b) { return a.frame < b.frame; });
  record.frames = found.frames_in_video;
  record.looked_at = found.frames_looked_at;
  record.with_faces = found.frames_with_faces;
  record.without_face = found.without_face;
  record.seconds = std::round(found.seconds * 1000) / 1000;
  record.format = found.format;
  record.shortfall = found.shortfall;
  record.damage = found.damage;
  record.readable = found.readable;
  if (!record.readable) return record;
  const Clock::time_point begin = Clock::now();
  const std::string text = record_text(record);
  make_crops_folder(file.parent_path());
  weights::write_file_atomically(file.string(), text);
  times.record += time_since(begin);
  // As a later call will read it.
  return record_from(text, data::name_of(file));
}

}  // namespace verace::apps
