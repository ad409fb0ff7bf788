// From the words of a command line to the command, its flags, and the exit code.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/flags.h"

namespace verace::cli {

// Exit codes: 0 done; 2 bad flags or input; 1 a fault of ours, or no memory; 128 + n stopped by a
// signal. Commands return theirs.
inline constexpr int kExitInput = 2;
inline constexpr int kExitInternal = 1;

// Runs one of the commands. Help and results go to stdout; one line per error to stderr.
int run_command_line(int argc, const char* const* argv, std::vector<Command> commands);

}  // namespace verace::cli
