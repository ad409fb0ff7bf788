// Small videos as folders of frames, and a narrow detector that finds faces in them.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "data/image.h"
#include "kernels/format.h"
#include "tests/cli/process.h"

namespace verace::test {

// Coarse coloured squares with noise: what the golden detectors were initialised on.
inline data::Image coarse_picture(uint32_t seed, int64_t height = 61, int64_t width = 83) {
  std::mt19937 random(seed);
  std::vector<int> squares(static_cast<size_t>((height / 7 + 1) * (width / 7 + 1) * 3));
  for (int& value : squares) value = static_cast<int>(random() % 256);
  data::Image picture{height, width, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int coarse = squares[static_cast<size_t>((y / 7 * (width / 7 + 1) + x / 7) * 3 + c)];
        const int value = coarse + static_cast<int>(random() % 41) - 20;
        picture.rgb.push_back(static_cast<uint8_t>(std::clamp(value, 0, 255)));
      }
    }
  }
  return picture;
}

inline void write_coarse_video(const std::filesystem::path& folder, uint32_t seed, int frames) {
  std::filesystem::create_directories(folder);
  for (int i = 0; i < frames; ++i) {
    data::write_png(folder / text::format("{:03}.png", i),
                    coarse_picture(seed * 1000 + static_cast<uint32_t>(i)),
                    data::Durability::kFast);
  }
}

// real/ and fake/ with so many videos of `frames` frames each.
inline void write_coarse_set(const std::filesystem::path& root, int videos, int frames) {
  for (int i = 0; i < videos; ++i) {
    for (const char* label : {"real", "fake"}) {
      const auto seed = static_cast<uint32_t>(2 * i + (label[0] == 'f' ? 1 : 0));
      write_coarse_video(root / label / text::format("v{:02}", i), seed, frames);
    }
  }
}

inline std::string narrow_detector() {
  return VERACE_GOLDENS "/retinaface_mobilenet_narrow.safetensors";
}

class FacesProgram {
 public:
  FacesProgram() { setenv("OMP_WAIT_POLICY", "passive", 1); }

  const std::filesystem::path& path() const { return folder_.path(); }
  std::string operator/(const std::string& name) const { return (folder_ / name).string(); }

  std::vector<std::string> words(const std::vector<std::string>& inputs, const std::string& out,
                                 const std::vector<std::string>& more = {}) const {
    std::vector<std::string> all = {"faces"};
    for (const std::string& input : inputs) all.push_back(*this / input);
    for (const std::string& word :
         {std::string("--detector"), narrow_detector(), std::string("--out"), *this / out,
          std::string("--size"), std::string("32"), std::string("--quiet"),
          std::string("--threads"), std::string("1")}) {
      all.push_back(word);
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::unique_ptr<Process> start(const std::vector<std::string>& all) const {
    return std::make_unique<Process>(verace_program(), all, folder_.path());
  }
  Finished run(const std::vector<std::string>& inputs, const std::string& out,
               const std::vector<std::string>& more = {}) const {
    return start(words(inputs, out, more))->wait();
  }

 private:
  TempFolder folder_;
};

}  // namespace verace::test
