// The blocks of a grid: order, OS threads, the first error.
#include "kernels/simt/emulator/grid.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels/simt/emulator/block.h"
#include "kernels/simt/emulator/checker.h"
#include "kernels/simt/emulator/kernel_log.h"
#include "kernels/simt/emulator/options.h"

namespace verace::simt::emulator {
namespace {

// The blocks in the order in which they start.
class BlockOrder {
 public:
  BlockOrder(uint64_t blocks, const Schedule& schedule) : blocks_(blocks), order_(schedule.order) {
    if (order_ < Order::kRandom) return;
    shuffled_.resize(blocks);
    std::iota(shuffled_.begin(), shuffled_.end(), uint64_t{0});
    std::mt19937_64 random(schedule.seed);
    std::shuffle(shuffled_.begin(), shuffled_.end(), random);
  }
  uint64_t operator[](uint64_t k) const {
    if (!shuffled_.empty()) return shuffled_[k];
    return order_ == Order::kReverse ? blocks_ - 1 - k : k;
  }

 private:
  uint64_t blocks_;
  Order order_;
  std::vector<uint64_t> shuffled_;
};

void run_block(const Launch& launch, uint64_t number) {
  const dim3 grid = launch.shape.grid;
  const dim3 index(static_cast<unsigned>(number % grid.x),
                   static_cast<unsigned>(number / grid.x % grid.y),
                   static_cast<unsigned>(number / grid.x / grid.y));
  Block::here().run(launch, index, number);
}

void collect_counters() {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  Counters& all = counters();
  Counters& mine = Block::here().counters();
  all.blocks += mine.blocks;
  all.threads += mine.threads;
  all.barriers += mine.barriers;
  all.warp_operations += mine.warp_operations;
  all.switches += mine.switches;
  mine = {};
}

void run_in_turn(const Launch& launch, uint64_t blocks, const BlockOrder& order) {
  const struct Collect {
    ~Collect() { collect_counters(); }
  } at_the_end;  // of a stopped kernel, too
  for (uint64_t k = 0; k < blocks; ++k) run_block(launch, order[k]);
}

#if !SIMT_ONE_OS_THREAD
void run_in_parallel(const Launch& launch, uint64_t blocks, const BlockOrder& order, int threads) {
  std::exception_ptr first_error;
  std::mutex mutex;
  std::atomic<bool> stop{false};
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(dynamic, 1)
    for (uint64_t k = 0; k < blocks; ++k) {
      if (stop) continue;
      try {
        run_block(launch, order[k]);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!first_error) first_error = std::current_exception();
        stop = true;
      }
    }
    collect_counters();
  }
  if (first_error) std::rethrow_exception(first_error);
}
#endif

}  // namespace

const char* shape_error(const Shape& shape, size_t allowed_dynamic_shared) {
  const dim3 grid = shape.grid, block = shape.block;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024) {
    return "invalid configuration argument: a block has at most 1024 threads, and z at most 64";
  }
  if (threads == 0 || grid.x == 0 || grid.y == 0 || grid.z == 0) {
    return "invalid configuration argument: a grid or block of no threads";
  }
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) {
    return "invalid configuration argument: a grid has at most 2^31-1 x 65535 x 65535 blocks";
  }
  if (shape.dynamic_shared_bytes > allowed_dynamic_shared) {
    return "invalid argument: more dynamic shared memory than the kernel was allowed "
           "(simt::allow_dynamic_shared)";
  }
  return "";
}

void run_grid(const Launch& launch) {
  const Shape& shape = launch.shape;
  const uint64_t blocks = uint64_t{shape.grid.x} * shape.grid.y * shape.grid.z;
  ++counters().launches;
  log_kernel(launch.body.kernel, size_t{shape.block.x} * shape.block.y * shape.block.z,
             shape.dynamic_shared_bytes);
  if constexpr (checker::compiled_in) {
    checker::begin_launch(launch.body.closure.get(), launch.body.closure_bytes);
  }
  const BlockOrder order(blocks, current_schedule());
#if SIMT_ONE_OS_THREAD
  run_in_turn(launch, blocks, order);
#else
  const int threads = options().os_threads > 0 ? options().os_threads : omp_get_max_threads();
  // A few small blocks are done sooner than a second thread wakes up.
  const bool small = blocks * shape.block.x * shape.block.y * shape.block.z < 4096;
  if (blocks == 1 || threads == 1 || small) {
    run_in_turn(launch, blocks, order);
  } else {
    run_in_parallel(launch, blocks, order, threads);
  }
#endif
}

}  // namespace verace::simt::emulator
