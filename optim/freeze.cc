// Parsing --freeze, setting the table, and the summary that a run prints.
#include "optim/freeze.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "engine/layer_names.h"
#include "engine/nearest_names.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::optim {
namespace {

constexpr const char* kForms = "none, backbone, keras:K, stages:N, blocks:N or name:LAYER";

int64_t parse_number(const std::string& text, const std::string& digits, int64_t most) {
  int64_t value = -1;
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, value);
  if (error != std::errc() || rest != end || value < 0 || value > most) {
    fail_input(
        text::format("--freeze {}: the number must be a whole one from 0 to {}", text, most));
  }
  return value;
}

void freeze_where(engine::LayerTable& table,
                  const std::function<bool(const engine::Layer&)>& frozen) {
  for (const auto& layer : table.layers()) layer->trainable = !frozen(*layer);
}

void freeze_through(engine::LayerTable& table, const std::string& text, const std::string& name) {
  const engine::Layer* last = table.find(name);
  if (last == nullptr) {
    fail_input(text::format("--freeze {}: no layer has this name; did you mean {}?", text,
                            engine::nearest_names(engine::layer_names(table), name)));
  }
  bool inside = true;
  for (const auto& layer : table.layers()) {
    layer->trainable = !inside;
    if (layer.get() == last) inside = false;
  }
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<size_t>(at), " ");
  return digits;
}

}  // namespace

void freeze(engine::LayerTable& table, const std::string& text) {
  const size_t colon = text.find(':');
  const std::string form = text.substr(0, colon);
  const std::string rest = colon == std::string::npos ? "" : text.substr(colon + 1);
  const bool bare = colon == std::string::npos;
  if (bare && form == "none")
    return freeze_where(table, [](const engine::Layer&) { return false; });
  if (bare && form == "backbone")
    return freeze_where(table, [](const engine::Layer& l) { return l.stage < 5; });
  if (!bare && form == "keras") {
    const int64_t k = parse_number(text, rest, 175);
    return freeze_where(
        table, [k](const engine::Layer& l) { return l.keras_index >= 0 && l.keras_index < k; });
  }
  if (!bare && form == "stages") {
    const int64_t n = parse_number(text, rest, 4);
    return freeze_where(table, [n](const engine::Layer& l) { return l.stage <= n; });
  }
  if (!bare && form == "blocks") {
    const int64_t n = parse_number(text, rest, 16);
    return freeze_where(table, [n](const engine::Layer& l) { return l.block <= n; });
  }
  if (!bare && form == "name") return freeze_through(table, text, rest);
  fail_input(text::format("--freeze {}: unknown form; use {}", text, kForms));
}

std::string frozen_summary(const engine::LayerTable& table) {
  int64_t layers = 0, frozen_layers = 0, trainable = 0, frozen = 0, statistics = 0;
  std::string names;
  for (const auto& layer : table.layers()) {
    ++layers;
    const int64_t parameters = layer->parameter_count(false);
    statistics += layer->parameter_count(true) - parameters;
    (layer->trainable ? trainable : frozen) += parameters;
    if (layer->trainable) continue;
    ++frozen_layers;
    names += (names.empty() ? "" : ", ") + layer->name;
  }
  std::string text = text::format(
      "frozen: {} of {} layers with weights, {} parameters; trained: {} parameters; "
      "batch-norm statistics: {}\n",
      frozen_layers, layers, grouped(frozen), grouped(trainable), grouped(statistics));
  if (!names.empty()) text += "frozen layers: " + names + "\n";
  return text;
}

}  // namespace verace::optim
