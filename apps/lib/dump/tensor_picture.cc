// Where each element of a tensor stands in the picture, and its colour.
#include "apps/lib/dump/tensor_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Pixel = std::array<uint8_t, 3>;
constexpr Pixel kGap = {38, 50, 56}, kMissing = {255, 200, 0};
constexpr Pixel kWhite = {247, 247, 247}, kRed = {178, 24, 43}, kBlue = {33, 102, 172};
constexpr int64_t kMostTiles = 4096, kMostFilters = 64, kMostRows = 256, kMostColumns = 512;

// Tiles in rows and columns, each of height x width elements; `element` is the index of a tile's
// element in the tensor, or -1 behind the last tile.
struct Grid {
  int64_t rows = 1, columns = 1, height = 1, width = 1;
  std::function<int64_t(int64_t tile, int64_t y, int64_t x)> element;
  std::string shown;

  int64_t gap() const { return height * width > 1 ? 1 : 0; }
  // Pixels per element: as many as make the picture about 512 pixels wide, 1 to 16.
  int64_t scale() const {
    const int64_t longest = std::max(columns * width, rows * height);
    return std::clamp<int64_t>(512 / longest, 1, 16);
  }
  int64_t image_height() const { return rows * (height * scale() + gap()) + gap(); }
  int64_t image_width() const { return columns * (width * scale() + gap()) + gap(); }
};

// Columns of a grid of `count` tiles that is about as wide as high; few stand in one row.
int64_t columns_for(int64_t count) {
  if (count <= 4) return count;
  int64_t columns = 1;
  while (columns * columns < count) ++columns;
  return columns;
}

// "all 64 channels", or "channels 0-63 of 128".
std::string part(const char* what, int64_t shown, int64_t all) {
  return shown == all ? text::format("all {} {}", all, what)
                      : text::format("{} 0-{} of {}", what, shown - 1, all);
}

Grid channels_of_first_picture(const engine::Shape& shape) {
  const int64_t h = shape[1], w = shape[2], c = shape[3], tiles = std::min(c, kMostTiles);
  Grid g;
  g.columns = columns_for(tiles);
  g.rows = (tiles + g.columns - 1) / g.columns;
  g.height = h;
  g.width = w;
  g.element = [w, c, tiles](int64_t tile, int64_t y, int64_t x) {
    return tile < tiles ? (y * w + x) * c + tile : -1;
  };
  g.shown = text::format("picture 0, {}, {} to a row", part("channels", tiles, c), g.columns);
  return g;
}

Grid filters(const engine::Shape& shape) {
  const int64_t r = shape[1], s = shape[2], c = shape[3];
  Grid g;
  g.rows = std::min(shape[0], kMostFilters);
  g.columns = std::min(c, kMostFilters);
  g.height = r;
  g.width = s;
  g.element = [r, s, c, columns = g.columns](int64_t tile, int64_t y, int64_t x) {
    const int64_t filter = tile / columns, channel = tile % columns;
    return ((filter * r + y) * s + x) * c + channel;
  };
  g.shown = text::format("{} (rows), {} (columns)", part("filters", g.rows, shape[0]),
                         part("input channels", g.columns, c));
  return g;
}

Grid matrix(const engine::Shape& shape, Layout layout) {
  Grid g;
  g.rows = std::min(shape[0], kMostRows);
  g.columns = std::min(shape[1], kMostColumns);
  g.element = [width = shape[1], columns = g.columns](int64_t tile, int64_t, int64_t) {
    return tile / columns * width + tile % columns;
  };
  const bool batch = layout == Layout::kBatch;
  g.shown = text::format("{} (rows), {} (columns)",
                         part(batch ? "pictures" : "outputs", g.rows, shape[0]),
                         part(batch ? "channels" : "inputs", g.columns, shape[1]));
  return g;
}

Grid cells(int64_t count) {
  Grid g;
  g.columns = std::min<int64_t>(count, 64);
  g.rows = std::min((count + g.columns - 1) / g.columns, kMostRows);
  const int64_t shown = std::min(count, g.rows * g.columns);
  g.element = [shown](int64_t tile, int64_t, int64_t) { return tile < shown ? tile : -1; };
  g.shown = text::format("{}, {} to a row", part("elements", shown, count), g.columns);
  return g;
}

