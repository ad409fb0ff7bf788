// Verdicts about videos as text and as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/lib/media_predictor.h"
#include "apps/lib/metrics.h"
#include "apps/lib/threshold_json.h"
#include "data/text.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

Json face_json(const MediaFace& face, const Decision& decision) {
  Json json{{"frame", face.frame},
            {"seconds", face.seconds},
            {"fake_probability", face.probability},
            {"verdict", verdict_of(face.probability, decision.faces)}};
  if (!face.picture.empty()) {
    json["picture"] = face.picture.string();
    return json;
  }
  const data::FaceBox& box = face.in_frame.box;
  json["score"] = face.in_frame.score;
  json["box"] = {box.x1, box.y1, box.x2, box.y2};
  json["landmarks"] = Json::array();
  for (const data::ImagePoint& point : face.in_frame.landmarks) {
    json["landmarks"].push_back({point.x, point.y});
  }
  return json;
}

Json item_json(const MediaVerdict& item, const Decision& decision) {
  const bool judged = item.fake_probability.has_value();
  Json json{{"path", item.path.string()},
            {"kind", item.is_picture ? "picture" : "video"},
            {"verdict", judged ? Json(verdict_word(item, decision)) : Json()},
            {"fake_probability", judged ? Json(*item.fake_probability) : Json()},
            {"why_not", judged ? Json() : Json(item.why_not)},
            {"readable", item.readable},
            {"seconds", item.seconds},
            {"frames_in_video", item.frames_in_video},
            {"frames_looked_at", item.frames_looked_at},
            {"frames_with_faces", item.frames_with_faces},
            {"shortfall", item.shortfall},
            {"damage", item.damage},
            {"faces", Json::array()}};
  for (const MediaFace& face : item.faces) json["faces"].push_back(face_json(face, decision));
  return json;
}

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string count_text(const MediaVerdict& item) {
  const auto faces = static_cast<int64_t>(item.faces.size());
  const std::string text = text::format("{} {}", faces, faces == 1 ? "face" : "faces");
  return item.is_picture ? text
                         : text::format("{} in {} of {} frames", text, item.frames_with_faces,
                                        item.frames_looked_at);
}

}  // namespace

const char* verdict_word(const MediaVerdict& item, const Decision& decision) {
  const bool one_face = item.is_picture && item.faces.size() == 1;
  return verdict_of(item.fake_probability.value(), one_face ? decision.faces : decision.videos);
}

std::string media_json(const MediaVerdicts& verdicts) {
  const auto without = std::ranges::count_if(
      verdicts.items, [](const MediaVerdict& item) { return !item.fake_probability; });
  Json json{{"items", Json::array()}, {"without_verdict", without}};
  for (const MediaVerdict& item : verdicts.items) {
    json["items"].push_back(item_json(item, verdicts.decision));
  }
  json["threshold"] = to_json(verdicts.decision);
  if (verdicts.detector.empty()) return dumped(json);  // of a manifest
  json["detector"] = verdicts.detector;
  const VideoFacesOptions& search = verdicts.search;
  json["sampling"] = data::kSamplingNames[static_cast<size_t>(search.sampling)];
  json["frames"] = search.frames;
  json["crop"] = {{"kind", data::kCropNames[static_cast<size_t>(search.crop.kind)]},
                  {"margin", search.crop.margin},
                  {"size", search.crop.size}};
  return dumped(json);
}

std::string media_text(const MediaVerdicts& verdicts) {
  std::string text;
  for (const MediaVerdict& item : verdicts.items) {
    const std::string name = data::name_of(item.path);
    if (!item.fake_probability) {
      // What cannot be read is an error, which is said elsewhere.
      if (item.readable) text += text::format("cannot judge: {}  {}\n", item.why_not, name);
      continue;
    }
    text += text::format("{}  P(fake) {:6.2f} %  {}  {}{}\n", verdict_word(item, verdicts.decision),
                         100 * *item.fake_probability, name, count_text(item),
                         item.damage.empty() ? "" : " (damaged: " + item.damage + ")");
  }
  return text;
}

}  // namespace verace::apps
