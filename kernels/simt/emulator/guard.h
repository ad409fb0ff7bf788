// What tests tell the checkers about memory: guards round buffers, and bytes without contents.
#pragma once

#include <cstddef>

namespace verace::simt::emulator {

// Until allow(), a kernel's access to a byte of [p, p + bytes) is an error of the access checker,
// and anybody's is one of AddressSanitizer. In the fast build these do nothing.
void forbid(const void* p, size_t bytes);
void allow(const void* p, size_t bytes);

// Of device and managed memory, for the access checker alone. forget(): nothing has written these
// bytes, so that a kernel which reads one is stopped; remember(): the host has written them, which
// the checker does not see; unwritten(): how many of them nothing has written.
void forget(const void* p, size_t bytes);
void remember(const void* p, size_t bytes);
size_t unwritten(const void* p, size_t bytes);

}  // namespace verace::simt::emulator
