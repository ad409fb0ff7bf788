// Formatting of comparisons.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/diff.h"

namespace verace::weights {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string figure(double value, const char* undefined) {
  return std::isfinite(value) ? text::format("{:.3e}", value) : undefined;
}

std::string line(const LayerChange& change, size_t width) {
  std::string out = text::format("{:<{}}  {:<20}  ", change.layer, width, change.part);
  if (!change.replaced.empty()) return out + "replaced: " + change.replaced + "\n";
  out += text::format("{:>10}  {:>11}  {:>11}  {:>10}", change.values,
                      figure(change.relative, "from 0"), figure(change.largest, "-"),
                      std::isfinite(change.cosine) ? text::format("{:.7f}", change.cosine) : "-");
  if (change.not_finite > 0) out += text::format("  {} NOT FINITE", change.not_finite);
  return out + "\n";
}

// "conv1 ... layer2.3.bn3: unchanged (67 parts, 1444928 values)".
std::string folded_line(std::span<const LayerChange> run) {
  int64_t values = 0;
  for (const LayerChange& change : run) values += change.values;
  const std::string& first = run.front().layer;
  const std::string& last = run.back().layer;
  const std::string names = first == last
                                ? first + (run.size() == 1 ? " (" + run.front().part + ")" : "")
                                : first + " ... " + last;
  return text::format("{}: unchanged ({} values)\n", names, values);
}

OrderedJson change_json(const LayerChange& change) {
  OrderedJson out{{"layer", change.layer}, {"part", change.part}};
  if (!change.replaced.empty()) {
    out["replaced"] = change.replaced;
    return out;
  }
  out["values"] = change.values;
  out["unchanged"] = change.unchanged;
  out["relative"] = change.relative;  // a NaN is written as null
  out["largest"] = change.largest;
  out["cosine"] = change.cosine;
  out["not_finite"] = change.not_finite;
  return out;
}

}  // namespace

std::string diff_table(const WeightFile& a, const WeightFile& b, const Difference& difference) {
  std::string out = text::format("before: {} ({})\nafter:  {} ({})\n", a.path(),
                                 to_string(a.format()), b.path(), to_string(b.format()));
  for (const SettingChange& change : difference.settings)
    out += text::format("{}: {} -> {}\n", change.what, one_line(change.before),
                        one_line(change.after));
  size_t width = 5;
  for (const LayerChange& change : difference.layers) width = std::max(width, change.layer.size());
  out += text::format("\n{:<{}}  {:<20}  {:>10}  {:>11}  {:>11}  {:>10}\n", "layer", width, "part",
                      "values", "relative", "largest", "cosine");
  const std::span<const LayerChange> all(difference.layers);
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin;
    while (end < all.size() && all[end].unchanged) ++end;
    if (end > begin) {
      out += folded_line(all.subspan(begin, end - begin));
      begin = end;
    } else {
      out += line(all[begin++], width);
    }
  }
  if (difference.backbone.unchanged) return out + "\nbackbone: unchanged\n";
  return out + "\n" + line(difference.backbone, width);
}

std::string diff_json(const WeightFile& a, const WeightFile& b, const Difference& difference) {
  OrderedJson out{{"before", a.path()}, {"after", b.path()}};
  out["settings"] = OrderedJson::array();
  for (const SettingChange& change : difference.settings) {
    out["settings"].push_back(
        {{"what", change.what}, {"before", change.before}, {"after", change.after}});
  }
  out["layers"] = OrderedJson::array();
  for (const LayerChange& change : difference.layers) out["layers"].push_back(change_json(change));
  out["backbone"] = change_json(difference.backbone);
  // The paths may hold bytes that are not UTF-8.
  return out.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace verace::weights
