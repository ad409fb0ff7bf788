// Folders of pictures as frames: order, what is left out, what is refused
#include "data/frame_source.h"
#include "data/natural_order.h"
#include "tests/data/video_support.h"

namespace verace::data::testing::frame_folder_test {
namespace {

TEST_CASE("names in the order of their numbers") {
  const std::vector<std::string> sorted = {"",       "0",      "1",      "01",      "2",
                                           "9.png",  "10.png", "a",      "a1b2",    "a1b10",
                                           "a01b10", "a2b1",   "frame9", "frame10", "z"};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t k = 0; k < sorted.size(); ++k) {
      CAPTURE(sorted[i]);
      CAPTURE(sorted[k]);
      CHECK(natural_less(sorted[i], sorted[k]) == (i < k));
    }
  }
  // Longer than any integer type.
  CHECK(natural_less("99999999999999999999998", "99999999999999999999999"));
  CHECK(natural_less("9", "10000000000000000000000"));
  CHECK(natural_less("z", "\xc3\xa9"));  // bytes beyond ASCII come last
}

void write_number(const fs::path& path, int64_t number) {
  write_file(path, encode_png(numbered_image(number)));
}

TEST_CASE("pictures in natural order; hidden and other files and folders are not frames") {
  const TempFolder folder;
  for (const int64_t number : {10, 9, 100, 0}) {
    write_number(folder / (std::to_string(number) + ".png"), number);
  }
  write_number(folder / "._5.png", 5);
  write_file(folder / "notes.txt", "no picture");
  fs::create_directory(folder / "7.png");
  const auto source = open_frames(folder.path());
  CHECK(source->info().frames == 4);
  CHECK(source->info().width == 64);
  CHECK(source->info().height == 48);
  CHECK(source->info().seconds == 0);
  const std::vector<SeenFrame> frames = all_frames(*source);
  REQUIRE(frames.size() == 4);
  const std::vector<int64_t> numbers = {0, 9, 10, 100};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(frames[i].number == numbers[i]);
    CHECK(frames[i].index == static_cast<int64_t>(i));
  }
  CHECK(source->damage() == "");
}

TEST_CASE("broken pictures are left out, their places remain, and the first is named") {
  const TempFolder folder;
  for (int64_t k = 0; k < 6; ++k) write_number(folder / (std::to_string(k) + ".png"), k);
  for (const char* name : {"0.png", "3.png"}) write_file(folder / name, "broken");
  const auto source = open_frames(folder.path());
  CHECK(source->info().frames == 6);
  const std::vector<SeenFrame> frames = all_frames(*source);
  REQUIRE(frames.size() == 4);
  const std::vector<int64_t> left = {1, 2, 4, 5};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(frames[i].number == left[i]);
    CHECK(frames[i].index == left[i]);
  }
  CHECK(contains(source->damage(), "2 pictures cannot be read"));
  CHECK(contains(source->damage(), "0.png"));
}

TEST_CASE("jumping ahead decodes only what is asked for") {
  const TempFolder folder;
  for (int64_t k = 0; k < 8; ++k) write_number(folder / (std::to_string(k) + ".png"), k);
  for (const char* name : {"2.png", "5.png"}) write_file(folder / name, "broken");
  const auto source = open_frames(folder.path());
  REQUIRE(source->advance_to(0));
  CHECK(number_of(source->image()) == 0);
  REQUIRE(source->advance_to(0));  // behind the current one in any case
  CHECK(source->index() == 1);
  CHECK(number_of(source->image()) == 1);
  REQUIRE(source->advance_to(4));
  CHECK(number_of(source->image()) == 4);
  CHECK(source->damage() == "");  // 2.png has not been looked at
  REQUIRE(source->advance_to(5));
  CHECK(source->index() == 6);
  CHECK(number_of(source->image()) == 6);
  CHECK(contains(source->damage(), "1 pictures cannot be read"));
  CHECK(!source->advance_to(100));
  CHECK(!source->advance());
}

TEST_CASE("what is refused names the folder") {
  const TempFolder folder;
  const std::string name = folder.path().string();
  CHECK(contains(input_error([&] { open_frames(folder.path()); }), name + ": no pictures"));
  write_file(folder / "1.jpg", "broken");
  const std::string error = input_error([&] { open_frames(folder.path()); });
  CHECK(contains(error, name + ": none of its 1 pictures can be read"));
  CHECK(contains(error, "1.jpg"));
  CHECK(contains(input_error([&] { open_frames(folder / "gone"); }), "no such file or folder"));
  CHECK(contains(input_error([&] { open_frames("/dev/null"); }), "neither a file nor a folder"));
  write_file(folder / "empty.mp4", "");
  CHECK(contains(input_error([&] { open_frames(folder / "empty.mp4"); }), "empty file"));
}

}  // namespace
}  // namespace verace::data::testing::frame_folder_test
