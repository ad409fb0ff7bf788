// Tables, JSON and CSV of data sets of videos.
#include "apps/lib/video_set_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/csv.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::array<const char*, 3> kClasses{"real", "fake", "unknown"};

const char* class_name(const std::optional<int32_t>& label) {
  return kClasses[label ? static_cast<size_t>(*label) : 2];
}

// "3 neither a video nor a picture: a, b, c"
std::string tally_line(const data::Tally& tally) {
  std::vector<std::string> names;
  for (const std::string& name : tally.first) names.push_back(one_line(name));
  const bool more = tally.count > static_cast<int64_t>(names.size());
  return text::format("  {:6}  {}: {}{}\n", tally.count, one_line(tally.what),
                      text::join(names, ", "), more ? ", ..." : "");
}

// Names of files may hold any bytes; JSON holds UTF-8.
std::string as_text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json tallies_json(const std::vector<data::Tally>& tallies) {
  Json json = Json::array();
  for (const data::Tally& tally : tallies) {
    json.push_back({{"what", tally.what}, {"count", tally.count}, {"first", tally.first}});
  }
  return json;
}

Json splits_json(const data::SplitReport& report) {
  Json json{{"rule", data::kSplitRuleNames[static_cast<size_t>(report.options.rule)]},
            {"seed", report.options.seed}};
  for (size_t split = 0; split < data::kSplitNames.size(); ++split) {
    json["shares"][data::kSplitNames[split]] = report.options.shares[split];
  }
  for (size_t split = 0; split < data::kSplitNames.size(); ++split) {
    Json& counts = json["videos"][data::kSplitNames[split]];
    for (size_t label = 0; label < kClasses.size(); ++label) {
      counts[kClasses[label]] = report.videos[split][label];
    }
    counts["identities"] = report.identities[split];
  }
  for (size_t label = 0; label < kClasses.size(); ++label) {
    json["dropped"][kClasses[label]] = report.dropped[label];
  }
  json["dropped"]["why"] = tallies_json(report.why_dropped);
  json["leaks"] = {{"sources", report.leaks.sources},
                   {"identities", report.leaks.identities},
                   {"unknown_identities", report.leaks.unknown},
                   {"text", one_line(report.leaks.text)}};
  return json;
}

}  // namespace

std::string video_set_text(const data::VideoSet& set) {
  std::string out = text::format("{}: {}\n", data::name_of(set.root), set.kind);
  size_t width = 6;
  for (const data::VideoFolder& folder : set.folders) width = std::max(width, folder.name.size());
  out += text::format("  {:<{}}  class    videos\n", "folder", width);
  for (const data::VideoFolder& folder : set.folders) {
    out += text::format("  {:<{}}  {:<7}  {:6}", one_line(folder.name), width,
                        class_name(folder.label), folder.videos);
    out += folder.published > 0 ? text::format(" of {}\n", folder.published) : "\n";
  }
  out += text::format("official split: {}{}\n", set.has_official ? "" : "none, ",
                      one_line(set.official));
  if (!set.notes.empty()) out += "notes:\n";
  for (const data::Tally& note : set.notes) out += tally_line(note);
  return out;
}

std::string split_report_text(const data::SplitReport& report) {
  const data::SplitOptions& options = report.options;
  std::string out =
      text::format("splits: {}, shares {} {} {}, seed {}\n",
                   data::kSplitRuleNames[static_cast<size_t>(options.rule)], options.shares[0],
                   options.shares[1], options.shares[2], options.seed);
  bool has_unknown = false;
  for (const auto& counts : report.videos) has_unknown |= counts[2] > 0;
  out += text::format("  split     real    fake  {}identities\n", has_unknown ? "unknown  " : "");
  for (size_t split = 0; split < report.videos.size(); ++split) {
    const auto& counts = report.videos[split];
    out += text::format("  {:<5}   {:6}  {:6}  ", data::kSplitNames[split], counts[0], counts[1]);
    if (has_unknown) out += text::format("{:7}  ", counts[2]);
    out += text::format("{:10}\n", report.identities[split]);
  }
  if (!report.why_dropped.empty()) {
    int64_t dropped = 0;
    for (const int64_t count : report.dropped) dropped += count;
    out += text::format("dropped: {} videos\n", dropped);
  }
  for (const data::Tally& why : report.why_dropped) out += tally_line(why);
  out += text::format("in two splits: {}\n", one_line(report.leaks.text));
  return out;
}

std::string video_set_json(const data::VideoSet& set, const data::SplitReport* splits) {
  Json json{{"root", set.root.string()}, {"kind", set.kind}};
  json["folders"] = Json::array();
  for (const data::VideoFolder& folder : set.folders) {
    Json& entry = json["folders"].emplace_back(Json{
        {"name", folder.name}, {"class", class_name(folder.label)}, {"videos", folder.videos}});
    if (folder.published > 0) entry["published"] = folder.published;
  }
  json["official"] = {{"present", set.has_official}, {"where", set.official}};
  json["notes"] = tallies_json(set.notes);
  if (splits != nullptr) json["splits"] = splits_json(*splits);
  return as_text(json);
}

std::string video_list_csv(const data::VideoSet& set) {
  std::string out = "path,name,label,identity,split,sources\n";
  for (const data::VideoSample& sample : set.videos) {
    out += text::format("{},{},{},{},{},{}\n", data::csv_field(sample.path.string()),
                        data::csv_field(sample.name), sample.label ? class_name(sample.label) : "",
                        data::csv_field(sample.identity),
                        sample.split ? data::kSplitNames[static_cast<size_t>(*sample.split)] : "",
                        data::csv_field(text::join(sample.sources, "+")));
  }
  return out;
}

}  // namespace verace::apps
