// Which kernels have run, under which schedule, in which build: for the test that none was left
// out.
#pragma once

#include <string>

namespace verace::simt::emulator {

// Notes that `kernel` runs. With VERACE_SIMT_LOG=FILE in the environment, each kernel is appended
// to FILE once per process and schedule: build kind, schedule, name; separated by tabs.
void log_kernel(const void* kernel);

// The name of the function at this address from the program's own symbol table, demangled;
// "0x..." when it has none.
std::string function_name(const void* address);

}  // namespace verace::simt::emulator
