// What there is of CUDA on this machine, and why a device cannot be used: driver, devices,
// libraries.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace verace::engine {

// A library that is loaded while the program runs.
struct CudaLibraryFacts {
  std::string name;     // "cuDNN"
  std::string version;  // "9.19.0"; empty: not loaded
  std::string path;
  std::string problem;  // why it cannot be loaded, one line; empty: it can be, or nobody has tried
};

struct CudaDeviceFacts {
  std::string name;          // "NVIDIA H200"
  int major = 0, minor = 0;  // compute capability
  int64_t memory_total = 0;  // bytes
  int64_t memory_free = 0;   // bytes; 0 where nobody has asked (it costs a context)
  std::string problem;       // CUDA's words where it does not answer, busy for example
};

struct CudaFacts {
  bool compiled = false;        // this build has CUDA
  bool emulated = false;        // on the CPU: needs neither driver nor libraries
  int oldest = 0;               // compute capability that the kernels were compiled for: 90 is 9.0
  int runtime_version = 0;      // of CUDA, as this program was made: 13000 is 13.0
  int driver_version = 0;       // of CUDA, the newest that the driver can; 0: unknown
  std::string driver;           // the driver's own version, "580.95.05"; empty: unknown
  std::string driver_problem;   // the loader's words where libcuda.so.1 does not load
  bool driver_too_old = false;  // CUDA's judgement
  std::string count_problem;    // CUDA's words where it cannot count the devices
  std::string visible;          // CUDA_VISIBLE_DEVICES, if `visible_set`
  bool visible_set = false;
  std::vector<CudaDeviceFacts> devices;  // by index
  CudaLibraryFacts cudnn, cublaslt;
};

// Asks. `thorough`: also for the free memory, and the libraries even where no device is (for
// `verace info`); else only as much as why_unusable() needs. Never throws for what is missing.
CudaFacts cuda_facts(bool thorough);

// Why cuda:INDEX cannot be used, in one line with what to do; empty: it can be. Looks at the facts
// in the order in which a person would mend them: build, driver, devices, libraries.
std::string why_unusable(const CudaFacts& facts, int index);

// "13.0" of 13000, as CUDA writes its versions.
std::string cuda_version_text(int version);

}  // namespace verace::engine
