// Convolution and its two gradients by cuDNN, behind the contract of kernels/conv2d.h.
#include "kernels/conv2d.h"

#include <cuda_runtime_api.h>

#include <array>
#include <memory>
#include <span>
#include <type_traits>

#include "kernels/activation.h"
#include "kernels/cast.h"
#include "kernels/check.h"
#include "kernels/check_cuda.h"
#include "kernels/cudnn/library.h"
#include "kernels/cudnn/plan.h"

namespace verace::kernels::cuda {
namespace {

using cudnn::ConvBinding;
using cudnn::ConvPass;
using cudnn::ConvSpec;
using cudnn::ConvTensor;

constexpr int64_t kWorkspaceAlignment = 256;  // as cudaMalloc gives; scratch promises 64

// A plan, its workspace, and what all three passes share.
template <typename T>
class Planned {
 public:
  Planned(const Exec& exec, ConvPass pass, const ConvGeometry& g, ConvPostOps post = {})
      : exec_(exec),
        filter_count_(g.filter_count()),
        plan_(cudnn::ConvPlans::of_process().get(exec, spec(exec, pass, g, post))) {}

  const Exec& exec() const { return exec_; }
  int64_t filter_count() const { return filter_count_; }
  const char* name() const { return plan_->name().c_str(); }

  // cuDNN reads weights as they are, [k, r, s, c]: packing changes their type at most.
  void pack(const float* w, T* packed) const {
    if constexpr (std::is_same_v<T, float>) {
      copy(packed, w, filter_count_);
    } else {
      cuda::cast<float, T>(exec_, {filter_count_, w, packed});
    }
  }

  // Room to align the workspace is part of it.
  int64_t workspace_bytes() const {
    const int64_t bytes = plan_->engine().workspace_bytes;
    return bytes == 0 ? 0 : bytes + kWorkspaceAlignment;
  }

  void execute(std::span<const ConvBinding> bindings, std::byte* scratch) const {
    const int64_t bytes = workspace_bytes();
    VERACE_CHECK(bytes == 0 || scratch != nullptr);
    const auto address = reinterpret_cast<uintptr_t>(scratch);
    const uintptr_t past = address % kWorkspaceAlignment;
    std::byte* workspace = past == 0 ? scratch : scratch + (kWorkspaceAlignment - past);
    plan_->execute(cudnn::handle(exec_.stream), bindings, bytes == 0 ? nullptr : workspace);
  }

 private:
  static ConvSpec spec(const Exec& exec, ConvPass pass, const ConvGeometry& g, ConvPostOps post) {
    constexpr StorageType type = storage_type<T>();
    return {pass, g, post, type, exec.tf32 && type == StorageType::kFloat};
  }

  void copy(float* to, const float* from, int64_t count) const {
    VERACE_CUDA(cudaMemcpyAsync(to, from, static_cast<size_t>(count) * sizeof(float),
                                cudaMemcpyDeviceToDevice, exec_.stream));
  }

  Exec exec_;
  int64_t filter_count_;
  std::shared_ptr<const cudnn::ConvPlan> plan_;
};

// cuDNN takes inputs and outputs alike as void*.
template <typename T>
ConvBinding bind(ConvTensor tensor, const T* data) {
  return {tensor, const_cast<T*>(data)};
}

template <typename T>
class Forward final : public ConvForwardOf<T> {
 public:
  Forward(const Exec& exec, const ConvGeometry& g, ConvPostOps post)
      : post_(post), planned_(exec, ConvPass::kForward, g, post) {}
  int64_t packed_count() const override { return planned_.filter_count(); }
  void pack(const float* w, T* packed) const override { planned_.pack(w, packed); }
  bool keeps_layout() const override { return true; }
  int64_t scratch_bytes() const override { return planned_.workspace_bytes(); }
  const char* implementation() const override { return planned_.name(); }

