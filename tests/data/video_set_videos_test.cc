// Data sets with the names of published ones and videos that can be decoded: from the tree to the
// frames.
#include "data/frame_source.h"
#include "data/video_set.h"
#include "data/video_writer.h"
#include "tests/data/video_support.h"
#include "tests/data/video_trees.h"

namespace verace::data::testing::video_set_videos_test {
using namespace test;
namespace {

constexpr int64_t kFrames = 3;

// The number that the frames of a video show: the same for a name on every machine.
int64_t name_number(const fs::path& path) {
  int64_t sum = 0;
  for (const char c : path.stem().string()) sum = (sum * 31 + c) % 251;
  return sum;
}

VideoMaker numbered_videos(const char* extension) {
  return [extension](const fs::path& path) {
    fs::create_directories(path.parent_path());
    const auto video = create_video(path.string() + extension, 64, 48, 10);
    for (int64_t i = 0; i < kFrames; ++i) video->add(numbered_image(name_number(path)));
    video->finish();
  };
}

// Each video of the set is the one of its name.
void expect_own_frames(const VideoSet& set) {
  for (const VideoSample& sample : set.videos) {
    CAPTURE(sample.name);
    const auto frames = open_frames(sample.path);
    int64_t count = 0;
    for (; frames->advance(); ++count) {
      CHECK(number_of(frames->image()) == name_number(sample.name));
    }
    CHECK(count == kFrames);
    CHECK(frames->damage().empty());
  }
}

}  // namespace

TEST_CASE("every video of a data set is opened under its name") {
  if (!have_video("data/video_set_videos")) return;
  const TempFolder celeb;
  make_celeb_df_with_list(celeb.path(), {.persons = 3, .clips = 2, .donors = 1, .youtube = 2},
                          numbered_videos(".mp4"));
  const VideoSet set = load_video_set(celeb.path());
  CHECK(set.videos.size() == 3 * 2 * 2 + 2);
  expect_own_frames(set);
  const TempFolder forensics;
  make_faceforensics(forensics.path(), {.pairs = 2, .test_pairs = 1, .val_pairs = 0},
                     numbered_videos(".avi"));
  write_file(forensics / "splits/val.json", std::string_view("[[\"998\", \"999\"]]"));
  const VideoSet pairs = load_video_set(forensics.path());
  CHECK(pairs.videos.size() == 4 * 3);
  expect_own_frames(pairs);
}

TEST_CASE("folders of frames are opened as the videos of their names") {
  const TempFolder dir;
  make_celeb_df(dir.path(), {.persons = 2, .clips = 1, .donors = 1, .youtube = 1},
                [](const fs::path& path) {
                  for (int64_t i = 0; i < kFrames; ++i) {
                    write_file(path / "images" / text::format("{}.jpg", 8 + i),
                               encode_jpeg(numbered_image(name_number(path))));
                  }
                });
  const VideoSet set = load_video_set(dir.path());
  CHECK(set.videos.size() == 5);
  expect_own_frames(set);
}

}  // namespace verace::data::testing::video_set_videos_test
