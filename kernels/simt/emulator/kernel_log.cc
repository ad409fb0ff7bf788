// Kernel names from the program's symbol table (they are mostly local symbols, which dladdr does
// not see), and the log.
#include "kernels/simt/emulator/kernel_log.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "kernels/format.h"
#include "kernels/simt/emulator/options.h"

namespace verace::simt::emulator {
namespace {

// The functions of this program, by their address in its file.
class Symbols {
 public:
  Symbols() {
    std::ifstream in("/proc/self/exe", std::ios::binary);
    const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
    if (bytes.size() < sizeof(Elf64_Ehdr)) return;
    const auto* header = at<Elf64_Ehdr>(bytes, 0);
    const std::span sections(at<Elf64_Shdr>(bytes, header->e_shoff), header->e_shnum);
    for (const Elf64_Shdr& section : sections) {
      if (section.sh_type != SHT_SYMTAB) continue;
      const char* names = at<char>(bytes, sections[section.sh_link].sh_offset);
      const std::span symbols(at<Elf64_Sym>(bytes, section.sh_offset),
                              section.sh_size / sizeof(Elf64_Sym));
      for (const Elf64_Sym& symbol : symbols) {
        if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value == 0) continue;
        names_.emplace(symbol.st_value, names + symbol.st_name);
      }
    }
  }

  // The mangled name, empty when unknown.
  std::string name(const void* address) const {
    const auto found = names_.find(reinterpret_cast<uintptr_t>(address) - load_address());
    return found == names_.end() ? "" : found->second;
  }

 private:
  template <class T>
  static const T* at(const std::vector<char>& bytes, size_t offset) {
    return reinterpret_cast<const T*>(bytes.data() + offset);
  }
  static uintptr_t load_address() {
    uintptr_t address = 0;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* result) {
          *static_cast<uintptr_t*>(result) = info->dlpi_addr;
          return 1;  // the first is the program itself
        },
        &address);
    return address;
  }

  std::map<uintptr_t, std::string> names_;
};

struct FreeText {
  void operator()(char* p) const { std::free(p); }  // NOLINT(raw-memory): the ABI says free()
};

}  // namespace

std::string function_name(const void* address) {
  static const Symbols symbols;
  const std::string mangled = symbols.name(address);
  if (mangled.empty()) return text::format("{}", address);
  const std::unique_ptr<char, FreeText> plain(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr));
  return plain ? plain.get() : mangled;
}

void log_kernel(const void* kernel) {
  static const char* const file = std::getenv("VERACE_SIMT_LOG");
  if (file == nullptr || *file == '\0') return;
  static std::set<std::pair<const void*, std::string>> seen;
  const char* const schedule = current_schedule().name;
  if (!seen.emplace(kernel, schedule).second) return;
  const std::string line =
      text::format("{}\t{}\t{}\n", build_kind(), schedule, function_name(kernel));
  // One write per line, so that tests in parallel do not mix theirs.
  if (std::FILE* out = std::fopen(file, "a")) {
    std::fwrite(line.data(), 1, line.size(), out);
    std::fclose(out);
  }
}

}  // namespace verace::simt::emulator
