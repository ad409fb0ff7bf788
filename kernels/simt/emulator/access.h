// One load or store of a kernel, as the compiler reports it to the access checker.
#pragma once

#include <cstdint>

namespace verace::simt::emulator::checker {

struct Access {
  uintptr_t address;
  unsigned bytes;
  bool write;
  bool aligned;   // the compiler knows it to be, if the program is right
  uint32_t code;  // code_offset() of where it is
};

// Returns when the access is fine; stops the kernel when it is not.
void check_access(const Access& access);

}  // namespace verace::simt::emulator::checker
