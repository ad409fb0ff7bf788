// Reads the symbol table out of the program's file.
#include "kernels/simt/emulator/symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <link.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <span>
#include <string_view>

namespace verace::simt::emulator {
namespace {

template <class T>
const T* at(const std::vector<char>& bytes, size_t offset) {
  return reinterpret_cast<const T*>(bytes.data() + offset);
}

uintptr_t load_address() {
  uintptr_t address = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        *static_cast<uintptr_t*>(result) = info->dlpi_addr;
        return 1;  // the first is the program itself
      },
      &address);
  return address;
}

// A static variable's mangled name is _ZZ, the function, E, the variable. Calls visit() with each
// beginning of `name` that could be the part up to the variable.
template <class Visit>
void for_functions_of(const std::string& name, Visit visit) {
  for (size_t i = 3; i + 1 < name.size(); ++i) {
    const bool number = std::isdigit(static_cast<unsigned char>(name[i + 1])) != 0;
    if (name[i] == 'E' && number) visit(std::string_view(name).substr(0, i + 1));
  }
}

bool is_gap(const std::string& name) { return name.find("simt_gap_") != std::string::npos; }

struct FreeText {
  void operator()(char* p) const { std::free(p); }  // NOLINT(raw-memory): the ABI says free()
};

}  // namespace

const Symbols& Symbols::get() {
  static const Symbols symbols;
  return symbols;
}

Symbols::Symbols() {
  std::ifstream in("/proc/self/exe", std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(in)), {});
  if (bytes.size() < sizeof(Elf64_Ehdr)) return;
  const uintptr_t base = load_address();
  const auto* header = at<Elf64_Ehdr>(bytes, 0);
  const std::span sections(at<Elf64_Shdr>(bytes, header->e_shoff), header->e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB) continue;
    const char* const names = at<char>(bytes, sections[section.sh_link].sh_offset);
    const std::span symbols(at<Elf64_Sym>(bytes, section.sh_offset),
                            section.sh_size / sizeof(Elf64_Sym));
    for (const Elf64_Sym& symbol : symbols) {
      if (symbol.st_value == 0) continue;
      const std::string name = names + symbol.st_name;
      const uintptr_t address = base + symbol.st_value;
      const auto type = ELF64_ST_TYPE(symbol.st_info);
      if (type == STT_FUNC) functions_.emplace(address, name);
      if (type == STT_OBJECT && name.rfind("_ZZ", 0) == 0) {
        statics_.push_back({name, address, symbol.st_size});
      }
    }
  }
}

std::string Symbols::function(const void* address) const {
  const auto found = functions_.find(reinterpret_cast<uintptr_t>(address));
  return found == functions_.end() ? "" : found->second;
}

std::vector<StaticObject> Symbols::shared_arrays() const {
  std::set<std::string, std::less<>> with_gap;
  for (const StaticObject& object : statics_) {
    if (!is_gap(object.name)) continue;
    std::string_view function;  // the last of them: a gap has no parts
    for_functions_of(object.name, [&](std::string_view part) { function = part; });
    with_gap.emplace(function);
  }
  std::vector<StaticObject> arrays;
  for (const StaticObject& object : statics_) {
    bool beside_gap = false;
    for_functions_of(object.name, [&](std::string_view part) {
      beside_gap = beside_gap || with_gap.find(part) != with_gap.end();
    });
    if (beside_gap && !is_gap(object.name)) arrays.push_back(object);
  }
  return arrays;
}

std::string demangle(const std::string& mangled) {
  const std::unique_ptr<char, FreeText> plain(
      abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr));
  return plain ? plain.get() : mangled;
}

}  // namespace verace::simt::emulator
