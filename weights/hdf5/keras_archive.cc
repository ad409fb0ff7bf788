// The members of a Keras archive.
#include "weights/hdf5/keras_archive.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/hash.h"
#include "weights/hdf5/keras.h"
#include "weights/torch/zip_directory.h"

namespace verace::weights {
namespace {

constexpr std::string_view kWeights = "model.weights.h5";
constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kAbout = "metadata.json";
// ResNet-50's configuration has 150,000 bytes, the text about version and date 64.
constexpr size_t kMaxTextBytes = 16 << 20;
constexpr size_t kMaxAboutBytes = 4096;

// The text of a member, empty where there is none.
std::string_view text_of(const ZipDirectory& zip, std::string_view name, size_t most,
                         const std::string& path) {
  const ZipMember* member = zip.find(name);
  if (member == nullptr) return {};
  if (member->bytes.size() > most) {
    fail_input(text::format("{}: {} has {} bytes, at most {} are read: save it again with Keras",
                            path, name, member->bytes.size(), most));
  }
  if (member->crc32 != crc32(member->bytes)) {
    fail_input(text::format("{}: {} does not have the checksum that the file states: {}", path,
                            name, "fetch or save the file again"));
  }
  return {reinterpret_cast<const char*>(member->bytes.data()), member->bytes.size()};
}

}  // namespace

bool is_keras_archive(std::span<const std::byte> file) {
  constexpr std::string_view kZip("PK\3\4", 4);
  const std::string_view all(reinterpret_cast<const char*>(file.data()), file.size());
  if (!all.starts_with(kZip)) return false;
  try {
    return ZipDirectory(file, "").find(kWeights) != nullptr;
  } catch (const Error&) {
    return false;  // another reader says what is wrong with it
  }
}

TensorTable parse_keras_archive(std::span<const std::byte> file, const std::string& path) {
  const ZipDirectory zip(file, path);
  const ZipMember* weights = zip.find(kWeights);
  if (weights == nullptr) {
    fail_input(text::format("{}: is a zip archive without {}: name a Keras file", path, kWeights));
  }
  zip.require_stored("Keras");
  TensorTable table = parse_keras_hdf5(weights->bytes, text::format("{}: {}", path, kWeights));
  const std::string_view config = text_of(zip, kConfig, kMaxTextBytes, path);
  if (!config.empty()) table.metadata["keras.model_config"] = std::string(config);
  const nlohmann::json about =
      nlohmann::json::parse(text_of(zip, kAbout, kMaxAboutBytes, path), nullptr, false);
  if (about.is_object()) {
    const auto version = about.find("keras_version");
    if (version != about.end() && version->is_string()) {
      table.metadata["keras.version"] = version->get<std::string>();
    }
  }
  return table;
}

}  // namespace verace::weights
