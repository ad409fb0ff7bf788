// From an address in the program to "file.cu:12", through addr2line.
#pragma once

#include <cstdint>
#include <string>

namespace verace::simt::emulator {

// Addresses of code are kept as 32-bit distances from the start of the program.
uint32_t code_offset(const void* return_address);

// "kernels.cu:12"; needs debug information (-g1) and addr2line; without them the command to find
// out. Slow: called once, on the way to a failed test.
std::string source_line(uint32_t code_offset);

}  // namespace verace::simt::emulator
