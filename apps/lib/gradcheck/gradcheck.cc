// Which checks run.
#include "apps/lib/gradcheck/gradcheck.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <iterator>

#include "apps/lib/gradcheck/layer_cases.h"
#include "apps/lib/gradcheck/network_cases.h"
#include "engine/layer_names.h"
#include "engine/nearest_names.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

constexpr const char* kNetwork = "network";

// The layer of the network, or group of layers, that `name` stands for in torchvision's names;
// empty if there is none.
std::string layer_of_network(const engine::LayerTable& table, const std::string& name) {
  if (name == "input") return name;
  if (const engine::Layer* layer = table.find(name)) return layer->name;
  const auto inside = [&](const auto& layer) { return engine::lies_in(layer->name, name); };
  return std::ranges::any_of(table.layers(), inside) ? name : "";
}

[[noreturn]] void refuse_layer(const engine::LayerTable& table, const std::string& name) {
  std::vector<std::string> names = engine::with_groups(engine::layer_names(table));
  std::ranges::copy(gradcheck_groups(), std::back_inserter(names));
  fail_input(
      text::format("--layer {}: neither a kind of layer ({}) nor a layer of the network; did "
                   "you mean {}?",
                   name, text::join(gradcheck_groups(), ", "), engine::nearest_names(names, name)));
}

// Nobody wants to see the other layers.
void keep_only(Subject& subject, const std::string& layer) {
  for (Quantity& q : subject.quantities) {
    if (!engine::lies_in(q.layer, layer)) q.wanted = Wanted::kConstant;
  }
}

// fp32 and double may take a decision differently where its input is zero but for rounding, which
// is 1e-6 in these small layers: then they are two different functions. Hence other numbers are
// drawn; one time in hundreds that happens.
Subject draw_case(const LayerCase& layer_case, const CheckContext& context) {
  constexpr uint64_t kMostAttempts = 16, kApart = 1000003;  // seeds
  constexpr double kNear = 1e-5;
  CheckContext drawn = context;
  for (uint64_t i = 0;; ++i) {
    drawn.seed = context.seed + i * kApart;
    Subject subject = layer_case.make(drawn);
    exact::Decisions decisions;
    subject.function(subject.point, decisions);
    const double nearest = std::min(decisions.nearest_relu(), decisions.nearest_rival());
    if (nearest > kNear || i + 1 == kMostAttempts) return subject;
  }
}

// What `options` asks for.
struct Selection {
  std::string kind = {};   // of single layers; empty: all of them
  std::string layer = {};  // of the network; empty: all of it
  bool kinds = true, network = true;
};

Selection selection_of(const std::string& wanted) {
  if (wanted.empty()) return {};
  if (wanted == kNetwork) return {.kinds = false};
  const std::vector<std::string> groups = gradcheck_groups();
  if (std::ranges::find(groups, wanted) != groups.end()) return {.kind = wanted, .network = false};
  const layers::Classifier network(checked_network());
  const std::string layer = layer_of_network(network.table(), wanted);
  if (layer.empty()) refuse_layer(network.table(), wanted);
  return {.layer = layer, .kinds = false};
}

struct Check {
  Subject subject;
  int64_t elements;
};

// All steps are run here; what is left to do is the differences.
std::vector<Check> run_steps(const Selection& selection, const GradcheckOptions& options,
                             const CheckContext& context) {
  std::vector<Check> checks;
  for (const LayerCase& c : layer_cases()) {
    if (!selection.kinds || (!selection.kind.empty() && c.group != selection.kind)) continue;
    checks.push_back({draw_case(c, context), options.elements});
  }
  for (const NetworkCase which : {NetworkCase::kTraining, NetworkCase::kFrozen,
                                  NetworkCase::kFrozenBatch, NetworkCase::kInference}) {
    if (!selection.network) break;
    Subject subject = check_network(context, which);
    if (!selection.layer.empty()) keep_only(subject, selection.layer);
    checks.push_back({std::move(subject), options.network_elements});
  }
  return checks;
}

// Whether a gradient that is checked has other bits in `b`, or one that must not be written is.
bool differ(const Subject& a, const Subject& b) {
  VERACE_CHECK(a.quantities.size() == b.quantities.size(), a.name);
  const auto bits = [](float value) { return std::bit_cast<uint32_t>(value); };
  for (size_t i = 0; i < a.quantities.size(); ++i) {
    const Quantity &p = a.quantities[i], &q = b.quantities[i];
    if (p.wanted == Wanted::kConstant) continue;
    if (p.written != q.written) return true;
    if (!std::ranges::equal(p.gradient, q.gradient, {}, bits, bits)) return true;
  }
  return false;
}

// Throws unless the fault changes something of what is checked: else a clean table would say that
// it was not found.
void require_reach(const std::vector<Check>& broken, const Selection& selection,
                   const GradcheckOptions& options, bool planted) {
  if (options.fault == Fault::kNone) return;
  if (!planted) {
    fail_input(text::format("--plant: nothing of {} can have this fault: choose another --layer",
                            options.layer));
  }
  const std::vector<Check> clean = run_steps(selection, options, {options.exec, options.seed});
  VERACE_CHECK(clean.size() == broken.size());
  for (size_t i = 0; i < clean.size(); ++i) {
    if (differ(clean[i].subject, broken[i].subject)) return;
  }
  fail_input(
      text::format("--plant: the planted fault does not reach these tensors (those of {}): choose "
                   "another --layer",
                   options.layer));
}

}  // namespace

bool GradcheckResult::good() const {
  return !rows.empty() &&
         std::ranges::all_of(rows, [](const CheckedTensor& row) { return is_good(row.outcome); });
}

int64_t GradcheckResult::wrong() const {
  return std::ranges::count_if(rows, [](const auto& row) { return is_wrong(row.outcome); });
}

int64_t GradcheckResult::not_proven() const {
  return std::ranges::count_if(
      rows, [](const auto& row) { return !is_good(row.outcome) && !is_wrong(row.outcome); });
}

std::vector<std::string> gradcheck_groups() {
  std::vector<std::string> groups;
  for (const LayerCase& c : layer_cases()) {
    if (groups.empty() || groups.back() != c.group) groups.push_back(c.group);
  }
  groups.emplace_back(kNetwork);
  return groups;
}

GradcheckResult run_gradcheck(const GradcheckOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const Selection selection = selection_of(options.layer);
  bool planted = false;
  const std::vector<Check> checks =
      run_steps(selection, options, {options.exec, options.seed, options.fault, &planted});
  require_reach(checks, selection, options, planted);
  GradcheckResult result;
  for (const Check& check : checks) {
    const auto rows =
        check_gradients(check.subject, {.elements = check.elements, .seed = options.seed});
    result.rows.insert(result.rows.end(), rows.begin(), rows.end());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  result.seconds = took.count();
  return result;
}

}  // namespace verace::apps
