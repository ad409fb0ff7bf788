// Reads the symbol table out of the program's file.
#include "kernels/simt/emulator/symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <memory>
#include <set>
#include <string_view>

namespace verace::simt::emulator {
namespace {

template <class T>
const T* at(std::span<const char> bytes, size_t offset) {
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
  const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (file < 0) return;
  if (::fstat(file, &status) == 0 && status.st_size >= static_cast<off_t>(sizeof(Elf64_Ehdr))) {
    const auto bytes = static_cast<size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (mapped != MAP_FAILED) file_ = {static_cast<const char*>(mapped), bytes};
  }
  ::close(file);
}

Symbols::~Symbols() {
  if (!file_.empty()) ::munmap(const_cast<char*>(file_.data()), file_.size());
}

template <class Visit>
void Symbols::for_each(Visit visit) const {
  if (file_.empty()) return;
  const uintptr_t base = load_address();
  const auto* header = at<Elf64_Ehdr>(file_, 0);
  const std::span sections(at<Elf64_Shdr>(file_, header->e_shoff), header->e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB) continue;
    const char* const names = at<char>(file_, sections[section.sh_link].sh_offset);
    const std::span symbols(at<Elf64_Sym>(file_, section.sh_offset),
                            section.sh_size / sizeof(Elf64_Sym));
    for (const Elf64_Sym& symbol : symbols) {
      if (symbol.st_value == 0) continue;
      if (!visit(ELF64_ST_TYPE(symbol.st_info), names + symbol.st_name, base + symbol.st_value,
                 symbol.st_size)) {
        return;
      }
    }
  }
}

std::string Symbols::function(const void* address) const {
  const char* found = "";
  for_each([&](int type, const char* name, uintptr_t start, size_t) {
    const bool is_it = type == STT_FUNC && start == reinterpret_cast<uintptr_t>(address);
    if (is_it) found = name;
    return !is_it;
  });
  return found;
}

std::vector<StaticObject> Symbols::statics() const {
  std::vector<StaticObject> statics;
  for_each([&](int type, const char* name, uintptr_t start, size_t size) {
    if (type == STT_OBJECT && std::string_view(name).starts_with("_ZZ")) {
      statics.push_back({name, start, size});
    }
    return true;
  });
  return statics;
}

std::vector<StaticObject> Symbols::shared_arrays() const {
  const std::vector<StaticObject> all = statics();
  std::set<std::string, std::less<>> with_gap;
  for (const StaticObject& object : all) {
    if (!is_gap(object.name)) continue;
    std::string_view function;  // the last of them: a gap has no parts
    for_functions_of(object.name, [&](std::string_view part) { function = part; });
    with_gap.emplace(function);
  }
  std::vector<StaticObject> arrays;
  for (const StaticObject& object : all) {
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
