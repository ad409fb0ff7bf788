// Synthetic pictures and a narrow network: what tests of commands need.
#pragma once

#include "apps/lib/model_file.h"
#include "data/synthetic.h"
#include "tests/support/files.h"

namespace verace::test {

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
