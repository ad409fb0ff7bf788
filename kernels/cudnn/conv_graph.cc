// Building, planning and running convolution graphs by cudnn-frontend. The only file that includes
// it: half a minute to compile.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include "kernels/cudnn/conv_graph.h"

#include <cudnn_frontend.h>

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/graph_engines.h"
#include "kernels/cudnn/graph_writer.h"
#include "kernels/cudnn/library.h"
#include "kernels/format.h"

// Where cudnn-frontend looks for cuDNN's functions.
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace verace::kernels::cudnn {
namespace {

namespace fe = cudnn_frontend;

void load_cudnn() {
  static const void* const loaded = fe::cudnn_dlhandle = library().handle();
  VERACE_CHECK(loaded != nullptr);
}

void check(const fe::error_t& status, const ConvSpec& spec) {
  if (status.is_good()) return;
  fail_check("cuDNN", __FILE__, __LINE__,
             one_line(text::format("{}: {}", to_string(spec), status.err_msg)));
}

}  // namespace

struct Target::Description {
  std::shared_ptr<fe::DeviceProperties> properties;
};

Target Target::described(const std::string& json) {
  load_cudnn();
  auto properties = std::make_shared<fe::DeviceProperties>();
  const auto end = json.find_last_not_of(" \n");
  const std::vector<uint8_t> bytes(json.begin(),
                                   json.begin() + static_cast<std::ptrdiff_t>(end + 1));
  if (const fe::error_t status = properties->deserialize(bytes); status.is_bad()) {
    fail_input("cuDNN does not understand the description of a device: " + status.err_msg);
  }
  Target target;
  target.description_ = std::make_shared<Description>(Description{properties});
  return target;
}

Target Target::of(cudnnContext* handle) {
  VERACE_CHECK(handle != nullptr);
  Target target;
  target.handle_ = handle;
  return target;
}

struct ConvGraph::Impl {
  Graph graph;
  fe::EngineConfigList configs;    // of engines_
  cudnnContext* handle = nullptr;  // of the thread that plans; none where the device is described
};

ConvGraph::ConvGraph(const Target& target, const ConvSpec& spec)
    : impl_(std::make_unique<Impl>()), spec_(spec) {
  validate(spec);
  load_cudnn();
  Graph& graph = impl_->graph;
  impl_->handle = target.handle();
  if (target.description() != nullptr)
    graph.set_device_properties(target.description()->properties);
  graph.set_io_data_type(data_type(spec.type))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  Writer(graph, spec).write();
  check(graph.validate(), spec);
  check(graph.build_operation_graph(target.handle()), spec);
}

ConvGraph::~ConvGraph() = default;
ConvGraph::ConvGraph(ConvGraph&&) noexcept = default;
ConvGraph& ConvGraph::operator=(ConvGraph&&) noexcept = default;

std::string ConvGraph::json() const {
  nlohmann::json json;
  impl_->graph.fe::graph::Graph::serialize(json);
  return json.dump();
}

void ConvGraph::propose() {
  VERACE_CHECK(engines_.empty(), to_string(spec_));
  check(impl_->graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), spec_);
  describe_engines();
  VERACE_CHECK(!engines_.empty(), to_string(spec_));
}

void ConvGraph::describe_engines() {
  fe::graph::Execution_plan_list& list = impl_->graph.list();
  // Of the engines that are not barred, despite its name; we bar none.
  impl_->configs = list.get_barred_engine_configs();
  VERACE_CHECK(impl_->configs.size() == list.numeric_notes.size(), to_string(spec_));
  for (size_t i = 0; i < impl_->configs.size(); ++i) {
    std::string name;
    check(impl_->graph.get_plan_name_at_index(static_cast<int64_t>(i), name), spec_);
    engines_.push_back(
        described(std::move(name), -1, list.numeric_notes[i], list.behavior_notes[i]));
  }
}

