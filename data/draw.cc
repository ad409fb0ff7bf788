// The font, and rectangles.
#include "data/draw.h"

#include <algorithm>
#include <array>

namespace verace::data {
namespace {

struct Glyph {
  char letter;
  const char* rows;  // from the top, '#' is ink, a space between rows
};

constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 7;

constexpr std::array kFont = std::to_array<Glyph>({
    {'0', ".###. #...# #..## #.#.# ##..# #...# .###."},
    {'1', "..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###."},
    {'2', ".###. #...# ....# ...#. ..#.. .#... #####"},
    {'3', ".###. #...# ....# ..##. ....# #...# .###."},
    {'4', "...#. ..##. .#.#. #..#. ##### ...#. ...#."},
    {'5', "##### #.... ####. ....# ....# #...# .###."},
    {'6', ".###. #.... #.... ####. #...# #...# .###."},
    {'7', "##### ....# ...#. ...#. ..#.. ..#.. ..#.."},
    {'8', ".###. #...# #...# .###. #...# #...# .###."},
    {'9', ".###. #...# #...# .#### ....# ....# .###."},
    {'A', ".###. #...# #...# ##### #...# #...# #...#"},
    {'B', "####. #...# #...# ####. #...# #...# ####."},
    {'C', ".###. #...# #.... #.... #.... #...# .###."},
    {'D', "####. #...# #...# #...# #...# #...# ####."},
    {'E', "##### #.... #.... ####. #.... #.... #####"},
    {'F', "##### #.... #.... ####. #.... #.... #...."},
    {'G', ".###. #...# #.... #.### #...# #...# .###."},
    {'H', "#...# #...# #...# ##### #...# #...# #...#"},
    {'I', ".###. ..#.. ..#.. ..#.. ..#.. ..#.. .###."},
    {'J', "..### ...#. ...#. ...#. ...#. #..#. .##.."},
    {'K', "#...# #..#. #.#.. ##... #.#.. #..#. #...#"},
    {'L', "#.... #.... #.... #.... #.... #.... #####"},
    {'M', "#...# ##.## #.#.# #.#.# #...# #...# #...#"},
    {'N', "#...# ##..# ##..# #.#.# #..## #..## #...#"},
    {'O', ".###. #...# #...# #...# #...# #...# .###."},
    {'P', "####. #...# #...# ####. #.... #.... #...."},
    {'Q', ".###. #...# #...# #...# #.#.# #..#. .##.#"},
    {'R', "####. #...# #...# ####. #.#.. #..#. #...#"},
    {'S', ".#### #.... #.... .###. ....# ....# ####."},
    {'T', "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#.."},
    {'U', "#...# #...# #...# #...# #...# #...# .###."},
    {'V', "#...# #...# #...# #...# .#.#. .#.#. ..#.."},
    {'W', "#...# #...# #...# #.#.# #.#.# ##.## #...#"},
    {'X', "#...# #...# .#.#. ..#.. .#.#. #...# #...#"},
    {'Y', "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#.."},
    {'Z', "##### ....# ...#. ..#.. .#... #.... #####"},
    {' ', "..... ..... ..... ..... ..... ..... ....."},
    {'.', "..... ..... ..... ..... ..... .##.. .##.."},
    {',', "..... ..... ..... ..... .##.. ..#.. .#..."},
    {':', "..... .##.. .##.. ..... .##.. .##.. ....."},
    {';', "..... .##.. .##.. ..... .##.. ..#.. .#..."},
    {'%', "##..# ##..# ...#. ..#.. .#... #..## #..##"},
    {'(', "...#. ..#.. .#... .#... .#... ..#.. ...#."},
    {')', ".#... ..#.. ...#. ...#. ...#. ..#.. .#..."},
    {'-', "..... ..... ..... ##### ..... ..... ....."},
    {'+', "..... ..#.. ..#.. ##### ..#.. ..#.. ....."},
    {'/', "....# ....# ...#. ..#.. .#... #.... #...."},
    {'_', "..... ..... ..... ..... ..... ..... #####"},
    {'\'', "..#.. ..#.. ..... ..... ..... ..... ....."},
    {'=', "..... ..... ##### ..... ##### ..... ....."},
    {'?', ".###. #...# ....# ...#. ..#.. ..... ..#.."},
});

const Glyph& glyph_of(char letter) {
  if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  const auto found = std::ranges::find(kFont, letter, &Glyph::letter);
  return found == kFont.end() ? kFont.back() : *found;
}

}  // namespace

void fill_box(Image& image, const PixelBox& box, Ink ink) {
  const int64_t left = std::max<int64_t>(box.x1, 0), right = std::min(box.x2, image.width);
  const int64_t top = std::max<int64_t>(box.y1, 0), bottom = std::min(box.y2, image.height);
  for (int64_t y = top; y < bottom; ++y) {
    for (int64_t x = left; x < right; ++x) {
      uint8_t* pixel = image.rgb.data() + (y * image.width + x) * 3;
      pixel[0] = ink.r;
      pixel[1] = ink.g;
      pixel[2] = ink.b;
    }
  }
}

void draw_frame(Image& image, const PixelBox& box, int64_t width, Ink ink) {
  const auto [x1, y1, x2, y2] = box;
  if (x1 >= x2 || y1 >= y2) return;
  const int64_t wide = std::min(width, x2 - x1), high = std::min(width, y2 - y1);
  fill_box(image, {x1, y1, x2, y1 + high}, ink);
  fill_box(image, {x1, y2 - high, x2, y2}, ink);
  fill_box(image, {x1, y1, x1 + wide, y2}, ink);
  fill_box(image, {x2 - wide, y1, x2, y2}, ink);
}

int64_t text_width(std::string_view text) {
  return static_cast<int64_t>(text.size()) * (kGlyphWidth + 1) + 1;
}

void draw_text(Image& image, int64_t x, int64_t y, std::string_view text, const TextStyle& style) {
  const int64_t dot = style.scale;
  fill_box(image, {x, y, x + text_width(text) * dot, y + kTextHeight * dot}, style.paper);
  int64_t left = x + dot;
  for (const char letter : text) {
    const char* rows = glyph_of(letter).rows;
    for (int64_t row = 0; row < kGlyphHeight; ++row) {
      for (int64_t column = 0; column < kGlyphWidth; ++column) {
        if (rows[row * (kGlyphWidth + 1) + column] != '#') continue;
        const int64_t at_x = left + column * dot, at_y = y + (row + 1) * dot;
        fill_box(image, {at_x, at_y, at_x + dot, at_y + dot}, style.ink);
      }
    }
    left += (kGlyphWidth + 1) * dot;
  }
}

}  // namespace verace::data
