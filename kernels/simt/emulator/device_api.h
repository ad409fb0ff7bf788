// The device language on the CPU: everything that a kernel may call; NVIDIA's types, our functions.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <cmath>

#include "kernels/simt/emulator/atomics.h"
#include "kernels/simt/emulator/core.h"
#include "kernels/simt/emulator/half_intrinsics.h"
#include "kernels/simt/emulator/intrinsics.h"
#include "kernels/simt/emulator/qualifiers.h"
#include "kernels/simt/emulator/sync.h"

// Fibers never change their OS thread, so plain thread-local variables will do.
extern __thread uint3 threadIdx, blockIdx;
extern __thread dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;
