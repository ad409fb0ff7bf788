// Folders with the names of published data sets of videos: Celeb-DF, FaceForensics++; in any size.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "kernels/format.h"
#include "tests/support/files.h"

namespace verace::test {

// Makes the video of this path (without an extension): an empty file, a folder of frames, ...
using VideoMaker = std::function<void(const std::filesystem::path& path)>;

// Enough for what looks at names only.
inline void empty_video(const std::filesystem::path& path) {
  write_text(path.string() + ".mp4", "");
}
inline void empty_frames(const std::filesystem::path& path) {
  for (const char* frame : {"000.png", "001.png"}) write_text(path / frame, "");
}

struct CelebDfSize {
  int persons = 4;  // id0, id1, ...
  int clips = 3;    // of each: Celeb-real/idA_NNNN
  int donors = 2;   // of each clip: Celeb-synthesis/idA_idB_NNNN with B = A + 1, A + 2, ...
  int youtube = 5;
  // Of the test list: the clips of this number, their fakes, and the YouTube videos below it.
  int test_clip = 0, test_youtube = 2;
};

// Lines of List_of_testing_videos.txt, in the order in which they were chosen.
inline std::vector<std::string> make_celeb_df(const std::filesystem::path& root,
                                              const CelebDfSize& size = {},
                                              const VideoMaker& make = empty_video) {
  std::vector<std::string> lines;
  const auto add = [&](const std::string& name, bool is_real, bool is_test) {
    make(root / name);
    if (is_test) lines.push_back(text::format("{} {}.mp4", is_real ? 1 : 0, name));
  };
  for (int i = 0; i < size.youtube; ++i) {
    add(text::format("YouTube-real/{:05}", i), true, i < size.test_youtube);
  }
  for (int a = 0; a < size.persons; ++a) {
    for (int clip = 0; clip < size.clips; ++clip) {
      add(text::format("Celeb-real/id{}_{:04}", a, clip), true, clip == size.test_clip);
      for (int d = 1; d <= size.donors; ++d) {
        const int b = (a + d) % size.persons;
        add(text::format("Celeb-synthesis/id{}_id{}_{:04}", a, b, clip), false,
            clip == size.test_clip);
      }
    }
  }
  return lines;
}

inline void write_lines(const std::filesystem::path& path, const std::vector<std::string>& lines,
                        const std::string& end = "\n") {
  std::string text;
  for (const std::string& line : lines) text += line + end;
  write_text(path, text);
}

inline void make_celeb_df_with_list(const std::filesystem::path& root, const CelebDfSize& size = {},
                                    const VideoMaker& make = empty_video) {
  write_lines(root / "List_of_testing_videos.txt", make_celeb_df(root, size, make));
}

struct FaceForensicsSize {
  int pairs = 10;                     // of originals 2i and 2i + 1, swapped into each other
  int test_pairs = 2, val_pairs = 2;  // the first ones; the others are for training
  std::vector<std::string> methods{"Deepfakes", "NeuralTextures"};
  std::vector<std::string> compressions{"c23"};
  bool splits = true;
};

inline void make_faceforensics(const std::filesystem::path& root,
                               const FaceForensicsSize& size = {},
                               const VideoMaker& make = empty_video) {
  for (const std::string& compression : size.compressions) {
    const std::string videos = compression + "/videos";
    for (int i = 0; i < 2 * size.pairs; ++i) {
      make(root / "original_sequences/youtube" / videos / text::format("{:03}", i));
      for (const std::string& method : size.methods) {
        make(root / "manipulated_sequences" / method / videos /
             text::format("{:03}_{:03}", i, i % 2 == 0 ? i + 1 : i - 1));
      }
    }
  }
  if (!size.splits) return;
  std::vector<std::string> lists(3);  // train, val, test
  for (int i = 0; i < size.pairs; ++i) {
    const size_t split = i < size.test_pairs ? 2 : i < size.test_pairs + size.val_pairs ? 1 : 0;
    lists[split] += text::format("{}[\n\"{:03}\", \"{:03}\"]", lists[split].empty() ? "" : ", ",
                                 2 * i, 2 * i + 1);
  }
  for (size_t split = 0; split < 3; ++split) {
    const char* names[] = {"train", "val", "test"};
    write_text(root / "splits" / text::format("{}.json", names[split]),
               text::format("[{}]\n", lists[split]));
  }
}

}  // namespace verace::test
