// Real clips against another decoder (tests/goldens/make_videos.py), when VERACE_TEST_DATA names
// the folder of test data
#include <cstdlib>
#include <map>
#include <sstream>

#include "tests/data/video_support.h"

namespace verace::data::testing::video_clips_test {
namespace {

using Means = std::array<double, 12>;  // of each channel in each quarter: [quarter][channel]

// Of every fourth pixel both ways, as the golden file has them.
Means quarters(const Image& image) {
  constexpr int64_t kStep = 4;
  const int64_t rows = (image.height + kStep - 1) / kStep;
  const int64_t columns = (image.width + kStep - 1) / kStep;
  Means sums{};
  std::array<int64_t, 4> counts{};
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < columns; ++x) {
      const size_t quarter = (y >= (rows + 1) / 2 ? 2U : 0U) + (x >= (columns + 1) / 2 ? 1U : 0U);
      const uint8_t* pixel = &image.rgb[static_cast<size_t>((y * image.width + x) * kStep * 3)];
      for (size_t c = 0; c < 3; ++c) sums[quarter * 3 + c] += pixel[c];
      ++counts[quarter];
    }
  }
  for (size_t i = 0; i < sums.size(); ++i) sums[i] /= static_cast<double>(counts[i / 3]);
  return sums;
}

struct Clip {
  int64_t width = 0, height = 0, frames = 0;
  std::map<int64_t, std::pair<double, Means>> at;  // seconds and means of single frames
  double last_seconds = 0;
  Means all{};  // over all frames, the one at place k counted k + 1 times
};

std::map<std::string, Clip> golden_clips() {
  std::map<std::string, Clip> clips;
  std::ifstream file(std::string(VERACE_GOLDENS) + "/video_clips.csv");
  std::string line;
  REQUIRE(std::getline(file, line));
  while (std::getline(file, line)) {
    std::istringstream in(line);
    std::vector<std::string> fields;
    for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
    REQUIRE(fields.size() == 18);
    Clip& clip = clips[fields[0]];
    clip.width = std::stoll(fields[1]);
    clip.height = std::stoll(fields[2]);
    clip.frames = std::stoll(fields[3]);
    Means means{};
    for (size_t i = 0; i < means.size(); ++i) means[i] = std::stod(fields[6 + i]);
    if (fields[4] == "all") {
      clip.all = means;
      clip.last_seconds = std::stod(fields[5]);
    } else {
      clip.at[std::stoll(fields[4])] = {std::stod(fields[5]), means};
    }
  }
  return clips;
}

// Chroma is interpolated here and repeated there, each is rounded: that shifts a mean of some
// thousand pixels by less than this. A wrong matrix, range or frame shifts it by more.
constexpr double kLevels = 0.75;

void check_means(const Means& got, const Means& expected) {
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CAPTURE(got[i]);
    CAPTURE(expected[i]);
    CHECK(std::abs(got[i] - expected[i]) < kLevels);
  }
}

void check_clip(FrameSource& source, const Clip& clip) {
  CHECK(source.info().width == clip.width);
  CHECK(source.info().height == clip.height);
  CHECK(source.info().frames == clip.frames);
  Means sums{};
  double weights = 0;
  int64_t count = 0;
  while (source.advance()) {
    CHECK(source.index() == count);
    const Means means = quarters(source.image());
    const double weight = static_cast<double>(++count);
    weights += weight;
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += weight * means[i];
    const auto single = clip.at.find(source.index());
    if (single == clip.at.end()) continue;
    CAPTURE(source.index());
    CHECK(std::abs(source.seconds() - single->second.first) < 2e-3);
    check_means(means, single->second.second);
  }
  CHECK(count == clip.frames);
  CHECK(std::abs(source.seconds() - clip.last_seconds) < 2e-3);
  for (double& sum : sums) sum /= weights;
  check_means(sums, clip.all);
  CHECK(source.damage() == "");
}

TEST_CASE("every frame of the clips as another decoder sees it") {
  if (!have_video("data/video_clips_test")) return;
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr || !fs::is_directory(fs::path(data) / "videos_ccby4")) {
    std::printf("SKIPPED data/video_clips_test: VERACE_TEST_DATA has no videos_ccby4\n");
    return;
  }
  const std::map<std::string, Clip> clips = golden_clips();
  CHECK(clips.size() == 18);
  for (const auto& [name, clip] : clips) {
    CAPTURE(name);
    const auto source = open_frames(fs::path(data) / "videos_ccby4" / name);
    check_clip(*source, clip);
  }
}

}  // namespace
}  // namespace verace::data::testing::video_clips_test
