// Which checks run.
#include "apps/lib/gradcheck/gradcheck.h"

#include <algorithm>
#include <chrono>

#include "apps/lib/gradcheck/layer_cases.h"
#include "apps/lib/gradcheck/network_cases.h"
#include "engine/nearest_names.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr const char* kNetwork = "network";

// The layer of the network that `name` stands for in torchvision's names; empty if there is none.
std::string layer_of_network(const engine::LayerTable& table, const std::string& name) {
  if (name == "input") return name;
  for (const auto& layer : table.layers()) {
    if (layer->keras_name == name) return layer->name;
    if (layer->name == name || layer->name.starts_with(name + ".")) return name;
  }
  return "";
}

[[noreturn]] void refuse_layer(const engine::LayerTable& table, const std::string& name) {
  std::vector<std::string> names = gradcheck_groups();
  for (const auto& layer : table.layers()) {
    names.push_back(layer->name);
    if (!layer->keras_name.empty()) names.push_back(layer->keras_name);
    for (size_t dot = layer->name.find('.'); dot != std::string::npos;
         dot = layer->name.find('.', dot + 1)) {
      names.push_back(layer->name.substr(0, dot));
    }
  }
  fail_input(
      text::format("--layer {}: neither a kind of layer ({}) nor a layer of the network; did "
                   "you mean {}?",
                   name, text::join(gradcheck_groups(), ", "), engine::nearest_names(names, name)));
}

// Nobody wants to see the other layers.
void keep_only(Subject& subject, const std::string& layer) {
  for (Quantity& q : subject.quantities) {
    if (q.layer != layer && !q.layer.starts_with(layer + ".")) q.wanted = Wanted::kConstant;
  }
}

}  // namespace

bool GradcheckResult::good() const {
  return !rows.empty() &&
         std::ranges::all_of(rows, [](const CheckedTensor& row) { return is_good(row.outcome); });
}

std::vector<std::string> gradcheck_groups() {
  std::vector<std::string> groups;
  for (const LayerCase& c : layer_cases()) {
    if (groups.empty() || groups.back() != c.group) groups.push_back(c.group);
  }
  groups.emplace_back(kNetwork);
  return groups;
}

GradcheckResult run_gradcheck(const GradcheckOptions& options,
                              const std::function<void(const std::string&)>& begin) {
  const auto start = std::chrono::steady_clock::now();
  const std::string& wanted = options.layer;
  const std::vector<std::string> groups = gradcheck_groups();
  const bool everything = wanted.empty() || wanted == kNetwork;
  std::string layer;  // of the network; empty: all of them
  if (!everything && std::ranges::find(groups, wanted) == groups.end()) {
    const layers::Classifier network(checked_network());
    layer = layer_of_network(network.table(), wanted);
    if (layer.empty()) refuse_layer(network.table(), wanted);
  }
  bool planted = false;
  const CheckContext context{options.exec, options.seed, options.fault, &planted};
  GradcheckResult result;
  const auto check = [&](const Subject& subject, int64_t elements) {
    const auto rows = check_gradients(subject, {.elements = elements, .seed = options.seed});
    result.rows.insert(result.rows.end(), rows.begin(), rows.end());
  };
  for (const LayerCase& c : layer_cases()) {
    if (!wanted.empty() && c.group != wanted) continue;
    if (begin) begin(c.group);
    check(c.make(context), options.elements);
  }
  for (const NetworkCase which : {NetworkCase::kTraining, NetworkCase::kFrozen,
                                  NetworkCase::kFrozenBatch, NetworkCase::kInference}) {
    if (!everything && layer.empty()) break;
    if (begin) begin(kNetwork);
    Subject subject = check_network(context, which);
    if (!layer.empty()) keep_only(subject, layer);
    check(subject, options.network_elements);
  }
  if (options.fault != Fault::kNone && !planted) {
    fail_input(
        text::format("--plant: nothing of {} can have this fault: choose another --layer", wanted));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  result.seconds = took.count();
  return result;
}

}  // namespace verace::apps
