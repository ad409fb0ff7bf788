// The outputs of every shipped kernel as a file, and the comparison of two such files: a GPU's
// against the emulated ones.
#pragma once

#include <string>

#include "bench/kernels/laboratory/problem.h"

namespace verace::laboratory {

// Runs the shipped variant of each problem and writes what it gives. The inputs come from seeds:
// every build and machine gives its kernels the same ones.
void write_outputs(const Problems& problems, const std::string& file);

// Prints per operation and storage type: equal in every bit, or the largest difference in units of
// the last place and its share of what is allowed (twice the output's tolerance: each side may be
// off by one of them). Writes the same to `json_file` unless it is empty. True: all within.
bool compare_outputs(const std::string& got_file, const std::string& want_file,
                     const std::string& json_file);

}  // namespace verace::laboratory
