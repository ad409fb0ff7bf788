// simt::launch(): the only place that launches a CUDA kernel; typed and checked, on a GPU and on
// the CPU.
//
// This is the one header that a .cu file needs for the device language. Under nvcc it brings CUDA's
// own headers, under g++ (a build with VERACE_EMULATED) the emulator's device API: the same source
// compiles for both.
//
//   simt::launch(kernel<float>, {grid, block, dynamic_shared_bytes, stream}, x, y, n, 2.0f);
//
// Refused by the compiler: a wrong number of arguments, an argument that does not convert or would
// be narrowed (size_t -> int, double -> float, an int literal for a float), a kernel that takes
// references or types that cannot be copied bytewise. A launch that fails throws verace::Error and
// names the caller's file and line.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/check.h"
#include "kernels/check_cuda.h"

#if defined(__CUDACC__)
#define SIMT_EMULATED 0
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
// A pointer `name` to the dynamic shared memory of the launch, 16-byte aligned; once per kernel.
#define SIMT_DYNAMIC_SHARED(T, name)                                    \
  extern __shared__ __align__(16) unsigned char simt_dynamic_shared_[]; \
  T* const name = reinterpret_cast<T*>(simt_dynamic_shared_)
#define SIMT_CALLER
#define SIMT_PLACE
#define SIMT_AND_PLACE
#else
#define SIMT_EMULATED 1
#include "kernels/simt/emulator/device_api.h"
#define SIMT_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(::verace::simt::emulator::dynamic_shared())
// A device function that synchronises takes its caller's place (SIMT_CALLER, after its last
// parameter) and hands it on: the emulator then tells its calls in two branches apart.
#define SIMT_CALLER , SIMT_HERE
#define SIMT_PLACE file, line
#define SIMT_AND_PLACE , file, line
#endif

namespace verace::simt {

// Where and how wide a kernel runs. Grid: x <= 2^31-1, y and z <= 65535; block: at most 1024
// threads, z <= 64. More than 48 KiB of dynamic shared memory wants allow_dynamic_shared() first.
struct LaunchConfig {
  dim3 grid;
  dim3 block;
  size_t dynamic_shared_bytes;
  cudaStream_t stream;
  const char* file;
  int line;

  // No default for the stream: nullptr is one that waits for others, and nobody should get it
  // unasked.
  LaunchConfig(dim3 grid_blocks, dim3 block_threads, size_t shared_bytes, cudaStream_t on,
               const char* from_file = __builtin_FILE(), int from_line = __builtin_LINE())
      : grid(grid_blocks),
        block(block_threads),
        dynamic_shared_bytes(shared_bytes),
        stream(on),
        file(from_file),
        line(from_line) {}
};

namespace detail {

template <class Parameter, class Argument, class = void>
struct converts_without_narrowing : std::false_type {};
template <class Parameter, class Argument>
struct converts_without_narrowing<Parameter, Argument,
                                  std::void_t<decltype(Parameter{std::declval<Argument>()})>>
    : std::true_type {};

// The compiler's message names this struct, so it shows which argument is wrong and both types.
template <int Index, class Parameter, class Argument>
struct kernel_argument {
  static_assert(!std::is_reference_v<Parameter> && std::is_trivially_copyable_v<Parameter>,
                "simt::launch: kernel parameters must be trivially copyable values");
  static_assert(converts_without_narrowing<Parameter, Argument>::value,
                "simt::launch: the argument does not convert to the kernel's parameter, or would "
                "be narrowed");
  static constexpr bool fits = true;
};

template <class Parameters, class Arguments, class Indices>
struct kernel_arguments;
template <class... P, class... A, size_t... I>
struct kernel_arguments<std::tuple<P...>, std::tuple<A...>, std::index_sequence<I...>> {
  static constexpr bool fit = (... && kernel_argument<static_cast<int>(I), P, A>::fits);
};

}  // namespace detail

// Starts `kernel` on config.stream; returns before it has run. Overwrites what the kernel writes.
template <class... P, class... A>
void launch(void (*kernel)(P...), const LaunchConfig& config, A&&... arguments) {
  if constexpr (sizeof...(P) != sizeof...(A)) {
    static_assert(sizeof...(P) == sizeof...(A), "simt::launch: wrong number of kernel arguments");
  } else if constexpr (detail::kernel_arguments<std::tuple<P...>, std::tuple<A&&...>,
                                                std::index_sequence_for<P...>>::fit) {
#if SIMT_EMULATED
    emulator::Launch prepared{
        {config.grid, config.block, config.dynamic_shared_bytes, config.file, config.line},
        emulator::make_body(kernel, std::tuple<P...>(static_cast<P>(arguments)...))};
    emulator::enqueue(config.stream, std::move(prepared));
#else
    cudaLaunchConfig_t cuda{};
    cuda.gridDim = config.grid;
    cuda.blockDim = config.block;
    cuda.dynamicSmemBytes = config.dynamic_shared_bytes;
    cuda.stream = config.stream;
    kernels::check_cuda(cudaLaunchKernelEx(&cuda, kernel, static_cast<P>(arguments)...),
                        "simt::launch", config.file, config.line);
#endif
  }
}

// Lets launches of `kernel` ask for up to `bytes` of dynamic shared memory (more than 48 KiB must
// be asked for; a device of compute capability 9.0 has 227 KiB).
template <class... P>
void allow_dynamic_shared(void (*kernel)(P...), size_t bytes, const char* file = __builtin_FILE(),
                          int line = __builtin_LINE()) {
  const cudaError_t status =
      cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                           cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  kernels::check_cuda(status, "simt::allow_dynamic_shared", file, line);
}

}  // namespace verace::simt
