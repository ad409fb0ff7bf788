// The lists of data sets of videos: Celeb-DF's test videos, FaceForensics++'s splits.
#include "data/video_sets/lists.h"
#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace verace;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  fuzz::check_reader([&] { data::parse_test_list(text, "list"); });
  return fuzz::check_reader([&] { data::parse_split_pairs(text, "splits"); });
}
