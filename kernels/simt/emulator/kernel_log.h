// Which kernels have run, under which schedule, in which build: for the test that none was left
// out.
#pragma once

#include <cstddef>
#include <string>

namespace verace::simt::emulator {

// Notes that `kernel` runs. With VERACE_SIMT_LOG=FILE in the environment, each kernel is appended
// to FILE for every process and schedule, and again when it runs with larger blocks or more dynamic
// shared memory than before: build kind, schedule, most threads of a block, most bytes of dynamic
// shared memory, name; separated by tabs.
void log_kernel(const void* kernel, size_t threads, size_t dynamic_shared_bytes);

// The name of the function at this address from the program's own symbol table, demangled;
// "0x..." when it has none.
std::string function_name(const void* address);

}  // namespace verace::simt::emulator
