// Choosing a device by name, and opening it.
#include "engine/device.h"

#include <charconv>
#include <string_view>

#include "engine/cuda_facts.h"
#include "engine/device_cuda.h"
#include "engine/stream.h"
#include "kernels/cache_folder.h"
#include "kernels/check.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"

namespace verace::engine {
namespace {

using kernels::DeviceKind;

constexpr std::string_view kCudaPrefix = "cuda:";

CudaFacts facts_of_build() {
  if constexpr (kernels::have_cuda) return cuda_facts(false);
  return {};
}

}  // namespace

std::string to_string(const DeviceChoice& choice) {
  if (choice.kind == DeviceKind::kCuda) return text::format("cuda:{}", choice.index);
  return kernels::to_string(choice.kind);
}

std::optional<DeviceChoice> parse_device(const std::string& text, const std::string& where) {
  if (text == "auto") return std::nullopt;
  if (text == "cpu") return DeviceChoice{DeviceKind::kCpu, 0};
  if (text == "reference") return DeviceChoice{DeviceKind::kReference, 0};
  if (text == "cuda") return DeviceChoice{DeviceKind::kCuda, 0};
  if (text.starts_with(kCudaPrefix)) {
    const char* begin = text.data() + kCudaPrefix.size();
    const char* end = text.data() + text.size();
    int index = -1;
    const auto [rest, error] = std::from_chars(begin, end, index);
    if (error == std::errc() && rest == end && index >= 0) {
      return DeviceChoice{DeviceKind::kCuda, index};
    }
    fail_input(
        text::format("{}: '{}' names no device: give its number, for example cuda:1", where, text));
  }
  fail_input(
      text::format("{}: '{}' is not known: use auto, cpu, reference, cuda or cuda:N", where, text));
}

AutomaticDevice automatic_device() {
  if constexpr (!kernels::have_cuda) return {{}, "this build has no CUDA"};
  if (kernels::cuda_is_emulated) return {{}, "this build emulates CUDA on the CPU"};
  const CudaFacts facts = facts_of_build();
  const std::string problem = why_unusable(facts, 0);
  if (!problem.empty()) return {{}, problem};
  const DeviceChoice first{DeviceKind::kCuda, 0};
  try {  // another process may hold it for itself, or all of its memory
    const Device opened(first, 1);
  } catch (const Error& error) {
    return {{}, error.what()};
  }
  return {first, facts.devices[0].name};
}

std::string to_string(Launch launch) {
  switch (launch) {
    case Launch::kGraph:
      return "graph";
    case Launch::kEager:
      return "eager";
    case Launch::kChecked:
      break;
  }
  return "checked";
}

Launch parse_launch(const std::string& text, const std::string& where) {
  for (const Launch launch : {Launch::kGraph, Launch::kEager, Launch::kChecked}) {
    if (text == to_string(launch)) return launch;
  }
  fail_input(text::format("{}: '{}' is not known: use graph, eager or checked", where, text));
}

std::string to_string(Plans plans) {
  switch (plans) {
    case Plans::kHeuristic:
      return "heuristic";
    case Plans::kTuned:
      return "tuned";
    case Plans::kNondeterministic:
      break;
  }
  return "nondeterministic";
}

Plans parse_plans(const std::string& text, const std::string& where) {
  for (const Plans plans : {Plans::kHeuristic, Plans::kTuned, Plans::kNondeterministic}) {
    if (text == to_string(plans)) return plans;
  }
  fail_input(
      text::format("{}: '{}' is not known: use heuristic, tuned or nondeterministic", where, text));
}

namespace {

kernels::ConvPlanning planning(Plans plans) {
  kernels::ConvPlanning how;
  if (plans != Plans::kHeuristic) how.mode = kernels::ConvPlanning::Mode::kTuned;
  how.deterministic = plans != Plans::kNondeterministic;
  // The emulated device's plans are made in no time, and are worth nothing to a GPU.
  if (!kernels::cuda_is_emulated) how.cache_folder = kernels::cache_folder();
  return how;
}

}  // namespace

void check_usable(const DeviceChoice& choice, const std::string& where) {
  if (choice.kind != DeviceKind::kCuda) return;
  const std::string problem = why_unusable(facts_of_build(), choice.index);
  if (!problem.empty()) fail_input(text::format("{} {}: {}", where, to_string(choice), problem));
}

Device::Device(const DeviceChoice& choice, int threads, const std::string& where, Launch launch,
               Plans plans)
    : choice_(choice) {
  check_usable(choice, where);
  exec_ = kernels::make_exec(choice.kind, threads);
  name_ = to_string(choice);
  exec_.graphs = launch == Launch::kGraph;
  exec_.checked = launch == Launch::kChecked;
  if constexpr (kernels::have_cuda) {
    if (choice.kind != DeviceKind::kCuda) return;
    exec_.convolutions = planning(plans);
    try {
      use_cuda_device(choice.index);
      stream_ = std::make_shared<Stream>();
      name_ += text::format(" ({})", cuda_device_name(choice.index));
    } catch (const Error& error) {  // of the machine, not of the program
      fail_input(text::format("{} {}: {}", where, to_string(choice), error.what()));
    }
    exec_.stream = stream_->get();
  }
}

std::string Device::description(Precision precision) const {
  if (choice_.kind != DeviceKind::kCuda) {
    return text::format("{}, {} threads, {}", name_, exec_.threads, to_string(precision));
  }
  const CudaFacts facts = facts_of_build();
  const std::string libraries =
      facts.emulated ? "convolutions and matrix products emulated, too"
                     : text::format("{} {}, {} {}", facts.cudnn.name, facts.cudnn.version,
                                    facts.cublaslt.name, facts.cublaslt.version);
  return text::format("{}, {}, {}, {}, {} host threads", name_, to_string(precision),
                      exec_.checked  ? "operation by operation, each waited for"
                      : exec_.graphs ? "steps as CUDA graphs"
                                     : "operation by operation",
                      libraries, exec_.threads);
}

Device::Memory Device::memory() const {
  if constexpr (kernels::have_cuda) {
    if (choice_.kind == DeviceKind::kCuda) {
      make_current();
      const CudaMemory memory = cuda_memory();
      return {memory.free, memory.total};
    }
  }
  return {};
}

void Device::make_current() const {
  if constexpr (kernels::have_cuda) {
    if (choice_.kind == DeviceKind::kCuda) use_cuda_device(choice_.index);
  }
}

void Device::synchronize() const {
  if constexpr (kernels::have_cuda) {
    if (stream_) stream_->synchronize();
  }
}

}  // namespace verace::engine
