// Runs addr2line on this program.
#include "kernels/simt/emulator/source_line.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>

#include "kernels/format.h"

extern "C" char __executable_start;

namespace verace::simt::emulator {

uint32_t code_offset(const void* return_address) {
  const auto address = reinterpret_cast<uintptr_t>(return_address);
  return static_cast<uint32_t>(address - reinterpret_cast<uintptr_t>(&__executable_start));
}

std::string source_line(uint32_t offset) {
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  // The call before the return address.
  const std::string command = text::format("addr2line -s -e '{}' {:#x}", program, offset - 1);
  std::string line;
  struct Close {
    void operator()(std::FILE* f) const { pclose(f); }
  };
  const std::unique_ptr<std::FILE, Close> pipe(popen((command + " 2>/dev/null").c_str(), "r"));
  std::array<char, 512> buffer{};
  if (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) line = buffer.data();
  line = line.substr(0, line.find_first_of("\n ("));
  return line.empty() || line[0] == '?' ? "(" + command + ")" : line;
}

}  // namespace verace::simt::emulator
