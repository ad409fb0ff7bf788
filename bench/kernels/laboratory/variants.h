// The registry of kernel variants: a function beside the shipped one, under the same contract.
//
// In a .cu file of bench/kernels/variants, this is all:
// `const laboratory::Register<AddOf<Half>> mine("my variant", my_function);`
// The contract's type says which operation and which storage type it is for. The laboratory proves
// it, then times it (docs/kernel_laboratory.md).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/exec.h"

namespace verace::laboratory {

// Args: the operation's argument struct, for example kernels::AddOf<kernels::Half>. `run` enqueues
// its work on exec.stream and returns, as the shipped function does.
template <class Args>
struct Variant {
  std::string name;
  void (*run)(const kernels::Exec&, const Args&);
};

// All registered variants for Args, without the shipped one.
template <class Args>
std::vector<Variant<Args>>& variants() {
  static std::vector<Variant<Args>> all;
  return all;
}

template <class Args>
struct Register {
  Register(std::string name, void (*run)(const kernels::Exec&, const Args&)) {
    variants<Args>().push_back({std::move(name), run});
  }
};

}  // namespace verace::laboratory
