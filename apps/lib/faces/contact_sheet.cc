// Tiles in rows, video by video.
#include "apps/lib/faces/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "apps/lib/faces/extract.h"
#include "data/resample.h"

namespace verace::apps {
namespace {

using Colour = std::array<uint8_t, 3>;

constexpr int64_t kSheetTiles = 160;
constexpr int64_t kColumns = 16;
constexpr int64_t kTile = 96, kBorder = 3, kTileGap = 2;
constexpr Colour kGround = {24, 24, 24}, kReal = {60, 170, 80}, kFake = {210, 60, 50},
                 kUnknown = {140, 140, 140};

struct Tile {
  const DoneVideo* video;
  const FaceEntry* face;
};

std::vector<Tile> choose_tiles(const std::vector<DoneVideo>& videos) {
  std::vector<const DoneVideo*> found;
  for (const DoneVideo& video : videos) {
    if (!video.record.faces.empty()) found.push_back(&video);
  }
  const auto count = static_cast<int64_t>(found.size());
  std::vector<Tile> tiles;
  if (count > kSheetTiles) {
    for (int64_t i = 0; i < kSheetTiles; ++i) {
      const DoneVideo* video = found[static_cast<size_t>(i * count / kSheetTiles)];
      tiles.push_back({video, &video->record.faces.front()});
    }
    return tiles;
  }
  if (count == 0) return tiles;
  // As many of each as fit; a video's faces stand beside each other.
  const auto each = static_cast<size_t>(kSheetTiles / count);
  for (const DoneVideo* video : found) {
    const std::vector<FaceEntry>& faces = video->record.faces;
    const size_t shown = std::min(each, faces.size());
    for (size_t i = 0; i < shown; ++i) tiles.push_back({video, &faces[i * faces.size() / shown]});
  }
  return tiles;
}

Colour colour_of(const Tile& tile) {
  const std::optional<int32_t> label = tile.video->job.video.label;
  if (!label) return kUnknown;
  return *label == data::kFake ? kFake : kReal;
}

void fill(data::Image& sheet, int64_t top, int64_t left, int64_t side, const Colour& colour) {
  for (int64_t y = top; y < top + side; ++y) {
    for (int64_t x = left; x < left + side; ++x) {
      std::memcpy(sheet.rgb.data() + (y * sheet.width + x) * 3, colour.data(), 3);
    }
  }
}

void place(data::Image& sheet, int64_t top, int64_t left, const data::Image& picture) {
  for (int64_t y = 0; y < picture.height; ++y) {
    std::memcpy(sheet.rgb.data() + ((top + y) * sheet.width + left) * 3,
                picture.rgb.data() + y * picture.width * 3, static_cast<size_t>(picture.width) * 3);
  }
}

}  // namespace

data::Image contact_sheet(const std::filesystem::path& out, const std::vector<DoneVideo>& videos) {
  const std::vector<Tile> tiles = choose_tiles(videos);
  if (tiles.empty()) return {};
  const auto count = static_cast<int64_t>(tiles.size());
  const int64_t columns = std::min(count, kColumns), rows = (count + kColumns - 1) / kColumns;
  constexpr int64_t kOuter = kTile + 2 * kBorder, kStep = kOuter + kTileGap;
  data::Image sheet{rows * kStep + kTileGap, columns * kStep + kTileGap, {}};
  sheet.rgb.resize(static_cast<size_t>(sheet.height * sheet.width * 3));
  for (size_t at = 0; at < sheet.rgb.size(); at += 3) {
    std::memcpy(sheet.rgb.data() + at, kGround.data(), 3);
  }
  for (int64_t i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<size_t>(i)];
    const int64_t top = kTileGap + i / kColumns * kStep, left = kTileGap + i % kColumns * kStep;
    fill(sheet, top, left, kOuter, colour_of(tile));
    const data::Image crop = data::read_image(crops_folder(out, tile.video->job) / tile.face->file);
    place(sheet, top + kBorder, left + kBorder,
          data::resize(crop, kTile, kTile, data::ResizeFilter::kBilinear));
  }
  return sheet;
}

}  // namespace verace::apps
