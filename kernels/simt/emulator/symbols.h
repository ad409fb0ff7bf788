// The program's own symbol table: names of its functions, and where its shared arrays lie. (They
// are mostly local symbols, which dladdr does not see.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace verace::simt::emulator {

// A static variable of a function, at its address in the process.
struct StaticObject {
  std::string name;  // mangled
  uintptr_t address;
  size_t size;
};

// The program's file stays mapped and is searched anew by each call: with all sanitizers it has two
// hundred megabytes, and the programs that want a few names would read them all at each start.
class Symbols {
 public:
  static const Symbols& get();
  ~Symbols();
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  // The mangled name of the function at this address, empty when unknown.
  std::string function(const void* address) const;

  // The arrays that a build with the access checker declares as __shared__: of a function's static
  // variables those that have a gap beside them (qualifiers.h).
  std::vector<StaticObject> shared_arrays() const;

 private:
  Symbols();
  // Calls visit(type, name, address, size) for each symbol, until it returns false.
  template <class Visit>
  void for_each(Visit visit) const;
  std::vector<StaticObject> statics() const;

  std::span<const char> file_;
};

// As people write it; the name itself when it is not mangled.
std::string demangle(const std::string& mangled);

}  // namespace verace::simt::emulator
