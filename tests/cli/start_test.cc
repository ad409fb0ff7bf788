// How the program starts: the settings of OpenMP that it chooses, and those that it is given.
#include "tests/cli/world.h"

namespace verace::test {
namespace {

// What OpenMP's library says it goes by, in a shell where `setting` has been run.
std::string openmp_settings(const std::string& setting) {
  const Finished finished = World::get().run_in_shell(
      "unset OMP_WAIT_POLICY GOMP_SPINCOUNT; export OMP_DISPLAY_ENV=verbose; " + setting,
      {"--version"});
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(finished.out.starts_with("verace "));
  // The last start counts: an earlier one may have displayed its own.
  const size_t at = finished.err.rfind("OPENMP DISPLAY ENVIRONMENT BEGIN");
  REQUIRE(at != std::string::npos);
  return finished.err.substr(at);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("threads wait briefly unless the environment says otherwise") {
  const std::string by_default = openmp_settings("true");
  if (!has(by_default, "GOMP_SPINCOUNT")) {
    text::print(stdout, "SKIPPED start: OpenMP's library is not GCC's\n");
    return;
  }
  CHECK(has(by_default, "GOMP_SPINCOUNT = '3000'"));
  CHECK(has(openmp_settings("export GOMP_SPINCOUNT=70"), "GOMP_SPINCOUNT = '70'"));
  const std::string active = openmp_settings("export OMP_WAIT_POLICY=active");
  CHECK(has(active, "OMP_WAIT_POLICY = 'ACTIVE'"));
  CHECK_FALSE(has(active, "GOMP_SPINCOUNT = '3000'"));
}

TEST_CASE("a second start changes neither the arguments nor the exit code") {
  const Finished finished = World::get().run_in_shell("unset OMP_WAIT_POLICY GOMP_SPINCOUNT",
                                                      {"predict", "a b", "--no-such-flag"});
  CHECK(finished.code == 2);
  CHECK(has(finished.err, "--no-such-flag"));
}

}  // namespace
}  // namespace verace::test