void ConvGraph::ask_workspace(size_t engine) {
  Engine& e = engines_.at(engine);
  if (e.workspace_bytes >= 0) return;
  int64_t bytes = -1;
  const fe::error_t status = fe::detail::get_workspace_size(impl_->configs.at(engine), bytes);
  if (status.is_good()) e.workspace_bytes = bytes;
}

std::string ConvGraph::remake(const SavedPlan& saved) {
  VERACE_CHECK(engines_.empty(), to_string(spec_));
  fe::graph::Execution_plan_list& list = impl_->graph.list();
  if (!saved.serialised.empty() && impl_->handle != nullptr) {
    const fe::error_t status = list.build_plans(impl_->handle, saved.serialised);
    if (status.is_bad()) return one_line(status.err_msg);
    const fe::ExecutionPlan& plan = *list.execution_plans.front();
    std::vector<Numeric> numerics;
    for (const auto note : plan.getAllNumericNotes()) {
      numerics.push_back(fe::detail::convert_from_cudnn_type(note));
    }
    std::vector<fe::BehaviorNote_t> behaviour;
    for (const auto note : plan.getAllBehaviorNotes()) {
      behaviour.push_back(fe::detail::convert_from_cudnn_type(note));
    }
    engines_.push_back(described(plan.getTag(), plan.getWorkspaceSize(), numerics, behaviour));
  } else {
    const std::optional<EngineName> name = parse_engine(saved.engine);
    if (!name) return "it has no engine's name";
    const fe::error_t status = impl_->graph.add(*name);
    if (status.is_bad()) return one_line(status.err_msg);
    describe_engines();
    if (const std::string reason = build(0); !reason.empty()) return reason;
  }
  return engines_.front().name == saved.engine ? "" : "it is of " + engines_.front().name;
}

std::string ConvGraph::build(size_t engine) {
  Engine& e = engines_.at(engine);
  const auto index = static_cast<int64_t>(engine);
  if (e.runtime_compiled && impl_->handle == nullptr) {
    const fe::error_t status = impl_->graph.list().check_support_at_index(index);
    return status.is_good() ? "" : one_line(status.err_msg);
  }
  if (const fe::error_t status = impl_->graph.build_plan_at_index(index); status.is_bad()) {
    return one_line(status.err_msg);
  }
  check(impl_->graph.get_workspace_size_plan_at_index(index, e.workspace_bytes), spec_);
  return "";
}

bool ConvGraph::is_built(size_t engine) const {
  const auto& plans = impl_->graph.list().execution_plans;
  return engine < plans.size() && plans[engine] != nullptr;
}

void ConvGraph::keep_only(size_t engine) {
  auto& plans = impl_->graph.list().execution_plans;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (i != engine) plans[i].reset();
  }
}

SavedPlan ConvGraph::save(size_t engine) const {
  const Engine& e = engines_.at(engine);
  VERACE_CHECK(is_built(engine) || e.runtime_compiled, to_string(spec_));
  if (!e.runtime_compiled || !is_built(engine)) return {e.name, ""};
  try {
    return {e.name, impl_->graph.list().execution_plans[engine]->getJsonRepresentation()};
  } catch (const fe::cudnnException&) {  // then it will be compiled again
    return {e.name, ""};
  }
}

void ConvGraph::execute(size_t engine, cudnnContext* handle, std::span<const ConvBinding> bindings,
                        std::byte* workspace) const {
  VERACE_CHECK(is_built(engine), to_string(spec_));
  std::unordered_map<int64_t, void*> pointers;
  for (const ConvBinding& b : bindings) pointers[static_cast<int64_t>(b.tensor)] = b.data;
  check(
      impl_->graph.execute_plan_at_index(handle, pointers, workspace, static_cast<int64_t>(engine)),
      spec_);
}

std::string version() {
  load_cudnn();
  return fe::detail::get_backend_version_string();
}

std::string frontend_version() {
  return text::format("{}.{}.{}", CUDNN_FRONTEND_MAJOR_VERSION, CUDNN_FRONTEND_MINOR_VERSION,
                      CUDNN_FRONTEND_PATCH_VERSION);
}

}  // namespace verace::kernels::cudnn
