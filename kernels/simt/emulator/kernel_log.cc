// The log of kernels, a line for each.
#include "kernels/simt/emulator/kernel_log.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "kernels/format.h"
#include "kernels/simt/emulator/options.h"
#include "kernels/simt/emulator/symbols.h"

namespace verace::simt::emulator {
std::string function_name(const void* address) {
  const std::string mangled = Symbols::get().function(address);
  return mangled.empty() ? text::format("{}", address) : demangle(mangled);
}

void log_kernel(const void* kernel, size_t threads, size_t dynamic_shared_bytes) {
  static const char* const file = std::getenv("VERACE_SIMT_LOG");
  if (file == nullptr || *file == '\0') return;
  struct Most {
    size_t threads, dynamic_shared_bytes;
  };
  static std::map<std::pair<const void*, std::string>, Most> logged;
  const char* const schedule = current_schedule().name;
  Most& most = logged[{kernel, schedule}];
  if (threads <= most.threads && dynamic_shared_bytes <= most.dynamic_shared_bytes) return;
  most = {std::max(threads, most.threads),
          std::max(dynamic_shared_bytes, most.dynamic_shared_bytes)};
  const std::string line =
      text::format("{}\t{}\t{}\t{}\t{}\n", build_kind(), schedule, most.threads,
                   most.dynamic_shared_bytes, function_name(kernel));
  // One write per line, so that tests in parallel do not mix theirs.
  if (std::FILE* out = std::fopen(file, "a")) {
    std::fwrite(line.data(), 1, line.size(), out);
    std::fclose(out);
  }
}

}  // namespace verace::simt::emulator
