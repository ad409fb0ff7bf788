// From a step's operations to the tensors that they write.
#include "apps/lib/dump/tensor_list.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/layer_names.h"
#include "engine/nearest_names.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using engine::DType;
using engine::Operation;
using engine::Value;
using engine::ValueInfo;
using engine::ValueRole;

// What an operation belongs to: its name up to the first space.
std::string subject_of(const Operation& operation) {
  const std::string subject = operation.name.substr(0, operation.name.find(' '));
  return subject == "normalise" ? "input" : subject;
}

TensorKind kind_of(ValueRole role) {
  switch (role) {
    case ValueRole::kGradient:
      return TensorKind::kGradient;
    case ValueRole::kStatistic:
      return TensorKind::kStatistic;
    default:
      return TensorKind::kActivation;
  }
}

// A parameter's gradient is called "NAME gradient" (engine/layer_table.cc).
std::string parameter_name(const engine::Tensor& gradient) {
  return gradient.name().substr(0, gradient.name().rfind(' '));
}

class Lister {
 public:
  explicit Lister(const engine::Step& step) : step_(step) {
    for (const Operation& operation : step.operations()) {
      for (const Value v : operation.writes) {
        if (step.info(v).gradient_of >= 0) contributions_[step.info(v).gradient_of].push_back(v);
      }
    }
  }

  std::vector<ListedTensor> list() {
    list_inputs();
    for (size_t i = 0; i < step_.operations().size(); ++i) {
      const Operation& operation = step_.operations()[i];
      for (const Value v : operation.writes) list_value(operation, static_cast<int64_t>(i), v);
      for (const engine::Tensor* gradient : operation.gradients) {
        ListedTensor t = begin(operation, static_cast<int64_t>(i), gradient->name());
        t.kind = TensorKind::kParameterGradient;
        t.gradient_of = parameter_name(*gradient);
        t.shape = gradient->shape();
        t.tensor = gradient;
        all_.push_back(std::move(t));
      }
    }
    return std::move(all_);
  }

 private:
  static ListedTensor begin(const Operation& operation, int64_t index, const std::string& name) {
    ListedTensor t;
    t.operation = index;
    t.layer = subject_of(operation);
    t.does = operation.name;
    t.name = name;
    return t;
  }

  // Inputs that operations read; each once.
  void list_inputs() {
    std::set<int32_t> seen;
    for (const Operation& operation : step_.operations()) {
      for (const Value v : operation.reads) {
        const ValueInfo& info = step_.info(v);
        if (!info.input || info.storage != v.id || !engine::is_real(info.dtype)) continue;
        if (!seen.insert(v.id).second) continue;
        ListedTensor t;
        t.layer = "input";
        t.does = "input";
        t.name = info.name;
        t.shape = info.shape;
        t.value = v;
        all_.push_back(std::move(t));
        layer_of_[v.id] = "input";
      }
    }
  }

  void list_value(const Operation& operation, int64_t index, Value v) {
    const ValueInfo& info = step_.info(v);
    if (!engine::is_real(info.dtype) || info.role == ValueRole::kAuxiliary) return;
    ListedTensor t = begin(operation, index, info.name);
    t.kind = kind_of(info.role);
    t.shape = info.shape;
    t.value = v;
    const int32_t of = info.gradient_of;
    if (of >= 0) t.gradient_of = step_.info(Value{of}).name;
    layer_of_[v.id] = t.layer;
    all_.push_back(t);
    if (of < 0 || contributions_[of].size() < 2 || contributions_[of].back() != v) return;
    t.layer = layer_of_[of];
    t.name = t.gradient_of + " gradient";
    t.value = {};
    t.contributions = contributions_[of];
    all_.push_back(std::move(t));
  }

  const engine::Step& step_;
  std::map<int32_t, std::vector<Value>> contributions_;  // by value, in the order of writing
  std::map<int32_t, std::string> layer_of_;              // of the operation that wrote a value
  std::vector<ListedTensor> all_;
};

// Those of the step, which has parts that are no layers of the table, and the table's.
std::vector<std::string> names_to_offer(const std::vector<ListedTensor>& all,
                                        const engine::LayerTable& table) {
  std::vector<std::string> names = engine::layer_names(table);
  for (const ListedTensor& t : all) names.push_back(t.layer);
  return engine::with_groups(names);
}

}  // namespace

const char* to_string(TensorKind kind) {
  switch (kind) {
    case TensorKind::kActivation:
      return "activation";
    case TensorKind::kStatistic:
      return "statistic";
    case TensorKind::kGradient:
      return "gradient";
    case TensorKind::kParameterGradient:
      return "parameter gradient";
  }
  return "";
}

std::vector<ListedTensor> list_tensors(const engine::Step& step) { return Lister(step).list(); }

std::vector<ListedTensor> select_layer(const std::vector<ListedTensor>& all,
                                       const engine::LayerTable& table, const std::string& filter) {
  const engine::Layer* layer = table.find(filter);
  const std::string wanted = layer != nullptr ? layer->name : filter;
  std::vector<ListedTensor> selected;
  std::ranges::copy_if(all, std::back_inserter(selected),
                       [&](const ListedTensor& t) { return engine::lies_in(t.layer, wanted); });
  if (!selected.empty()) return selected;
  if (layer != nullptr) {
    fail_input(
        text::format("--layer {}: is folded into the convolution before it, since nothing of both "
                     "is trained: name that layer, or use --mode training without --freeze",
                     filter));
  }
  fail_input(text::format("--layer {}: no layer has this name; did you mean {}?", filter,
                          engine::nearest_names(names_to_offer(all, table), filter)));
}

}  // namespace verace::apps
