// The emulated device's cuDNN: graphs of kernels/cudnn, run by the reference device's convolutions
// in the order of a stream. The code that fills and calls graphs is the one that a GPU runs.
#include "kernels/cudnn/conv_graph.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/library.h"
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/emulator/runtime.h"

struct cudnnContext {
  CUstream_st* stream = nullptr;
};

namespace verace::kernels::cudnn {
namespace {

// Odd on purpose: what stands behind the workspace must not be touched.
constexpr int64_t kWorkspaceBytes = 1003;

void enqueue(CUstream_st* stream, std::function<void()> work) {
  auto& runtime = simt::emulator::Runtime::get();
  const std::lock_guard<std::recursive_mutex> lock(runtime.mutex);
  VERACE_CHECK(runtime.valid(stream), "the stream does not exist");
  const cudaError_t status = runtime.put(runtime.stream(stream), std::move(work));
  if (status == cudaSuccess) return;
  runtime.last_error = cudaSuccess;
  const std::string reason = std::exchange(runtime.kernel_failure, {});
  throw Error(ErrorKind::kInternal, reason.empty() ? cudaGetErrorString(status) : reason);
}

// One run of a graph, its tensors in the storage type T.
template <typename T>
class Run {
 public:
  Run(const ConvSpec& spec, std::span<const ConvBinding> bindings) : s_(spec) {
    for (const ConvBinding& b : bindings) data_[b.tensor] = b.data;
  }

  void operator()() const {
    const ConvGeometry& g = s_.g;
    const Exec host{DeviceKind::kReference, 1};
    if (s_.pass == ConvPass::kForward) {
      const auto x = load(ConvTensor::kX, g.x.count()), w = load(ConvTensor::kW, g.filter_count());
      const auto bias = s_.post.bias ? load<float>(ConvTensor::kBias, g.k) : Floats();
      const auto add = s_.post.add ? load(ConvTensor::kAdd, g.y().count()) : Floats();
      Floats y(static_cast<size_t>(g.y().count()));
      reference::plan_conv_forward(host, g, s_.post)
          ->run({x.data(), w.data(), bias.data(), add.data(), y.data(), nullptr});
      return store(ConvTensor::kY, y);
    }
    const auto dy = load(ConvTensor::kY, g.y().count());
    if (s_.pass == ConvPass::kBackwardData) {
      const auto w = load(ConvTensor::kW, g.filter_count());
      Floats dx(static_cast<size_t>(g.x.count()));
      reference::plan_conv_backward_data(host, g)->run({dy.data(), w.data(), dx.data(), nullptr});
      return store(ConvTensor::kX, dx);
    }
    const auto x = load(ConvTensor::kX, g.x.count());
    Floats dw(static_cast<size_t>(g.filter_count()));
    reference::plan_conv_backward_filter(host, g)->run(
        {x.data(), dy.data(), dw.data(), GradMode::kOverwrite, nullptr});
    store(ConvTensor::kW, dw);
  }

 private:
  using Floats = std::vector<float>;

  void* address(ConvTensor tensor) const {
    const auto found = data_.find(tensor);
    VERACE_CHECK(found != data_.end() && found->second != nullptr, to_string(s_));
    return found->second;
  }

  // What lies in device memory, as floats. Throws where nothing has written it.
  template <typename Stored = T>
  Floats load(ConvTensor tensor, int64_t count) const {
    const auto* p = static_cast<const Stored*>(address(tensor));
    VERACE_CHECK(simt::emulator::unwritten(p, static_cast<size_t>(count) * sizeof(Stored)) == 0,
                 "reads what nothing has written: " + to_string(s_));
    Floats values(static_cast<size_t>(count));
    std::transform(p, p + count, values.begin(), [](Stored v) { return to_float(v); });
    return values;
  }

  void store(ConvTensor tensor, const Floats& values) const {
    auto* p = static_cast<T*>(address(tensor));
    std::ranges::transform(values, p, [](float v) { return from_float<T>(v); });
    simt::emulator::remember(p, values.size() * sizeof(T));
  }

  ConvSpec s_;
  std::map<ConvTensor, void*> data_;
};

std::function<void()> run_of(const ConvSpec& spec, std::span<const ConvBinding> bindings) {
  if (spec.type == StorageType::kHalf) return Run<Half>(spec, bindings);
  if (spec.type == StorageType::kBFloat16) return Run<BFloat16>(spec, bindings);
  return Run<float>(spec, bindings);
}

}  // namespace

struct Target::Description {};

Target Target::of(cudnnContext* handle) {
  VERACE_CHECK(handle != nullptr);
  Target target;
  target.handle_ = handle;
  return target;
}

struct ConvGraph::Impl {};

ConvGraph::ConvGraph(const Target&, const ConvSpec& spec) : spec_(spec) { validate(spec); }
ConvGraph::~ConvGraph() = default;
ConvGraph::ConvGraph(ConvGraph&&) noexcept = default;
ConvGraph& ConvGraph::operator=(ConvGraph&&) noexcept = default;

void ConvGraph::plan() {
  plan_.engine = "emulated by the reference device";
  plan_.workspace_bytes = kWorkspaceBytes;
  plan_.built = true;
}

void ConvGraph::execute(cudnnContext* handle, std::span<const ConvBinding> bindings,
                        std::byte* workspace) const {
  VERACE_CHECK(plan_.built && workspace != nullptr, to_string(spec_));
  VERACE_CHECK(reinterpret_cast<uintptr_t>(workspace) % 256 == 0, to_string(spec_));
  enqueue(handle->stream, [run = run_of(spec_, bindings), workspace] {
    run();
    std::fill_n(workspace, kWorkspaceBytes, std::byte{0xFF});
  });
}

cudnnContext* handle(CUstream_st* stream) {
  thread_local cudnnContext mine;
  mine.stream = stream;
  return &mine;
}

}  // namespace verace::kernels::cudnn
