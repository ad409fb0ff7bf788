// The lists that data sets of videos come with: Celeb-DF's test videos, FaceForensics++'s pairs.
// (Also the fuzzer's entry.)
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace verace::data {

inline constexpr int64_t kMaxListBytes = int64_t{1} << 24;

struct TestListEntry {
  int64_t line = 0;  // from 1
  bool real = false;
  std::string folder, file;  // "Celeb-real", "id0_0001.mp4"
};

// Celeb-DF's List_of_testing_videos.txt: lines "<label> <folder>/<file>"; label 1 means REAL, 0
// fake, other than nearly everywhere. There is no header. Lines end with LF or CRLF; empty ones, a
// byte order mark and blanks at the ends are skipped. Duplicates are kept. Throws Error(kInput),
// "name:line: ...", for a line of another form, and for a list without entries.
std::vector<TestListEntry> parse_test_list(std::string_view text, const std::string& name);

// One of FaceForensics++'s train.json, val.json, test.json: [["071", "054"], ["087", "081"], ...],
// names of original videos. Throws Error(kInput), "name:line: ...", for anything else.
std::vector<std::array<std::string, 2>> parse_split_pairs(std::string_view text,
                                                          const std::string& name);

}  // namespace verace::data
