// Drawing: pixel by pixel against what it shall be, also at the edges of the picture.
#include "data/draw.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/faults.h"

namespace verace::data::draw_test {
namespace {

Image black(int64_t width, int64_t height) {
  return {height, width, std::vector<uint8_t>(static_cast<size_t>(3 * width * height))};
}

// Rows of '#' where there is ink, '.' elsewhere; '!' where the colours are neither.
std::string rows_of(const Image& image, Ink ink, Ink paper = {}) {
  std::string text;
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const uint8_t* p = image.rgb.data() + (y * image.width + x) * 3;
      const auto is = [&](Ink c) { return p[0] == c.r && p[1] == c.g && p[2] == c.b; };
      text += is(ink) ? '#' : is(paper) ? '.' : '!';
    }
    text += '\n';
  }
  return text;
}

constexpr Ink kInk{10, 20, 30};

TEST_CASE("frames are inside of their box and cut at the picture's edge") {
  Image image = black(6, 4);
  draw_frame(image, {1, 0, 5, 4}, 1, kInk);
  CHECK(rows_of(image, kInk) == ".####.\n.#..#.\n.#..#.\n.####.\n");
  image = black(6, 4);
  draw_frame(image, {-2, -3, 4, 3}, 1, kInk);
  CHECK(rows_of(image, kInk) == "...#..\n...#..\n####..\n......\n");
  test::expect_caught("x and y exchanged", [] {
    Image turned = black(6, 4);
    draw_frame(turned, {-3, -2, 3, 4}, 1, kInk);
    return rows_of(turned, kInk) == "...#..\n...#..\n####..\n......\n";
  }());
  image = black(4, 3);
  draw_frame(image, {0, 0, 4, 3}, 9, kInk);  // thicker than the box
  CHECK(rows_of(image, kInk) == "####\n####\n####\n");
  for (const PixelBox nothing :
       {PixelBox{2, 0, 2, 3}, {3, 0, 1, 3}, {0, 2, 4, 1}, {9, 9, 12, 12}, {-9, -9, -1, -1}}) {
    image = black(4, 3);
    draw_frame(image, nothing, 1, kInk);
    CHECK(rows_of(image, kInk) == "....\n....\n....\n");
  }
}

TEST_CASE("text: dots, background, scale") {
  CHECK(text_width("") == 1);
  CHECK(text_width("17") == 13);
  Image image = black(13, kTextHeight);
  draw_text(image, 0, 0, "1L", {kInk, {1, 1, 1}, 1});
  const std::string expected =
      ".............\n"
      "...#...#.....\n"
      "..##...#.....\n"
      "...#...#.....\n"
      "...#...#.....\n"
      "...#...#.....\n"
      "...#...#.....\n"
      "..###..#####.\n"
      ".............\n";
  CHECK(rows_of(image, kInk, {1, 1, 1}) == expected);
  Image small = black(13, kTextHeight);
  draw_text(small, 0, 0, "1l", {kInk, {1, 1, 1}, 1});
  CHECK(small.rgb == image.rgb);
  // Twice as large each dot is four pixels.
  Image twice = black(26, 2 * kTextHeight);
  draw_text(twice, 0, 0, "1L", {kInk, {1, 1, 1}, 2});
  for (int64_t y = 0; y < twice.height; ++y) {
    for (int64_t x = 0; x < twice.width; ++x) {
      const auto at = [](const Image& of, int64_t px, int64_t py) {
        return of.rgb[static_cast<size_t>((py * of.width + px) * 3)];
      };
      CHECK(at(twice, x, y) == at(image, x / 2, y / 2));
    }
  }
}

TEST_CASE("every letter that the program writes has a glyph of its own") {
  const std::string letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ .,:;%()-+/_'=?";
  std::vector<std::string> seen;
  for (const char letter : letters) {
    Image image = black(7, kTextHeight);
    draw_text(image, 0, 0, std::string(1, letter), {kInk, {}, 1});
    seen.push_back(rows_of(image, kInk));
  }
  std::ranges::sort(seen);
  CHECK(std::ranges::adjacent_find(seen) == seen.end());
  Image unknown = black(7, kTextHeight), question = black(7, kTextHeight);
  draw_text(unknown, 0, 0, "\xc3", {kInk, {}, 1});
  draw_text(question, 0, 0, "?", {kInk, {}, 1});
  CHECK(unknown.rgb == question.rgb);
}

TEST_CASE("text beyond the picture's edges touches no memory beyond it") {
  for (const int64_t scale : {1, 3, 50}) {
    for (int64_t y = -20; y < 20; y += 3) {
      for (int64_t x = -40; x < 40; x += 7) {
        Image image = black(9, 5);
        draw_text(image, x, y, "fake 99 %", {kInk, {}, scale});
        CHECK(image.rgb.size() == 9 * 5 * 3);
      }
    }
  }
}

}  // namespace
}  // namespace verace::data::draw_test
