// The messages about what is missing of CUDA.
#include "engine/cuda_facts.h"

#include "kernels/format.h"

namespace verace::engine {
namespace {

// NVIDIA's drivers that a release of CUDA wants at least (CUDA toolkit release notes, table
// "minimum required driver version for CUDA minor version compatibility").
std::string driver_to_install(int runtime_version) {
  switch (runtime_version / 1000) {
    case 12:
      return "install NVIDIA's driver 525 or later";
    case 13:
      return "install NVIDIA's driver 580 or later";
    default:
      return text::format("install NVIDIA's driver for CUDA {}",
                          cuda_version_text(runtime_version));
  }
}

std::string driver_problem(const CudaFacts& facts) {
  const std::string wanted = driver_to_install(facts.runtime_version);
  if (!facts.driver_problem.empty()) {
    return text::format("NVIDIA's driver is missing ({}): {}", facts.driver_problem, wanted);
  }
  if (!facts.driver_too_old) return "";
  const std::string newest =
      facts.driver_version > 0
          ? text::format("has CUDA {}", cuda_version_text(facts.driver_version))
          : "is too old";
  return text::format("NVIDIA's driver {}, this program needs {}: {}", newest,
                      cuda_version_text(facts.runtime_version), wanted);
}

std::string count_problem(const CudaFacts& facts) {
  if (!facts.count_problem.empty()) {
    return text::format("CUDA cannot count its devices: {}: see what nvidia-smi says",
                        facts.count_problem);
  }
  if (!facts.devices.empty()) return "";
  return facts.visible_set
             ? text::format(
                   "no CUDA device is visible: CUDA_VISIBLE_DEVICES is '{}': name one there, or "
                   "unset it",
                   facts.visible)
             : "there is no CUDA device: see what nvidia-smi -L says";
}

std::string index_problem(const CudaFacts& facts, int index) {
  const size_t count = facts.devices.size();
  if (static_cast<size_t>(index) < count) return "";
  const std::string visible =
      facts.visible_set ? text::format(" (CUDA_VISIBLE_DEVICES is '{}')", facts.visible) : "";
  return count == 1 ? text::format("there is one CUDA device{}: use cuda:0", visible)
                    : text::format("there are {} CUDA devices{}: use cuda:0 to cuda:{}", count,
                                   visible, count - 1);
}

std::string device_problem(const CudaFacts& facts, int index) {
  const CudaDeviceFacts& device = facts.devices[static_cast<size_t>(index)];
  if (!device.problem.empty()) return device.problem;
  if (device.major * 10 + device.minor >= facts.oldest) return "";
  return text::format(
      "{} has compute capability {}.{}, this program was built for {}.{} and later: use a newer "
      "device",
      device.name, device.major, device.minor, facts.oldest / 10, facts.oldest % 10);
}

}  // namespace

std::string cuda_version_text(int version) {
  return text::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string why_unusable(const CudaFacts& facts, int index) {
  if (!facts.compiled) {
    return "this build has no CUDA: install nvcc and cuDNN and build with `./run build cuda "
           "--target verace`";
  }
  if (const std::string problem = driver_problem(facts); !problem.empty()) return problem;
  if (const std::string problem = count_problem(facts); !problem.empty()) return problem;
  if (const std::string problem = index_problem(facts, index); !problem.empty()) return problem;
  if (const std::string problem = device_problem(facts, index); !problem.empty()) return problem;
  if (!facts.cudnn.problem.empty()) return facts.cudnn.problem;
  return facts.cublaslt.problem;
}

}  // namespace verace::engine
