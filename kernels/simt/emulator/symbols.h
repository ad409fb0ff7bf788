// The program's own symbol table: names of its functions, and where its shared arrays lie. (They
// are mostly local symbols, which dladdr does not see.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace verace::simt::emulator {

// A static variable of a function, at its address in the process.
struct StaticObject {
  std::string name;  // mangled
  uintptr_t address;
  size_t size;
};

class Symbols {
 public:
  static const Symbols& get();

  // The mangled name of the function at this address, empty when unknown.
  std::string function(const void* address) const;

  // The arrays that a build with the access checker declares as __shared__: of a function's static
  // variables those that have a gap beside them (qualifiers.h).
  std::vector<StaticObject> shared_arrays() const;

 private:
  Symbols();
  std::map<uintptr_t, std::string> functions_;
  std::vector<StaticObject> statics_;
};

// As people write it; the name itself when it is not mangled.
std::string demangle(const std::string& mangled);

}  // namespace verace::simt::emulator