Grid grid_of(const engine::Shape& shape, Layout layout) {
  VERACE_CHECK(engine::element_count(shape) > 0);
  switch (shape.size()) {
    case 1:
      return cells(shape[0]);
    case 2:
      return matrix(shape, layout);
    case 4:
      return layout == Layout::kBatch ? channels_of_first_picture(shape) : filters(shape);
    default:
      VERACE_CHECK(false, "a picture of a tensor of rank " + std::to_string(shape.size()));
      return {};
  }
}

template <typename Visit>
void for_each_element(const Grid& g, const Visit& visit) {
  for (int64_t tile = 0; tile < g.rows * g.columns; ++tile) {
    for (int64_t y = 0; y < g.height; ++y) {
      for (int64_t x = 0; x < g.width; ++x) {
        const int64_t element = g.element(tile, y, x);
        if (element >= 0) visit(tile, y, x, element);
      }
    }
  }
}

uint8_t level(double value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

Pixel colour_of(double value, double low, double high, Colours colours) {
  if (!std::isfinite(value)) return kMissing;
  if (colours == Colours::kGrey) {
    const uint8_t grey = level(high > low ? 255.0 * (value - low) / (high - low) : 127.0);
    return {grey, grey, grey};
  }
  const double strength = high > 0 ? std::abs(value) / high : 0.0;
  const Pixel& end = value < 0 ? kBlue : kRed;
  Pixel result{};
  for (size_t i = 0; i < result.size(); ++i) {
    result[i] = level(kWhite[i] + strength * (end[i] - kWhite[i]));
  }
  return result;
}

void find_range(TensorPicture& picture, const Grid& g, std::span<const float> values,
                Colours colours) {
  bool any = false;
  for_each_element(g, [&](int64_t, int64_t, int64_t, int64_t element) {
    const double v = values[static_cast<size_t>(element)] + 0.0;  // no "-0" in the index
    if (!std::isfinite(v)) return;
    picture.low = any ? std::min(picture.low, v) : v;
    picture.high = any ? std::max(picture.high, v) : v;
    any = true;
  });
  if (colours == Colours::kGrey) return;
  picture.high = std::max(std::abs(picture.low), std::abs(picture.high));
  picture.low = -picture.high;
}

}  // namespace

TensorPicture draw_tensor(const engine::Shape& shape, std::span<const float> values, Layout layout,
                          Colours colours) {
  VERACE_CHECK(static_cast<int64_t>(values.size()) == engine::element_count(shape));
  const Grid g = grid_of(shape, layout);
  TensorPicture picture;
  picture.shown = g.shown;
  find_range(picture, g, values, colours);
  data::Image& image = picture.image;
  image.height = g.image_height();
  image.width = g.image_width();
  image.rgb.resize(static_cast<size_t>(image.height * image.width * 3));
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = kGap[i % 3];
  const int64_t scale = g.scale(), gap = g.gap();
  for_each_element(g, [&](int64_t tile, int64_t y, int64_t x, int64_t element) {
    const Pixel colour =
        colour_of(values[static_cast<size_t>(element)], picture.low, picture.high, colours);
    const int64_t top = gap + tile / g.columns * (g.height * scale + gap) + y * scale;
    const int64_t left = gap + tile % g.columns * (g.width * scale + gap) + x * scale;
    for (int64_t row = top; row < top + scale; ++row) {
      for (int64_t column = left; column < left + scale; ++column) {
        std::copy(colour.begin(), colour.end(),
                  image.rgb.begin() + (row * image.width + column) * 3);
      }
    }
  });
  return picture;
}

int64_t picture_bytes_at_most(const engine::Shape& shape, Layout layout) {
  const Grid g = grid_of(shape, layout);
  const int64_t raw = g.image_height() * (g.image_width() * 3 + 1);
  // The packer's codes take up to 9 bits a byte; repeated pixels and rows become short matches.
  if (g.scale() == 1) return raw + raw / 8 + 1024;
  return 7 * g.rows * g.columns * g.height * g.width + raw / 50 + 1024;
}

}  // namespace verace::apps
