// The table of checked gradients, and the same as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/lib/gradcheck/gradcheck.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// The part of the network that a layer belongs to: "stem", "layer3", "head", "input".
std::string network_part(const std::string& layer) {
  if (layer == "conv1" || layer == "bn1") return "stem";
  if (layer.starts_with("fc")) return "head";
  return layer.substr(0, layer.find('.'));
}

std::string label_of(const CheckedTensor& row) {
  return row.layer == row.group ? row.tensor : row.layer + " " + row.tensor;
}

std::string index_text(const CheckedTensor& row) {
  return row.worst.empty() ? "-" : text::format("[{}]", text::join(row.worst, ","));
}

std::string line_of(const CheckedTensor& row, const std::string& label, int64_t tensors) {
  const std::string name = tensors == 1 ? label : text::format("{} ({} tensors)", label, tensors);
  if (row.elements == 0) {
    return text::format("  {:<28}{:>8}{:>10}{:>9}  {:<18}{:>13}{:>13}  {}\n", name, "-", "-", "-",
                        "-", "-", "-", to_string(row.outcome));
  }
  return text::format("  {:<28}{:>8}{:>10.1e}{:>9.0e}  {:<18}{:>13.5g}{:>13.5g}  {}\n", name,
                      row.elements, row.error, row.tolerance, index_text(row), row.got, row.want,
                      to_string(row.outcome));
}

// Larger is worse; what is not a number is worst.
double rank(const CheckedTensor& row) { return std::isnan(row.error) ? HUGE_VAL : row.error; }

// Good rows of one check and one part of the network as one: the worst of them, and their counts.
// Frozen ones apart.
struct Folded {
  std::string part;
  CheckedTensor worst;
  int64_t tensors = 0;
};

void fold(std::vector<Folded>& all, const CheckedTensor& row) {
  const std::string part = network_part(row.layer);
  const auto found = std::ranges::find_if(
      all, [&](const Folded& f) { return f.part == part && f.worst.outcome == row.outcome; });
  if (found == all.end()) {
    all.push_back({part, row, 1});
    return;
  }
  const int64_t elements = found->worst.elements + row.elements;
  if (rank(row) > rank(found->worst)) found->worst = row;
  found->worst.elements = elements;
  ++found->tensors;
}

std::string conclusion_of(const GradcheckResult& result) {
  const size_t count = result.rows.size();
  std::string text = text::format("all {} tensors are as they must be", count);
  if (result.wrong() > 0) text = text::format("{} of {} tensors are WRONG", result.wrong(), count);
  if (result.not_proven() > 0) {
    const std::string zero = text::format("{} of {} tensors are not proven: zero, whatever changes",
                                          result.not_proven(), count);
    text = result.wrong() > 0 ? text + "; " + zero : zero;
  }
  return text + text::format(" ({:.1f} s)\n", result.seconds);
}

// Numbers that JSON knows; others are null.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace

std::string gradcheck_text(const GradcheckResult& result, bool all) {
  std::string text =
      text::format("  {:<28}{:>8}{:>10}{:>9}  {:<18}{:>13}{:>13}\n", "tensor", "checked", "error",
                   "allowed", "worst element", "engine", "difference");
  for (size_t i = 0; i < result.rows.size();) {
    const CheckedTensor& first = result.rows[i];
    text += text::format("{}: {}\n", first.group, first.subject);
    std::vector<Folded> folded;
    std::string single;
    for (; i < result.rows.size() && result.rows[i].subject == first.subject &&
           result.rows[i].group == first.group;
         ++i) {
      const CheckedTensor& row = result.rows[i];
      if (all || row.group != "network" || !is_good(row.outcome)) {
        single += line_of(row, label_of(row), 1);
      } else {
        fold(folded, row);
      }
    }
    for (const Folded& f : folded) {
      const bool alone = f.tensors == 1;
      text += line_of(f.worst, alone ? label_of(f.worst) : f.part, f.tensors);
    }
    text += single;
  }
  return text + conclusion_of(result);
}

std::string gradcheck_json(const GradcheckResult& result) {
  nlohmann::ordered_json json;
  json["good"] = result.good();
  json["wrong"] = result.wrong();
  json["not_proven"] = result.not_proven();
  json["seconds"] = number(result.seconds);
  json["rows"] = nlohmann::ordered_json::array();
  for (const CheckedTensor& row : result.rows) {
    nlohmann::ordered_json entry;
    entry["kind"] = row.group;
    entry["check"] = row.subject;
    entry["layer"] = row.layer;
    entry["tensor"] = row.tensor;
    entry["shape"] = row.shape;
    entry["elements"] = row.elements;
    entry["error"] = number(row.error);
    entry["tolerance"] = row.tolerance;
    entry["worst"] = row.worst;
    entry["engine"] = number(row.got);
    entry["difference"] = number(row.want);
    entry["verdict"] = to_string(row.outcome);
    entry["good"] = is_good(row.outcome);
    json["rows"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace verace::apps
