// Proving variants: what is wrong anywhere on the list of small shapes is not timed.
#pragma once

#include <string>
#include <vector>

#include "bench/kernels/laboratory/problem.h"

namespace verace::laboratory {

// One variant of one operation with one storage type, over all shapes.
struct Proof {
  std::string operation, type, variant;
  int runs = 0;
  double used = 0;     // largest share of a tolerance
  std::string failed;  // empty: proven; else what was wrong, and at which shape

  bool ok() const { return failed.empty(); }
};

// Runs every variant on `problems`, aligned and one element out of alignment, twice each, against
// the reference implementation. Throws Error when a variant left the device unusable.
// Variants named `without` are left out.
std::vector<Proof> prove(const Problems& problems, const std::string& without);

// The proof of this variant; Error if there is none: what was not proven is not timed.
const Proof& proof_of(const std::vector<Proof>& proofs, const Description& what,
                      const std::string& variant);

}  // namespace verace::laboratory