  void run(const ConvForwardArgsOf<T>& args) const override {
    VERACE_CHECK(args.x != nullptr && args.packed != nullptr && args.y != nullptr);
    VERACE_CHECK(args.x != args.y);
    VERACE_CHECK(!post_.bias || args.bias != nullptr);
    VERACE_CHECK(!post_.add || args.add != nullptr);
    std::array<ConvBinding, 5> bindings = {bind(ConvTensor::kX, args.x),
                                           bind(ConvTensor::kW, args.packed),
                                           bind(ConvTensor::kY, args.y)};
    size_t count = 3;
    if (post_.bias) bindings[count++] = bind(ConvTensor::kBias, args.bias);
    if (post_.add) bindings[count++] = bind(ConvTensor::kAdd, args.add);
    planned_.execute(std::span(bindings).first(count), args.scratch);
  }

 private:
  ConvPostOps post_;
  Planned<T> planned_;
};

template <typename T>
class BackwardData final : public ConvBackwardDataOf<T> {
 public:
  BackwardData(const Exec& exec, const ConvGeometry& g)
      : planned_(exec, ConvPass::kBackwardData, g) {}
  int64_t packed_count() const override { return planned_.filter_count(); }
  void pack(const float* w, T* packed) const override { planned_.pack(w, packed); }
  bool keeps_layout() const override { return true; }
  int64_t scratch_bytes() const override { return planned_.workspace_bytes(); }
  const char* implementation() const override { return planned_.name(); }

  void run(const ConvBackwardDataArgsOf<T>& args) const override {
    VERACE_CHECK(args.dy != nullptr && args.packed != nullptr && args.dx != nullptr);
    const std::array bindings = {bind(ConvTensor::kY, args.dy), bind(ConvTensor::kW, args.packed),
                                 bind(ConvTensor::kX, args.dx)};
    planned_.execute(bindings, args.scratch);
  }

 private:
  Planned<T> planned_;
};

template <typename T>
class BackwardFilter final : public ConvBackwardFilterOf<T> {
 public:
  BackwardFilter(const Exec& exec, const ConvGeometry& g)
      : planned_(exec, ConvPass::kBackwardFilter, g) {}
  // A gradient that is to be added to another is computed into the scratch first.
  int64_t scratch_bytes() const override { return sum_bytes() + planned_.workspace_bytes(); }
  const char* implementation() const override { return planned_.name(); }

  void run(const ConvBackwardFilterArgsOf<T>& args) const override {
    VERACE_CHECK(args.x != nullptr && args.dy != nullptr && args.dw != nullptr);
    VERACE_CHECK(args.mode != GradMode::kSkip && args.scratch != nullptr);
    const bool accumulate = args.mode == GradMode::kAccumulate;
    T* to = accumulate ? reinterpret_cast<T*>(args.scratch) : args.dw;
    const std::array bindings = {bind(ConvTensor::kX, args.x), bind(ConvTensor::kY, args.dy),
                                 bind(ConvTensor::kW, to)};
    planned_.execute(bindings, args.scratch + sum_bytes());
    if (accumulate) {
      cuda::add<T>(planned_.exec(), {planned_.filter_count(), args.dw, to, false, args.dw});
    }
  }

 private:
  int64_t sum_bytes() const {
    const int64_t bytes = planned_.filter_count() * static_cast<int64_t>(sizeof(T));
    return (bytes + 63) / 64 * 64;
  }
  Planned<T> planned_;
};

}  // namespace

template <typename T>
std::unique_ptr<ConvForwardOf<T>> plan_conv_forward(const Exec& exec, const ConvGeometry& g,
                                                    ConvPostOps post) {
  return std::make_unique<Forward<T>>(exec, g, post);
}
template <typename T>
std::unique_ptr<ConvBackwardDataOf<T>> plan_conv_backward_data(const Exec& exec,
                                                               const ConvGeometry& g) {
  return std::make_unique<BackwardData<T>>(exec, g);
}
template <typename T>
std::unique_ptr<ConvBackwardFilterOf<T>> plan_conv_backward_filter(const Exec& exec,
                                                                   const ConvGeometry& g) {
  return std::make_unique<BackwardFilter<T>>(exec, g);
}

std::string conv_plan_report() { return cudnn::ConvPlans::of_process().report(); }
std::string conv_plan_summary() { return cudnn::ConvPlans::of_process().summary(); }

VERACE_INSTANTIATE_CONVOLUTIONS(float)
VERACE_INSTANTIATE_CONVOLUTIONS(Half)
VERACE_INSTANTIATE_CONVOLUTIONS(BFloat16)

}  // namespace verace::kernels::cuda
