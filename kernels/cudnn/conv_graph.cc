// Building, planning and running convolution graphs by cudnn-frontend. The only file that includes
// it: half a minute to compile.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include "kernels/cudnn/conv_graph.h"

#include <cudnn_frontend.h>

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/library.h"
#include "kernels/format.h"

// Where cudnn-frontend looks for cuDNN's functions.
void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace verace::kernels::cudnn {
namespace {

namespace fe = cudnn_frontend;
using Attributes = std::shared_ptr<fe::graph::Tensor_attributes>;
using Dimensions = std::vector<int64_t>;

// cuDNN's dimensions are logical, n, c, h, w, whatever the layout; ours is n, h, w, c.
Dimensions nchw(const Nhwc& t) { return {t.n, t.c, t.h, t.w}; }

Dimensions channels_last(const Dimensions& d) { return {d[1] * d[2] * d[3], 1, d[1] * d[3], d[1]}; }

fe::DataType_t data_type(StorageType type) {
  switch (type) {
    case StorageType::kHalf:
      return fe::DataType_t::HALF;
    case StorageType::kBFloat16:
      return fe::DataType_t::BFLOAT16;
    case StorageType::kFloat:
      break;
  }
  return fe::DataType_t::FLOAT;
}

void load_cudnn() {
  static const void* const loaded = fe::cudnn_dlhandle = library().handle();
  VERACE_CHECK(loaded != nullptr);
}

void check(const fe::error_t& status, const ConvSpec& spec) {
  if (status.is_good()) return;
  fail_check("cuDNN", __FILE__, __LINE__,
             one_line(text::format("{}: {}", to_string(spec), status.err_msg)));
}

// What an engine must not do. cudnn-frontend bars an engine that has any of these notes.
std::vector<fe::NumericalNote_t> barred(const ConvSpec& spec) {
  using Note = fe::NumericalNote_t;
  std::vector<Note> notes = {Note::NONDETERMINISTIC, Note::REDUCED_PRECISION_REDUCTION};
  if (spec.type == StorageType::kFloat && !spec.tf32) {
    // Transforms lose digits too: more the larger their tiles are.
    notes.insert(notes.end(),
                 {Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS, Note::FFT, Note::WINOGRAD,
                  Note::WINOGRAD_TILE_4x4, Note::WINOGRAD_TILE_6x6, Note::WINOGRAD_TILE_13x13});
  }
  return notes;
}

template <typename Note>
bool holds(const std::vector<Note>& notes, Note note) {
  return std::ranges::find(notes, note) != notes.end();
}

// A graph whose list of plans can be asked which engines are barred, before any is built.
struct Graph : fe::graph::Graph {
  fe::graph::Execution_plan_list& list() { return plans; }
};

// Adds the operations of one convolution to a graph.
class Writer {
 public:
  Writer(Graph& graph, const ConvSpec& spec) : graph_(graph), spec_(spec) {}

  void write() {
    switch (spec_.pass) {
      case ConvPass::kForward:
        return forward();
      case ConvPass::kBackwardData: {
        const Attributes dx = graph_.conv_dgrad(
            y(), w(), geometry(fe::graph::Conv_dgrad_attributes().set_name("convolution")));
        return output(dx, "dx", ConvTensor::kX, nchw(spec_.g.x));
      }
      case ConvPass::kBackwardFilter: {
        const Attributes dw = graph_.conv_wgrad(
            y(), x(), geometry(fe::graph::Conv_wgrad_attributes().set_name("convolution")));
        return output(dw, "dw", ConvTensor::kW, filter());
      }
    }
  }

 private:
  Dimensions filter() const { return {spec_.g.k, spec_.g.x.c, spec_.g.r, spec_.g.s}; }

  Attributes tensor(const char* name, ConvTensor id, const Dimensions& d, fe::DataType_t type) {
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_name(name)
                             .set_uid(static_cast<int64_t>(id))
                             .set_dim(d)
                             .set_stride(channels_last(d))
                             .set_data_type(type));
  }
  Attributes x() { return tensor("x", ConvTensor::kX, nchw(spec_.g.x), data_type(spec_.type)); }
  Attributes w() { return tensor("w", ConvTensor::kW, filter(), data_type(spec_.type)); }
  Attributes y() {
    const bool gradient = spec_.pass != ConvPass::kForward;
    return tensor(gradient ? "dy" : "y", ConvTensor::kY, nchw(spec_.g.y()), data_type(spec_.type));
  }

  template <typename ConvAttributes>
  ConvAttributes geometry(ConvAttributes a) const {
    const ConvGeometry& g = spec_.g;
    return a.set_padding({g.pad_h, g.pad_w})
        .set_stride({g.stride_h, g.stride_w})
        .set_dilation({1, 1});
  }

  void output(const Attributes& t, const char* name, ConvTensor id, const Dimensions& d) {
    t->set_name(name)
        .set_uid(static_cast<int64_t>(id))
        .set_output(true)
        .set_dim(d)
        .set_stride(channels_last(d))
        .set_data_type(data_type(spec_.type));
  }

  void forward() {
    Attributes y = graph_.conv_fprop(
        x(), w(), geometry(fe::graph::Conv_fprop_attributes().set_name("convolution")));
    const auto plus = [&](const Attributes& other, const char* name) {
      y = graph_.pointwise(
          y, other,
          fe::graph::Pointwise_attributes().set_name(name).set_mode(fe::PointwiseMode_t::ADD));
    };
    const Dimensions outputs = nchw(spec_.g.y());
    if (spec_.post.bias) {
      plus(tensor("b", ConvTensor::kBias, {1, spec_.g.k, 1, 1}, fe::DataType_t::FLOAT), "bias");
    }
    if (spec_.post.add) {
      plus(tensor("a", ConvTensor::kAdd, outputs, data_type(spec_.type)), "addition");
    }
    if (spec_.post.relu) {
      y = graph_.pointwise(y, fe::graph::Pointwise_attributes().set_name("relu").set_mode(
                                  fe::PointwiseMode_t::RELU_FWD));
    }
    output(y, "y", ConvTensor::kY, outputs);
  }

  Graph& graph_;
  const ConvSpec& spec_;
};

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
  bool described = false;
};

