// Asking the compiler's macros, the kernel's /proc files and CUDA.
#include "apps/lib/system_info.h"

#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/video/library.h"
#include "engine/cuda_facts.h"
#include "engine/device.h"
#include "kernels/build_info.h"
#include "kernels/dispatch.h"
#include "kernels/format.h"
#include "kernels/gemm.h"
#include "kernels/onednn/version.h"

namespace verace::apps {
namespace {

// The text behind "key :" of the first such line of a /proc file; empty if there is none.
std::string proc_value(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

int64_t memory_bytes(const std::string& key) {
  const std::string text = proc_value("/proc/meminfo", key);
  int64_t kib = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    kib = kib * 10 + (c - '0');
  }
  return kib * 1024;
}

std::string compiler_name() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GNU " __VERSION__;
#else
  return "unknown";
#endif
}

engine::CudaFacts cuda_facts() {
  if constexpr (kernels::have_cuda) return engine::cuda_facts(true);
  return {};
}

std::string gib(int64_t bytes) {
  return text::format("{:.1f} GiB", static_cast<double>(bytes) / (1024.0 * 1024 * 1024));
}

DeviceInfo cuda_device(const engine::CudaFacts& facts, size_t index) {
  const engine::CudaDeviceFacts& device = facts.devices[index];
  const std::string problem = engine::why_unusable(facts, static_cast<int>(index));
  const std::string kind =
      text::format("{}, compute capability {}.{}, {}, {} free", device.name, device.major,
                   device.minor, gib(device.memory_total), gib(device.memory_free));
  const std::string name = text::format("cuda:{}", index);
  if (!problem.empty()) return {name, false, text::format("{}; {}", kind, problem)};
  return {name, true, kind};
}

std::string library_text(const engine::CudaLibraryFacts& library) {
  return library.problem.empty()
             ? text::format("{} {} ({})", library.name, library.version, library.path)
             : library.problem;
}

std::vector<std::string> cuda_text(const engine::CudaFacts& facts) {
  const std::string runtime = engine::cuda_version_text(facts.runtime_version);
  if (!facts.compiled) return {};
  if (facts.emulated) return {text::format("runtime {}, emulated on the CPU", runtime)};
  const std::string driver =
      facts.driver_version == 0
          ? "no driver"
          : text::format("driver {}for CUDA {}", facts.driver.empty() ? "" : facts.driver + " ",
                         engine::cuda_version_text(facts.driver_version));
  return {"runtime " + runtime, driver, library_text(facts.cudnn), library_text(facts.cublaslt)};
}

}  // namespace

SystemInfo system_info() {
  SystemInfo info;
  info.version = VERACE_VERSION;
  info.build = VERACE_BUILD;
  info.compiler = compiler_name();
  info.instructions = kernels::compiled_instructions();
#if defined(_OPENMP)
  info.openmp = std::to_string(_OPENMP);
#else
  info.openmp = "off";
#endif
  info.libraries = {kernels::onednn_version(), "OpenMP " + info.openmp};
#ifndef NDEBUG
  info.checked = true;
#endif
  info.processor = proc_value("/proc/cpuinfo", "model name");
  if (info.processor.empty()) info.processor = "unknown";
  info.threads = omp_get_num_procs();
  info.memory_total = memory_bytes("MemTotal");
  info.memory_available = memory_bytes("MemAvailable");
  return info;
}

void find_video(SystemInfo& info) { info.video = data::video::library_text(); }

void find_devices(SystemInfo& info) {
  info.devices = {{"cpu", true, "oneDNN and OpenMP"},
                  {"reference", true, "plain loops, slow on purpose"}};
  const engine::CudaFacts facts = cuda_facts();
  info.cuda = cuda_text(facts);
  for (size_t i = 0; i < facts.devices.size(); ++i) info.devices.push_back(cuda_device(facts, i));
  if (facts.devices.empty()) {
    info.devices.push_back({"cuda", false, engine::why_unusable(facts, 0)});
  }
}

std::vector<std::string> process_command() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  return words;
}

int64_t process_peak_bytes() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return int64_t{usage.ru_maxrss} * 1024;
}

double measure_sgemm(const kernels::Exec& exec, double seconds) {
  constexpr int64_t kSize = 2048;
  constexpr double kOperations = 2.0 * kSize * kSize * kSize;
  const std::vector<float> a(kSize * kSize, 0.5f), b(kSize * kSize, 0.25f);
  std::vector<float> c(kSize * kSize);
  const auto plan = kernels::plan_gemm(exec, {.m = kSize, .n = kSize, .k = kSize});
  VERACE_CHECK(plan->scratch_bytes() == 0);  // of no host device
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  double best = 0;
  do {
    const Clock::time_point start = Clock::now();
    plan->run({.a = a.data(), .b = b.data(), .c = c.data()});
    best = std::max(best, kOperations / since(start) / 1e9);
  } while (since(begin) < seconds);
  return best;
}

std::string system_text(const SystemInfo& info) {
  std::string sets;
  for (const std::string& set : info.instructions) sets += (sets.empty() ? "" : " ") + set;
  std::string text = text::format("verace {}\n", info.version);
  text += text::format("build       {}{}\n", info.build, info.checked ? ", with assertions" : "");
  text += text::format("compiler    {}; instructions {}\n", info.compiler,
                       sets.empty() ? "baseline" : sets);
  text += text::format("libraries   {}\n", text::join(info.libraries, ", "));
  if (!info.video.empty()) text += text::format("video       {}\n", info.video);
  text += text::format("processor   {}, {} threads\n", info.processor, info.threads);
  text += text::format("memory      {}, {} available\n", gib(info.memory_total),
                       gib(info.memory_available));
  for (const std::string& line : info.cuda) text += text::format("cuda        {}\n", line);
  for (const DeviceInfo& device : info.devices) {
    text += text::format("device      {:<10} {}: {}\n", device.name,
                         device.usable ? "usable" : "not usable", device.detail);
  }
  if (info.sgemm_gflops > 0) {
    text +=
        text::format("sgemm       {:.1f} GFLOP/s (2048 x 2048 x 2048, fp32)\n", info.sgemm_gflops);
  }
  return text;
}

std::string system_json(const SystemInfo& info) {
  nlohmann::ordered_json json{{"version", info.version},
                              {"build", info.build},
                              {"compiler", info.compiler},
                              {"instructions", info.instructions},
                              {"openmp", info.openmp},
                              {"libraries", info.libraries},
                              {"cuda", info.cuda},
                              {"video", info.video},
                              {"assertions", info.checked},
                              {"processor", info.processor},
                              {"threads", info.threads},
                              {"memory_total", info.memory_total},
                              {"memory_available", info.memory_available}};
  for (const DeviceInfo& device : info.devices) {
    json["devices"].push_back(
        {{"name", device.name}, {"usable", device.usable}, {"detail", device.detail}});
  }
  if (info.sgemm_gflops > 0) json["sgemm_gflops"] = info.sgemm_gflops;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace verace::apps
