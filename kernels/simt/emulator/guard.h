// Guards round buffers: a kernel that touches them is stopped, whether it reads or writes.
#pragma once

#include <cstddef>

namespace verace::simt::emulator {

// Until allow(), a kernel's access to a byte of [p, p + bytes) is an error of the access checker,
// and anybody's is one of AddressSanitizer. In the fast build these do nothing.
void forbid(const void* p, size_t bytes);
void allow(const void* p, size_t bytes);

}  // namespace verace::simt::emulator
