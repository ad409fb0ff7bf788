// Small kernels behind plain functions, for the tests of the emulator and of the runtime stand-in.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace verace::test {

// y[0] = the sum of x [n], by one block of 256 threads: shuffles, shared memory, barriers.
void block_sum(const float* x, float* y, int n, cudaStream_t stream = nullptr);

// order [blocks * threads]: order[i] = the how-manieth thread i was to run. tickets [1] starts at
// 0.
void run_order(unsigned* tickets, unsigned* order, unsigned blocks, unsigned threads);

// The same, but each thread takes its ticket after a shuffle.
void run_order_after_shuffle(unsigned* tickets, unsigned* order, unsigned threads);

// y = factor * x + shift; x, y [n], may be the same.
void scale(const float* x, float* y, int n, float factor, float shift, cudaStream_t stream);

// y[0] = the sum of x [256 blocks], by the last block to finish. parts [blocks] is scratch, ticket
// [1] starts at 0.
void last_block_sum(const float* x, float* parts, unsigned* ticket, float* y, unsigned blocks);

// Of `blocks` blocks of 256 threads the last stops with an error.
void stop_in_last_block(float* x, unsigned blocks);

// More than any device has.
void ask_for_too_much_dynamic_shared();

// A kernel that always stops with an error: barriers at different lines.
void stop(float* x, cudaStream_t stream = nullptr);

// Functions of the device API by 32 threads, with what they should give: results
// [32][kApiResults][2] = {got, want}; returns how many of the kApiResults there are.
inline constexpr size_t kApiResults = 96;
int device_api(float* results);

}  // namespace verace::test
