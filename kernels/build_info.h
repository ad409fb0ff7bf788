// What the loops of this folder were compiled for.
#pragma once

#include <string>
#include <vector>

namespace verace::kernels {

// Instruction sets that the compiler might use ("avx2"), the oldest first; empty: none of those
// that we know.
std::vector<std::string> compiled_instructions();

}  // namespace verace::kernels
