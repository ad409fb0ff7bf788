// Which crops of faces a network was trained on: read beside a manifest of faces, stored with the
// model, and used again where faces are found for it. A network that sees other crops than it was
// trained on answers without sense.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "data/face_crop.h"

namespace verace::apps {

struct CropRecord {
  data::CropKind kind = data::CropKind::kTight;
  double margin = 0;
  bool operator==(const CropRecord&) const = default;
};
// As flags: "--crop margin --margin 0.125".
std::string crop_text(const CropRecord& crop);

// That of the faces.json which `verace faces` leaves beside the manifest; empty for folders of
// pictures and for manifests without one. Throws Error(kInput) naming faces.json for what does not
// say it.
std::optional<CropRecord> crop_of_data(const std::filesystem::path& manifest);

// Writes a faces.json beside a manifest of the same crops that another program than `verace faces`
// has made of them; crop_of_data() reads it. Throws Error(kInput) where it cannot be written.
void write_crop_of_data(const std::filesystem::path& manifest, const CropRecord& crop);

// In model files: JSON under this metadata key. Throws Error(kInput) naming `path` and the key.
inline constexpr const char* kCropKey = "verace.crop";
std::string crop_to_metadata(const CropRecord& crop);
std::optional<CropRecord> crop_in_metadata(const std::map<std::string, std::string>& metadata,
                                           const std::string& path);

// Says that a network meets crops of another kind than it was trained on, or nothing (also where
// either is unknown).
std::string crop_warning(const std::optional<CropRecord>& trained,
                         const std::optional<CropRecord>& met);

}  // namespace verace::apps
