// main() of the test programs, which are one per room: ROOM_tests, and beside it, for each file, a
// link ROOM_SUBJECT_test that runs this file's cases only (so that each has a process of its own).
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

bool nothing_ran = false;
std::string only_file;  // the pattern of its path; empty: all of the room

// No silent skip: sees a run whose filters leave nothing (a mistyped name must not pass), and says
// which cases of the file are left out by doctest::skip.
struct Skips : doctest::IReporter {
  explicit Skips(const doctest::ContextOptions&) {}
  void test_run_end(const doctest::TestRunStats& run) override {
    nothing_ran = run.numTestCasesPassingFilters == 0;
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData& test) override {
    const std::string_view file = test.m_file.c_str();
    if (!test.m_skip || (!only_file.empty() && !file.ends_with(only_file.substr(1)))) return;
    std::printf("SKIPPED %s [case]: '%s' is marked doctest::skip\n", program_invocation_short_name,
                test.m_name);
  }
};
REGISTER_LISTENER("skips", 1, Skips);

// "kernels_adam_test" -> "*/kernels/adam_test.cc"; empty for the whole room's program.
std::string file_of_program(std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  const size_t room = program.find('_');
  if (room == std::string_view::npos || !program.ends_with("_test")) return "";
  return "*/" + std::string(program.substr(0, room)) + "/" + std::string(program.substr(room + 1)) +
         ".cc";
}

}  // namespace

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  only_file = file_of_program(argv[0]);
  if (!only_file.empty()) context.addFilter("source-file", only_file.c_str());
  const int failed = context.run();
  if (nothing_ran) std::fprintf(stderr, "%s: no test case fits the filters\n", argv[0]);
  return nothing_ran ? 1 : failed;
}
