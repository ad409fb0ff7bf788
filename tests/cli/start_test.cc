// How the program starts: the settings of OpenMP that it chooses, and those that it is given.
#include <link.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/cli/world.h"

namespace verace::test::start_test {
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

// In a shell that lets the program choose.
constexpr const char* kFree = "unset OMP_WAIT_POLICY GOMP_SPINCOUNT";

TEST_CASE("a second start changes neither the arguments nor the exit code") {
  const World& world = World::get();
  const Words words = {"predict", "--model", world / "run", world / "a b.jpg"};
  expect_error(world.run_in_shell(kFree, words), {"/a b.jpg: "});
  write_text(world / "a b.jpg",
             read_text(fs::directory_iterator(world / "data/test/real")->path()));
  const Finished finished = world.run_in_shell(kFree, words);
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(has(finished.out, "/a b.jpg"));
}

TEST_CASE("the process is called verace after the second start, too") {
  const World& world = World::get();
  Words words = {"-c", std::string(kFree) + "; exec \"$@\"", "sh", test::verace_program()};
  for (const std::string& word : world.train("named", {"--epochs", "100000"})) {
    words.push_back(word);
  }
  const Process process("/bin/sh", words, world.path());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!fs::exists(world / "named/config.toml") && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const fs::path status = "/proc/" + std::to_string(process.id());
  const std::string name = read_text(status / "comm");
  const std::string environment = read_text(status / "environ");
  process.signal(SIGINT);
  CHECK(process.wait().code == 130);
  CHECK(name == "verace\n");
  CHECK(has(environment, "GOMP_SPINCOUNT=3000"));  // it was the second start
}

// Of this program, which is built like the other: "/lib64/ld-linux-x86-64.so.2".
std::string dynamic_loader() {
  std::string path;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* result) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& part = info->dlpi_phdr[i];
          if (part.p_type != PT_INTERP) continue;
          *static_cast<std::string*>(result) =
              reinterpret_cast<const char*>(info->dlpi_addr + part.p_vaddr);
        }
        return 1;  // the program itself comes first
      },
      &path);
  return path;
}

TEST_CASE("a start through the dynamic loader is one of verace") {
  const World& world = World::get();
  const std::string loader = dynamic_loader();
  REQUIRE_FALSE(loader.empty());
  const Words through = {"-c", std::string(kFree) + "; exec \"$@\"", "sh", loader,
                         test::verace_program()};
  const auto run = [&](const Words& more) {
    Words words = through;
    words.insert(words.end(), more.begin(), more.end());
    return Process("/bin/sh", words, world.path()).wait();
  };
  const Finished version = run({"--version"});
  INFO(version.out, version.err);
  CHECK(version.code == 0);
  CHECK(version.out == world.run({"--version"}).out);
  expect_error(run({"predict", "--model", world / "run", world / "c d.jpg"}), {"/c d.jpg: "});
}

}  // namespace
}  // namespace verace::test::start_test
