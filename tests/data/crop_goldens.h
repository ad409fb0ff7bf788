// The lines of tests/goldens/crops.csv (make_crops.py), and the picture that they are about.
#pragma once

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/data/data_support.h"

namespace verace::data::testing {

struct Golden {
  std::vector<std::string> fields;  // without the kind

  double number(size_t i) const {
    REQUIRE(i < fields.size());
    char* end = nullptr;
    const double value = std::strtod(fields[i].c_str(), &end);
    REQUIRE(*end == '\0');
    return value;
  }
  float real(size_t i) const { return static_cast<float>(number(i)); }
  int64_t whole(size_t i) const { return static_cast<int64_t>(number(i)); }
};

inline std::vector<Golden> read_goldens(const std::string& kind) {
  std::vector<Golden> found;
  std::istringstream lines(test::read_text(fs::path(VERACE_GOLDENS) / "crops.csv"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string field;
    std::getline(fields, field, ',');
    if (field != kind) continue;
    Golden golden;
    while (std::getline(fields, field, ',')) golden.fields.push_back(field);
    found.push_back(golden);
  }
  return found;
}

// As source() in tests/goldens/make_crops.py.
inline Image noise_picture(int64_t height, int64_t width) {
  Image image{height, width, {}};
  for (int64_t i = 0; i < height * width * 3; ++i) {
    uint32_t noise = static_cast<uint32_t>(i) * 2654435761U;
    noise = (noise ^ (noise >> 15)) * 2246822519U;
    image.rgb.push_back(static_cast<uint8_t>(noise >> 24));
  }
  return image;
}

inline std::string fnv(const Image& image) {
  uint64_t value = 0xCBF29CE484222325U;
  for (const uint8_t b : image.rgb) value = (value ^ b) * 0x100000001B3U;
  std::ostringstream text;
  text << std::hex;
  text.width(16);
  text.fill('0');
  text << value;
  return text.str();
}

}  // namespace verace::data::testing