ConvGraph::ConvGraph(const Target& target, const ConvSpec& spec)
    : impl_(std::make_unique<Impl>()), spec_(spec) {
  validate(spec);
  load_cudnn();
  Graph& graph = impl_->graph;
  impl_->described = target.description() != nullptr;
  if (impl_->described) graph.set_device_properties(target.description()->properties);
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

void ConvGraph::plan() {
  Graph& graph = impl_->graph;
  check(graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), spec_);
  graph.deselect_numeric_notes(barred(spec_));
  fe::graph::Execution_plan_list& list = graph.list();
  const int64_t count = graph.get_execution_plan_count();
  std::string reason;  // why the last one did not suit
  for (int64_t i = 0; i < count; ++i) {
    if (const fe::error_t status = list.check_support_at_index(i); status.is_bad()) {
      reason = status.err_msg;
      continue;
    }
    const bool compiled =
        holds(list.behavior_notes[static_cast<size_t>(i)], fe::BehaviorNote_t::RUNTIME_COMPILATION);
    const bool build = !(compiled && impl_->described);
    if (build) {
      if (const fe::error_t status = graph.build_plan_at_index(i); status.is_bad()) {
        reason = status.err_msg;
        continue;
      }
      check(graph.get_workspace_size_plan_at_index(i, plan_.workspace_bytes), spec_);
    }
    check(graph.get_plan_name_at_index(i, plan_.engine), spec_);
    const auto& numerics = list.numeric_notes[static_cast<size_t>(i)];
    plan_.tensor_cores = holds(numerics, fe::NumericalNote_t::TENSOR_CORE) ||
                         holds(numerics, fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
    plan_.deterministic = !holds(numerics, fe::NumericalNote_t::NONDETERMINISTIC);
    plan_.runtime_compiled = compiled;
    plan_.built = build;
    return;
  }
  fail_check(
      "cuDNN", __FILE__, __LINE__,
      one_line(text::format("{}: none of {} engines suits: {}", to_string(spec_), count, reason)));
}

void ConvGraph::execute(cudnnContext* handle, std::span<const ConvBinding> bindings,
                        std::byte* workspace) const {
  VERACE_CHECK(plan_.built, to_string(spec_));
  std::unordered_map<int64_t, void*> pointers;
  for (const ConvBinding& b : bindings) pointers[static_cast<int64_t>(b.tensor)] = b.data;
  check(impl_->graph.execute(handle, pointers, workspace), spec_);
}

std::string version() {
  load_cudnn();
  return fe::detail::get_backend_version_string();
}

}  // namespace verace::kernels::cudnn
