// Groups by size, then by a digest of the content.
#include "data/video_sets/copies.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "kernels/hash.h"

namespace verace::data {
namespace {

namespace fs = std::filesystem;

// Nothing where the file cannot be read: who opens the video will say so.
std::optional<uint64_t> digest(const fs::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) return std::nullopt;
  std::vector<std::byte> block(size_t{1} << 18);
  Xxh64 hash;
  while (const size_t size = std::fread(block.data(), 1, block.size(), file.get())) {
    hash.add(std::span(block).first(size));
  }
  if (std::ferror(file.get()) != 0) return std::nullopt;
  return hash.value();
}

}  // namespace

void find_copies(std::vector<VideoSample>& videos, Tallies& notes) {
  std::map<uintmax_t, std::vector<VideoSample*>> by_size;
  for (VideoSample& sample : videos) {
    std::error_code error;
    if (!fs::is_regular_file(sample.path, error)) continue;
    const uintmax_t size = fs::file_size(sample.path, error);
    if (!error && size > 0) by_size[size].push_back(&sample);
  }
  for (auto& [size, samples] : by_size) {
    if (samples.size() < 2) continue;
    std::sort(samples.begin(), samples.end(),
              [](const VideoSample* a, const VideoSample* b) { return a->name < b->name; });
    std::map<uint64_t, const VideoSample*> first_of;
    for (VideoSample* sample : samples) {
      const std::optional<uint64_t> content = digest(sample->path);
      if (!content) continue;
      const auto [first, is_new] = first_of.try_emplace(*content, sample);
      if (is_new) continue;
      sample->sources.push_back(first->second->name);
      notes.add(sample->label == first->second->label
                    ? "the same bytes as another file (both come into one split)"
                    : "the same bytes as a file of the other class: one of the labels is wrong",
                sample->path);
    }
  }
}

}  // namespace verace::data
