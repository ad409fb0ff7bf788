// A folder that vanishes, synthetic pictures in it, and a narrow network: what tests of commands
// need.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "apps/lib/model_file.h"
#include "data/synthetic.h"
#include "kernels/check.h"

namespace verace::test {

// An empty folder of its own below the system's temporary one; removed with all it holds.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "verace-test-XXXXXX").string();
    VERACE_CHECK(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  VERACE_CHECK(file.good());
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Stripes and checkers of 32 x 32 pixels in train and test.
inline void write_pictures(const std::filesystem::path& folder, int64_t train_per_class,
                           int64_t test_per_class) {
  data::SyntheticOptions options;
  options.size = 32;
  options.pictures_per_class = {train_per_class, 0, test_per_class};
  data::write_synthetic_dataset(folder, options);
}

// A sixteenth of ResNet-50's width at 32 x 32 pixels.
inline layers::ClassifierOptions narrow_network() {
  layers::ClassifierOptions options;
  options.backbone.stem_channels = 4;
  options.input_size = 32;
  return options;
}

}  // namespace verace::test
