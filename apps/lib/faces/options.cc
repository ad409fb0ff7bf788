// Settings as pairs of text, so that they can be compared, stored and named one by one.
#include "apps/lib/faces/options.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "apps/lib/versioned_json.h"
#include "data/text.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

constexpr int64_t kSettingsVersion = 1;
constexpr int64_t kMostSettingsBytes = int64_t{1} << 20;

std::vector<Setting> read_settings(const std::filesystem::path& file) {
  const std::vector<std::byte> bytes = data::read_file(file, kMostSettingsBytes, "record");
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return read_versioned(text, data::name_of(file), kSettingsVersion, [](const JsonReader& json) {
    std::vector<Setting> settings;
    for (const auto& [name, value] : json.at("settings").items()) {
      if (!value.is_string()) throw BadJson(name + " is not what it should be");
      settings.emplace_back(name, value.get<std::string>());
    }
    return settings;
  });
}

std::string value_of(const std::vector<Setting>& settings, const std::string& name) {
  for (const Setting& setting : settings) {
    if (setting.first == name) return setting.second;
  }
  return "unknown";
}

}  // namespace

int64_t FacesPerVideo::of(std::optional<int32_t> label) const {
  return label == data::kFake ? fake : real;
}

std::string FacesPerVideo::text() const {
  return by_class ? text::format("real={},fake={}", real, fake) : text::format("{}", real);
}

std::vector<Setting> settings_of(const FacePipelineOptions& options) {
  const VideoFacesOptions& search = options.search;
  std::vector<Setting> settings = options.detector;
  const auto add = [&settings](const char* name, const std::string& value) {
    settings.emplace_back(name, value);
  };
  add("--faces-per-video", options.count.text());
  add("--sampling", data::kSamplingNames[static_cast<size_t>(search.sampling)]);
  add("--fill", search.fill ? "yes" : "no");
  add("--all-faces", search.all_faces ? "yes" : "no");
  add("--crop", data::kCropNames[static_cast<size_t>(search.crop.kind)]);
  add("--margin", text::format("{}", search.crop.margin));
  add("--size", text::format("{}", search.crop.size));
  add(options.jpeg_quality == 0 ? "--png" : "--jpeg-quality",
      options.jpeg_quality == 0 ? "yes" : text::format("{}", options.jpeg_quality));
  return settings;
}

void claim_folder(const std::filesystem::path& out, const std::vector<Setting>& settings) {
  const std::filesystem::path file = out / "faces.json";
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    Json json{{"version", kSettingsVersion}, {"settings", Json::object()}};
    for (const auto& [name, value] : settings) json["settings"][name] = value;
    weights::write_file_atomically(file.string(), json_text(json));
    return;
  }
  const std::vector<Setting> there = read_settings(file);
  for (const auto* both : {&settings, &there}) {
    for (const auto& [name, value] : *both) {
      const std::string before = value_of(there, name), now = value_of(settings, name);
      if (before == now) continue;
      fail_input(text::format(
          "--out {}: holds faces that were made with {} {}, and now it is {}: use the same flags "
          "to go on, or another folder",
          data::name_of(out), name, one_line(before), one_line(now)));
    }
  }
}

FolderLock::FolderLock(const std::filesystem::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) {
    fail_input(text::format("--out {}: cannot be opened ({}): choose another folder",
                            data::name_of(folder), std::strerror(errno)));
  }
  // File systems without locks: go on without.
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail_input(text::format(
      "--out {}: another verace is at work there: wait for its end, or choose another folder",
      data::name_of(folder)));
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace verace::apps
