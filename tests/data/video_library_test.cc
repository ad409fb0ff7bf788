// The module that calls FFmpeg: where it is looked for, and what is said where it is not
#include "data/video/library.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "tests/data/video_support.h"

namespace verace::data::testing::video_library_test {
namespace {

// What a fresh process, in which VERACE_VIDEO_LIBRARY is `named`, says when a video is opened.
std::string error_with(const std::string& named, const fs::path& video) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::setenv("VERACE_VIDEO_LIBRARY", named.c_str(), 1);
    std::string text;
    try {
      open_frames(video);
      text = "no error";
    } catch (const Error& error) {
      text = error.kind() == ErrorKind::kInput ? error.what() : "internal error";
    }
    const bool same = text == "no error" || video::library_text() == text;
    if (!same) text += " | " + video::library_text();
    (void)!::write(ends[1], text.data(), text.size());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t count = 0; (count = ::read(ends[0], part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  return text;
}

// The file of a library that is loaded already.
std::string path_of_libc() {
  Dl_info info{};
  REQUIRE(dladdr(reinterpret_cast<void*>(&::getpid), &info) != 0);
  return info.dli_fname;
}

// Before anything in this process loads the module: a forked process must not have it.
TEST_CASE("without the module: folders go on, and a video says what is missing") {
  const TempFolder folder;
  write_file(folder / "clip.mp4", "any content");
  write_file(folder / "broken.so", "no library");
  const std::string gone = error_with((folder / "gone.so").string(), folder / "clip.mp4");
  CHECK(contains(gone, "VERACE_VIDEO_LIBRARY names " + (folder / "gone.so").string()));
  const std::string broken = error_with((folder / "broken.so").string(), folder / "clip.mp4");
  CHECK(contains(broken, "broken.so does not load ("));
  CHECK(contains(broken, "apt-get install ffmpeg"));
  CHECK(contains(error_with(path_of_libc(), folder / "clip.mp4"), "is of another build"));
  fs::create_directory(folder / "frames");
  write_file(folder / "frames" / "1.png", encode_png(numbered_image(3)));
  CHECK(error_with((folder / "gone.so").string(), folder / "frames") == "no error");
}

TEST_CASE("the module, where it was built") {
  const std::vector<fs::path> places = video::library_candidates();
  REQUIRE(places.size() == 3);
  for (const fs::path& place : places) CHECK(place.filename() == "libverace_video.so");
  if (!have_video("data/video_library_test")) return;
  CHECK(contains(video::library_text(), "FFmpeg "));
  CHECK(contains(video::library_text(), "libverace_video.so)"));
  CHECK(video::library().has_encoder("mpeg4"));
  CHECK(!video::library().has_encoder("no such encoder"));
  CHECK(&video::library() == &video::library());
  // It hands itself out to the program it was built with only.
  const std::string text = video::library_text();
  const size_t begin = text.rfind('(') + 1;
  void* module = dlopen(text.substr(begin, text.rfind(')') - begin).c_str(), RTLD_NOW);
  REQUIRE(module != nullptr);
  const auto function =
      reinterpret_cast<video::LibraryFunction*>(dlsym(module, video::kLibraryFunction));
  REQUIRE((function != nullptr));
  CHECK(function("verace video 0, another compiler") == nullptr);
  CHECK(function(video::kInterface) == &video::library());
}

}  // namespace
}  // namespace verace::data::testing::video_library_test
