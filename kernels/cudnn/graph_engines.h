// Engines in cudnn-frontend's terms: what is said of one, and making one from its name. Included by
// conv_graph.cc alone, after cudnn-frontend.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/cudnn/conv_graph.h"

namespace verace::kernels::cudnn {

namespace fe = cudnn_frontend;

template <typename Note>
bool holds(const std::vector<Note>& notes, Note note) {
  return std::ranges::find(notes, note) != notes.end();
}

// "eng44_k2=4_k18=0": an engine's number, and the values of its settings (cuDNN calls them knobs).
struct EngineName {
  int64_t number = 0;
  std::vector<std::pair<int64_t, int64_t>> settings;
};

// Nothing where the text is no such name.
inline std::optional<EngineName> parse_engine(const std::string& text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto take = [&](const char* before, int64_t& value) {
    const std::string_view rest(at, static_cast<size_t>(end - at));
    if (!rest.starts_with(before)) return false;
    const auto [next, error] = std::from_chars(at + std::strlen(before), end, value);
    at = next;
    return error == std::errc{};
  };
  EngineName name;
  if (!take("eng", name.number)) return std::nullopt;
  while (at != end) {
    int64_t knob = 0, value = 0;
    if (!take("_k", knob) || !take("=", value)) return std::nullopt;
    if (knob < 0 || knob >= CUDNN_KNOB_TYPE_COUNTS) return std::nullopt;
    name.settings.emplace_back(knob, value);
  }
  if (name.settings.size() > CUDNN_KNOB_TYPE_COUNTS) return std::nullopt;
  return name;
}

// A graph whose list of plans can be looked into.
struct Graph : fe::graph::Graph {
  fe::graph::Execution_plan_list& list() { return plans; }
  const fe::graph::Execution_plan_list& list() const { return plans; }

  // As create_execution_plan(), which does not know the settings that cuDNN calls deprecated but
  // still proposes.
  fe::error_t add(const EngineName& name) {
    namespace detail = fe::detail;
    detail::backend_descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    fe::error_t status = detail::create_engine(engine, name.number, operation_graph->get_raw_desc(),
                                               device_properties);
    if (status.is_bad()) return status;
    std::vector<detail::backend_descriptor> choices;
    for (const auto& [knob, value] : name.settings) {
      detail::backend_descriptor choice(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
      const auto type = static_cast<cudnnBackendKnobType_t>(knob);
      for (const cudnnStatus_t done :
           {choice.get_status(),
            detail::set_attribute(choice.get_ptr(), CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
                                  CUDNN_TYPE_KNOB_TYPE, 1, &type),
            detail::set_attribute(choice.get_ptr(), CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE,
                                  CUDNN_TYPE_INT64, 1, &value),
            detail::finalize(choice.get_ptr())}) {
        if (done != CUDNN_STATUS_SUCCESS) {
          return {fe::error_code_t::CUDNN_BACKEND_API_FAILED, detail::get_error_string(done)};
        }
      }
      choices.push_back(std::move(choice));
    }
    auto config = fe::make_shared_backend_pointer(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    status = detail::create_engine_config(config, engine, choices);
    if (status.is_bad()) return status;
    plans.enqueue_engine_configs({config});
    return plans.query_properties();
  }
};

using Numeric = fe::NumericalNote_t;

inline Engine described(std::string name, int64_t workspace_bytes,
                        const std::vector<Numeric>& numerics,
                        const std::vector<fe::BehaviorNote_t>& behaviour) {
  Engine e;
  e.name = std::move(name);
  e.workspace_bytes = workspace_bytes;
  e.runtime_compiled = holds(behaviour, fe::BehaviorNote_t::RUNTIME_COMPILATION);
  e.deterministic = !holds(numerics, Numeric::NONDETERMINISTIC);
  e.reduced_sums = holds(numerics, Numeric::REDUCED_PRECISION_REDUCTION);
  e.tensor_cores =
      holds(numerics, Numeric::TENSOR_CORE) || holds(numerics, Numeric::DOWN_CONVERT_INPUTS);
  for (const Numeric note : {Numeric::FFT, Numeric::WINOGRAD, Numeric::WINOGRAD_TILE_4x4,
                             Numeric::WINOGRAD_TILE_6x6, Numeric::WINOGRAD_TILE_13x13}) {
    e.transforms = e.transforms || holds(numerics, note);
  }
  return e;
}

}  // namespace verace::kernels::cudnn
