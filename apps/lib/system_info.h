// What this program and this machine are: for reports of speed and of errors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/exec.h"

namespace verace::apps {

// One device that --device may name.
struct DeviceInfo {
  std::string name;  // "cpu", "reference", "cuda:0"; "cuda" where there is none
  bool usable = false;
  std::string detail;  // one phrase
};

struct SystemInfo {
  std::string version, build;             // build: type and architecture flags
  std::string compiler;                   // "GNU 12.2.0"
  std::vector<std::string> instructions;  // sets that our own loops were compiled for
  std::string openmp;                     // version date, or "off"
  std::vector<std::string> libraries;     // "oneDNN 2.6.3", as loaded
  std::vector<std::string> cuda;  // driver, runtime, cuDNN, cuBLASLt: version and path, or why not
  std::string video;      // FFmpeg's version and where our module lies, or why there are no videos
  bool checked = false;   // compiled with assertions
  std::string processor;  // model name as the system tells it
  int threads = 0;        // processors that this process may use
  int64_t memory_total = 0, memory_available = 0;  // bytes; 0: unknown
  std::vector<DeviceInfo> devices;
  double sgemm_gflops = 0;  // measured; 0: not asked for
};

// Without `devices`, `cuda` and `video`.
SystemInfo system_info();
// Adds `video`, for which FFmpeg's libraries are loaded: 50 milliseconds.
void find_video(SystemInfo& info);
// Adds `devices` and `cuda`. Where there are GPUs this takes a second: each is asked for its free
// memory, and the libraries are loaded.
void find_devices(SystemInfo& info);
// The words that this process was started with; empty where the system does not tell.
std::vector<std::string> process_command();
// The most memory that this process has held, in bytes.
int64_t process_peak_bytes();

// Rate of one fp32 matrix product of 2048^3, repeated for about `seconds`, in 10^9 operations per
// second; the best of the repetitions.
double measure_sgemm(const kernels::Exec& exec, double seconds);

std::string system_text(const SystemInfo& info);
std::string system_json(const SystemInfo& info);

}  // namespace verace::apps
