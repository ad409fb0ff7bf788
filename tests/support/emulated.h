// What tests ask of the emulator; where the kernels are not emulated, nothing happens. Functions
// of one file, so that all other test code is the same in every build with CUDA operations and the
// compiler's cache has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

namespace verace::test {

// Calls body(name) under each of the emulator's five schedules, or under the one that
// VERACE_SIMT_SCHEDULE names; once, with "device", where nothing is emulated.
void for_each_emulated_schedule(const std::function<void(const char* name)>& body);

// How many kernels this process has launched; nothing where they are not emulated.
std::optional<uint64_t> kernels_launched();

// Whether each access of a kernel is checked, which takes about ten times as long.
bool accesses_are_checked();

// kernels/simt/emulator/guard.h
void forget_bytes(const void* p, size_t bytes);
void remember_bytes(const void* p, size_t bytes);
size_t unwritten_bytes(const void* p, size_t bytes);

}  // namespace verace::test
