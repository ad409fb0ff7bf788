// Drawing on pictures: frames and short texts in a font of our own, for people who look at results.
#pragma once

#include <cstdint>
#include <string_view>

#include "data/image.h"

namespace verace::data {

struct Ink {
  uint8_t r = 0, g = 0, b = 0;
};

// The edge of the rectangle of whole pixels [x1, x2) x [y1, y2), `width` pixels inwards. What lies
// outside of the picture is not drawn; an empty rectangle is nothing.
struct PixelBox {
  int64_t x1 = 0, y1 = 0, x2 = 0, y2 = 0;
};
void draw_frame(Image& image, const PixelBox& box, int64_t width, Ink ink);
void fill_box(Image& image, const PixelBox& box, Ink ink);

// Capital letters, digits and punctuation of 5 x 7 dots, each `scale` x `scale` pixels, one dot
// apart; small letters are written as capital ones, anything else as '?'. On a background of
// `paper`, one dot larger on each side. (x, y): the background's corner.
inline constexpr int64_t kTextHeight = 9;   // dots, with the background
int64_t text_width(std::string_view text);  // dots, with the background
struct TextStyle {
  Ink ink, paper;
  int64_t scale = 1;
};
void draw_text(Image& image, int64_t x, int64_t y, std::string_view text, const TextStyle& style);

}  // namespace verace::data
