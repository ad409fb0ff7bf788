// The weights of a RetinaFace: which network a file holds, and what is known of published files.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "apps/lib/face_decoding.h"
#include "layers/retinaface.h"

namespace verace::apps {

struct LoadedFaceNetwork {
  std::unique_ptr<layers::RetinaFace> network;  // in memory of the host
  AnchorSizes anchors;
  std::string description;  // "RetinaFace (MobileNet-0.25), ReLU (published so)"
};

// Reads the network with its weights from a file of any format that we read. Backbone and widths
// follow from the tensors. The slope of the leaky ReLUs and the anchors do not: they are those of
// the published file with this SHA-256, or else the implementation's (slope 0.1 up to 64 channels
// of the pyramid, above that ReLU), which the description then calls assumed; `slope` overrides the
// first. Throws Error(kInput) naming the file for anything else than a RetinaFace, for tensors that
// are missing, of another shape or not finite, and for a slope outside of [0, 1).
LoadedFaceNetwork load_face_network(const std::filesystem::path& path, std::optional<double> slope);

}  // namespace verace::apps
