// Reading what an attack left behind.
#include <algorithm>

#include "apps/lib/attack_runner.h"
#include "apps/lib/report/run_data.h"
#include "apps/lib/versioned_json.h"
#include "data/dataset.h"

namespace verace::apps::report {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPictures = 12;

struct EpsilonEntry {
  AttackPoint point;
  double flipped = 0;
};

// A picture of the gallery, which must lie below `folder`.
data::Image picture_at(const fs::path& folder, const Json& name) {
  if (!name.is_string()) throw BadJson("gallery has no name of a picture");
  const fs::path below = fs::path(name.get<std::string>()).lexically_normal();
  if (below.empty() || below.is_absolute() || *below.begin() == "..") {
    throw BadJson("gallery names a picture outside of the folder");
  }
  return data::read_image(folder / below);
}

size_t gallery_choice(const std::vector<EpsilonEntry>& entries) {
  size_t choice = 0;
  bool enough = false;
  for (size_t i = 0; i < entries.size(); ++i) {
    const bool turned = entries[i].flipped >= 0.5;
    const double epsilon = entries[i].point.epsilon, chosen = entries[choice].point.epsilon;
    if (turned ? !enough || epsilon < chosen : !enough && epsilon > chosen) choice = i;
    enough |= turned;
  }
  return choice;
}

AttackedPicture attacked_picture(const JsonReader& json, const fs::path& folder,
                                 const JsonReader& entry, size_t e) {
  const Json& pictures = json.array("pictures");
  const int64_t index = entry.count("picture");
  if (index >= static_cast<int64_t>(pictures.size())) throw BadJson("gallery names no picture");
  const JsonReader picture(pictures[static_cast<size_t>(index)]);
  const Json &files = entry.array("after"), &after = picture.array("after");
  if (files.size() <= e || after.size() <= e) throw BadJson("gallery lacks an epsilon");
  AttackedPicture result;
  result.name = fs::path(picture.text("path")).filename().string();
  result.label =
      picture.text("label") == data::kClassNames[data::kFake] ? data::kFake : data::kReal;
  result.probability_before = picture.number("fake_probability_before", 0, 1);
  result.probability_after = JsonReader(after[e]).number("fake_probability_8bit", 0, 1);
  result.before = picture_at(folder, entry.at("before"));
  result.after = picture_at(folder, files[e]);
  if (result.before.width != result.after.width || result.before.height != result.after.height) {
    throw BadJson("gallery has pictures of different sizes");
  }
  return result;
}

void add_gallery(const JsonReader& json, const fs::path& folder, size_t e, AttackData& attack) {
  if (!json.has("gallery") || json.array("gallery").empty()) {
    attack.gallery_missing = "attack.json: no pictures were kept for the gallery";
    return;
  }
  json.for_each("gallery", [&](const JsonReader& entry) {
    if (attack.gallery.size() == kMostPictures) return;
    try {
      attack.gallery.push_back(attacked_picture(json, folder, entry, e));
    } catch (const BadJson& error) {
      attack.gallery_missing = text::format("attack.json: {}", error.what());
    } catch (const Error&) {
      attack.gallery_missing = "a picture of the gallery is missing or damaged";
    }
  });
}

AttackData attack_in(const JsonReader& json, const fs::path& folder) {
  AttackData attack;
  // Files of older programs have neither.
  if (json.has("weights")) attack.weights = json.text("weights");
  if (json.has("split")) attack.split = json.text("split");
  if (json.has("stopped")) attack.stopped = json.flag("stopped");
  attack.count = json.count("count");
  attack.accuracy_before = json.number("accuracy_before", 0, 1);
  std::vector<EpsilonEntry> entries;
  json.for_each("epsilons", [&](const JsonReader& e) {
    entries.push_back({{e.number("epsilon", 0, 1), e.number("accuracy_after", 0, 1),
                        e.number("accuracy_after_8bit", 0, 1), e.number("mse", 0, 1)},
                       e.number("flipped_rate", 0, 1)});
  });
  if (entries.empty()) throw BadJson("epsilons is empty");
  const size_t e = gallery_choice(entries);
  attack.gallery_epsilon = entries[e].point.epsilon;
  for (const EpsilonEntry& entry : entries) attack.points.push_back(entry.point);
  std::ranges::sort(attack.points, {}, &AttackPoint::epsilon);
  add_gallery(json, folder, e, attack);
  return attack;
}

}  // namespace

AttackData read_attack(const fs::path& folder) {
  return read_versioned(read_text_file(folder / "attack.json"), "attack.json", kAttackVersion,
                        [&](const JsonReader& json) { return attack_in(json, folder); });
}

}  // namespace verace::apps::report
