// The emulated device's cuDNN: graphs of kernels/cudnn, run by the reference device's convolutions
// in the order of a stream. The code that fills and calls graphs is the one that a GPU runs.
#include "kernels/cudnn/conv_graph.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/cudnn/library.h"
#include "kernels/simt/emulator/fake_cudnn.h"
#include "kernels/simt/emulator/guard.h"
#include "kernels/simt/emulator/library_call.h"
#include "kernels/simt/emulator/runtime.h"

struct cudnnContext {
  CUstream_st* stream = nullptr;
};

namespace verace::kernels::cudnn {
namespace {

using simt::emulator::fake_cudnn;
using simt::emulator::FakeEngine;

std::mutex& counting() {
  static std::mutex mutex;
  return mutex;
}

int count(int simt::emulator::FakeCudnn::*counter) {
  const std::lock_guard lock(counting());
  return ++(fake_cudnn().*counter);
}

// One run of a graph, its tensors in the storage type T.
template <typename T>
class Run {
 public:
  Run(const ConvSpec& spec, const FakeEngine& engine, std::span<const ConvBinding> bindings)
      : s_(spec), engine_(engine) {
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
    const size_t written = values.size() - (engine_.writes_all ? 0 : 1);
    std::transform(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(written), p,
                   [](float v) { return from_float<T>(v); });
    if (count(&simt::emulator::FakeCudnn::runs) % 2 == 0 && !engine_.engine.deterministic) {
      p[0] = from_float<T>(values[0] * (1.0f + 0x1p-6f) + 0x1p-6f);
    }
    simt::emulator::remember(p, written * sizeof(T));
    simt::emulator::pass_time(engine_.milliseconds);
  }

  ConvSpec s_;
  FakeEngine engine_;
  std::map<ConvTensor, void*> data_;
};

std::function<void()> run_of(const ConvSpec& spec, const FakeEngine& engine,
                             std::span<const ConvBinding> bindings) {
  if (spec.type == StorageType::kHalf) return Run<Half>(spec, engine, bindings);
  if (spec.type == StorageType::kBFloat16) return Run<BFloat16>(spec, engine, bindings);
  return Run<float>(spec, engine, bindings);
}

// What a compiled engine's plan is saved as.
std::string serialised(const FakeEngine& engine, const ConvSpec& spec) {
  return fake_cudnn().serialised_by + ": " + engine.engine.name + " for " + to_string(spec);
}

}  // namespace

struct Target::Description {};

Target Target::of(cudnnContext* handle) {
  VERACE_CHECK(handle != nullptr);
  Target target;
  target.handle_ = handle;
  return target;
}

struct ConvGraph::Impl {
  std::vector<FakeEngine> engines;
  std::vector<bool> built;

  void add(const FakeEngine& engine, bool is_built) {
    engines.push_back(engine);
    built.push_back(is_built);
  }
};

ConvGraph::ConvGraph(const Target&, const ConvSpec& spec)
    : impl_(std::make_unique<Impl>()), spec_(spec) {
  validate(spec);
}
ConvGraph::~ConvGraph() = default;
ConvGraph::ConvGraph(ConvGraph&&) noexcept = default;
ConvGraph& ConvGraph::operator=(ConvGraph&&) noexcept = default;

std::string ConvGraph::json() const { return "\"" + to_string(spec_) + "\""; }

void ConvGraph::propose() {
  VERACE_CHECK(engines_.empty(), to_string(spec_));
  count(&simt::emulator::FakeCudnn::proposals);
  std::this_thread::sleep_for(std::chrono::milliseconds(fake_cudnn().proposal_takes));
  for (const FakeEngine& engine : fake_cudnn().engines) impl_->add(engine, false);
  describe_engines();
}

void ConvGraph::describe_engines() {
  for (const FakeEngine& e : impl_->engines) {
    engines_.push_back(e.engine);
    engines_.back().workspace_bytes = -1;
  }
}

void ConvGraph::ask_workspace(size_t engine) {
  const FakeEngine& e = impl_->engines.at(engine);
  if (e.tells_workspace) engines_[engine].workspace_bytes = e.engine.workspace_bytes;
}

std::string ConvGraph::remake(const SavedPlan& saved) {
  VERACE_CHECK(engines_.empty(), to_string(spec_));
  const auto& known = fake_cudnn().engines;
  const auto found = std::ranges::find_if(
      known, [&](const FakeEngine& e) { return e.engine.name == saved.engine; });
  if (found == known.end()) return "there is no engine of this name";
  if (!saved.serialised.empty() && saved.serialised != serialised(*found, spec_)) {
    return "it cannot be loaded";
  }
  impl_->add(*found, !saved.serialised.empty());
  describe_engines();
  engines_[0].workspace_bytes = found->engine.workspace_bytes;
  if (saved.serialised.empty()) return build(0);
  count(&simt::emulator::FakeCudnn::loaded);
  return "";
}

std::string ConvGraph::build(size_t engine) {
  if (!impl_->engines.at(engine).builds) return "it cannot be built";
  impl_->built[engine] = true;
  engines_[engine].workspace_bytes = impl_->engines[engine].engine.workspace_bytes;
  count(&simt::emulator::FakeCudnn::built);
  return "";
}

bool ConvGraph::is_built(size_t engine) const { return impl_->built.at(engine); }

void ConvGraph::keep_only(size_t engine) {
  for (size_t i = 0; i < impl_->built.size(); ++i) {
    if (i != engine) impl_->built[i] = false;
  }
}

SavedPlan ConvGraph::save(size_t engine) const {
  VERACE_CHECK(is_built(engine), to_string(spec_));
  const FakeEngine& e = impl_->engines[engine];
  return {e.engine.name, e.engine.runtime_compiled ? serialised(e, spec_) : ""};
}

void ConvGraph::execute(size_t engine, cudnnContext* handle, std::span<const ConvBinding> bindings,
                        std::byte* workspace) const {
  VERACE_CHECK(is_built(engine), to_string(spec_));
  const int64_t bytes = impl_->engines[engine].engine.workspace_bytes;
  VERACE_CHECK((workspace != nullptr) == (bytes != 0), to_string(spec_));
  VERACE_CHECK(reinterpret_cast<uintptr_t>(workspace) % 256 == 0, to_string(spec_));
  simt::emulator::enqueue_library_call(
      handle->stream, [run = run_of(spec_, impl_->engines[engine], bindings), workspace, bytes] {
        run();
        std::fill_n(workspace, bytes, std::byte{0xFF});
      });
}

std::string version() { return fake_cudnn().version; }
std::string frontend_version() { return "emulated"; }

cudnnContext* handle(CUstream_st* stream) {
  thread_local cudnnContext mine;
  mine.stream = stream;
  return &mine;
}

}  // namespace verace::kernels::cudnn
