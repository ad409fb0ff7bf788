#include "tests/cli/process.h"

namespace verace::test {

const char* verace_program() { return VERACE_PROGRAM; }

}  // namespace verace::test
