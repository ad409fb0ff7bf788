// Crops as JSON, and comparing them.
#include "apps/lib/crop_record.h"

#include <algorithm>
#include <charconv>

#include "apps/lib/versioned_json.h"
#include "data/text.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

constexpr const char* kFile = "faces.json";
constexpr int64_t kCropVersion = 1;
constexpr int64_t kMostFacesJsonBytes = int64_t{1} << 20;

data::CropKind kind_in(const std::string& word) {
  const auto found = std::ranges::find(data::kCropNames, word);
  if (found == data::kCropNames.end()) throw BadJson("the kind of crop is not known");
  return static_cast<data::CropKind>(found - data::kCropNames.begin());
}

double margin_in(const std::string& text) {
  double margin = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, margin);
  if (error != std::errc() || stop != end || !(margin >= 0 && margin <= data::kMostMargin)) {
    throw BadJson("the crop's margin is not what it should be");
  }
  return margin;
}

}  // namespace

std::string crop_text(const CropRecord& crop) {
  return text::format("--crop {} --margin {:g}", data::kCropNames[static_cast<size_t>(crop.kind)],
                      crop.margin);
}

std::optional<CropRecord> crop_of_data(const std::filesystem::path& manifest) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(manifest, error)) return std::nullopt;
  const std::filesystem::path file = manifest.parent_path() / kFile;
  if (!std::filesystem::exists(file, error)) return std::nullopt;
  const std::vector<std::byte> bytes = data::read_file(file, kMostFacesJsonBytes, "record");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return read_versioned(text, data::name_of(file), kCropVersion, [](const JsonReader& json) {
    const JsonReader settings = json.object("settings");
    return std::optional<CropRecord>(
        {kind_in(settings.text("--crop")), margin_in(settings.text("--margin"))});
  });
}

void write_crop_of_data(const std::filesystem::path& manifest, const CropRecord& crop) {
  const Json json{{"version", kCropVersion},
                  {"settings",
                   {{"--crop", data::kCropNames[static_cast<size_t>(crop.kind)]},
                    {"--margin", text::format("{}", crop.margin)}}}};
  weights::write_file_atomically((manifest.parent_path() / kFile).string(), json_text(json));
}

std::string crop_to_metadata(const CropRecord& crop) {
  const Json json = {{"version", kCropVersion},
                     {"kind", data::kCropNames[static_cast<size_t>(crop.kind)]},
                     {"margin", crop.margin}};
  return json.dump();
}

std::optional<CropRecord> crop_in_metadata(const std::map<std::string, std::string>& metadata,
                                           const std::string& path) {
  const auto found = metadata.find(kCropKey);
  if (found == metadata.end()) return std::nullopt;
  return read_versioned(
      found->second, path + ": metadata " + kCropKey, kCropVersion, [](const JsonReader& json) {
        return std::optional<CropRecord>(
            {kind_in(json.text("kind")), json.number("margin", 0, data::kMostMargin)});
      });
}

std::string crop_warning(const std::optional<CropRecord>& trained,
                         const std::optional<CropRecord>& met) {
  if (!trained || !met || *trained == *met) return {};
  return text::format(
      "the network was trained on faces of {}, these are of {}: its answers may mean nothing",
      crop_text(*trained), crop_text(*met));
}

}  // namespace verace::apps
