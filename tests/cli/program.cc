// Where the program lies that the tests of commands run: the one thing that each build has for
// itself.
#include "tests/cli/process.h"

namespace verace::test {

const char* verace_program() { return VERACE_PROGRAM; }

}  // namespace verace::test
