// How much memory this process can still have, and the refusal of batches that need more.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "apps/lib/session.h"

namespace verace::apps {

// Of 10^6 bytes.
inline double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

// Where the system tells about memory; tests put files of their own there.
struct MemorySources {
  std::filesystem::path proc = "/proc", cgroup = "/sys/fs/cgroup";
};

// Bytes that this process can have without swapping: the least of what the machine (MemAvailable),
// its control groups (containers) and its own limits (ulimit -v, -d) leave; 0: unknown. Throws
// Error(kInput) where such a limit leaves nothing.
int64_t available_memory(const MemorySources& sources = {});
// Bytes that buffers can still have of the current GPU: what is free, less some for kernels that
// load late, for graphs and for the libraries. Not 0.
int64_t room_on_gpu();

// To be called before any thread starts. Where address space is limited, threads share one heap:
// each would reserve 64 MB for its own.
void spare_address_space();

// What is asked of memory.
struct BatchDemand {
  int64_t flag = 0;      // --batch as given
  int64_t pictures = 0;  // of the largest batch that will occur, at most `flag`
  // Plans it; the bytes that it takes, empty where the system refuses even the address space.
  std::function<std::optional<int64_t>()> plan;
  // Gives back what plan() has taken, so that looking for a batch that fits needs no more.
  std::function<void()> release;
  // The bytes of other sizes, planned aside.
  std::function<std::optional<int64_t>(int64_t pictures)> bytes_for;
  std::string where = {};  // "on the GPU": the memory that is meant; empty: the host's
};

// Throws Error(kInput) if the batch does not fit into `limit` bytes (0: no limit): how many are
// needed, available and missing, and the largest --batch that would fit.
void require_memory(const BatchDemand& demand, int64_t limit);

// What to do where `needed` bytes are more than `limit`: "use --batch 7 (12.3 MB)", the largest
// that fits, or that none does; empty where too little is left to find out. After release().
std::string batch_advice(const BatchDemand& demand, int64_t needed, int64_t limit);

// The same for a session that will answer batches of at most `pictures`; plans it for them, and
// takes the memory of a device. `flag`: --batch as given; `available`: of the host.
void require_memory(InferenceSession& session, int64_t flag, int64_t pictures, int64_t available);
void require_memory(GradientSession& session, int64_t flag, int64_t pictures, int64_t available);

}  // namespace verace::apps
