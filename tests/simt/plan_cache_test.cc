// The file of plans: kept, merged with what others wrote, and read with distrust.
#include "kernels/cudnn/plan_cache.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/hash.h"
#include "tests/support/files.h"

namespace verace::test::plan_cache_test {
namespace {

using kernels::cudnn::CachedPlan;
using kernels::cudnn::PlanCache;

constexpr const char* kEnvironment = "cuDNN 9.19.0, NVIDIA H200, driver 13000";

struct Said {
  std::vector<std::string> lines;
  PlanCache::Say say() {
    return [this](const std::string& line) { lines.push_back(line); };
  }
};

PlanCache opened(const std::filesystem::path& folder, Said& said,
                 const std::string& environment = kEnvironment) {
  return PlanCache(folder.string(), "NVIDIA H200", environment, said.say());
}

CachedPlan plan(int number) {
  return {{"eng" + std::to_string(number), std::string("\0\n binary", 9)}, number * 1000, number};
}

TEST_CASE("what was added is there in the next run") {
  const TempFolder folder;
  Said said;
  {
    PlanCache cache = opened(folder / "deep" / "folder", said);
    CHECK(cache.size() == 0);
    cache.add("a", plan(1));
    cache.add("b", plan(2));
    cache.add("", {});
    cache.save();
  }
  PlanCache next = opened(folder / "deep" / "folder", said);
  CHECK(next.size() == 3);
  CHECK(next.find("a") == plan(1));
  CHECK(next.find("b") == plan(2));
  CHECK(next.find("") == CachedPlan{});
  CHECK_FALSE(next.find("c").has_value());
  CHECK(std::filesystem::path(next.path()).filename() == "cudnn_plans-nvidia-h200.bin");
  next.forget("a");
  next.save();
  CHECK(opened(folder / "deep" / "folder", said).size() == 2);
  CHECK(said.lines.empty());
}

TEST_CASE("nothing is written where nothing changed") {
  const TempFolder folder;
  Said said;
  PlanCache cache = opened(folder.path(), said);
  cache.save();
  CHECK(folder.names().empty());
  cache.add("a", plan(1));
  cache.save();
  std::filesystem::remove(cache.path());
  cache.save();
  CHECK(folder.names().empty());
}

TEST_CASE("a file of another environment is not used, and that is said in one line") {
  const TempFolder folder;
  Said said;
  PlanCache old = opened(folder.path(), said, "cuDNN 9.18.0, NVIDIA H200, driver 13000");
  old.add("a", plan(1));
  old.save();
  PlanCache cache = opened(folder.path(), said);
  CHECK(cache.size() == 0);
  REQUIRE(said.lines.size() == 1);
  CHECK(said.lines[0].find(cache.path()) == 0);
  CHECK(said.lines[0].find("is of cuDNN 9.18.0") != std::string::npos);
  CHECK(said.lines[0].find("this is cuDNN 9.19.0") != std::string::npos);
  cache.add("b", plan(2));
  cache.save();
  PlanCache next = opened(folder.path(), said);
  CHECK(next.size() == 1);  // nothing of the old one
  CHECK(said.lines.size() == 1);
}

TEST_CASE("a damaged file is not used, wherever the damage is, and is written anew") {
  const TempFolder folder;
  Said quiet;
  std::string path;
  {
    PlanCache cache = opened(folder.path(), quiet);
    cache.add("key of a", plan(1));
    cache.add("key of b", plan(2));
    cache.save();
    path = cache.path();
  }
  const std::string whole = read_text(path);
  const auto expect_refused = [&](const std::string& content, const std::string& what) {
    INFO(what);
    write_text(path, content);
    Said said;
    CHECK(opened(folder.path(), said).size() == 0);
    REQUIRE(said.lines.size() == 1);
    CHECK(said.lines[0].find(path) == 0);
    CHECK(said.lines[0].find('\n') == std::string::npos);
  };
  for (size_t length = 0; length < whole.size(); ++length) {
    expect_refused(whole.substr(0, length), "cut to " + std::to_string(length));
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x04);
    expect_refused(flipped, "flipped at " + std::to_string(at));
  }
  expect_refused(whole + "x", "one byte more");
  expect_refused(std::string(5000, '\0'), "zeros");
  expect_refused("something else\n", "another file");
  Said said;
  PlanCache cache = opened(folder.path(), said);
  cache.add("key of c", plan(3));
  cache.save();
  CHECK(opened(folder.path(), quiet).find("key of c") == plan(3));
  CHECK(quiet.lines.empty());
}

TEST_CASE("a file whose lengths lie does not crash, although its checksum is right") {
  const TempFolder folder;
  Said said;
  PlanCache cache = opened(folder.path(), said);
  const std::string body(3, '\xFF');
  std::string environment;
  for (size_t i = 0; i < 8; ++i) environment += i == 0 ? static_cast<char>(39) : '\0';
  environment += kEnvironment;
  REQUIRE(environment.size() == 8 + 39);
  for (const std::string& content : {std::string(8, '\xFF'), std::string(), environment + body,
                                     environment + std::string(8, '\xFF')}) {
    char header[100];
    std::snprintf(header, sizeof header,
                  "verace cuDNN plans, format 1, checksum %016lx, %zu bytes\n",
                  static_cast<unsigned long>(fnv1a(content)), content.size());
    write_text(cache.path(), header + content);
    said.lines.clear();
    CHECK(opened(folder.path(), said).size() == 0);
    REQUIRE(said.lines.size() == 1);
    CHECK(said.lines[0].find("is damaged") != std::string::npos);
  }
}

TEST_CASE("where the file cannot be written, that is said once and nothing else happens") {
  const TempFolder folder;
  write_text(folder / "file", "not a folder");
  Said said;
  PlanCache cache = opened(folder / "file" / "cache", said);
  for (int i = 0; i < 3; ++i) {
    cache.add(std::to_string(i), plan(i));
    cache.save();
  }
  REQUIRE(said.lines.size() == 1);
  CHECK(said.lines[0].find(cache.path()) == 0);
  CHECK(said.lines[0].find("cannot be written") != std::string::npos);
  CHECK(cache.find("2") == plan(2));
  // A folder in the place of the file; a link in the place of the new one.
  Said again;
  std::filesystem::create_directories(folder / "cudnn_plans-nvidia-h200.bin" / "x");
  PlanCache other = opened(folder.path(), again);
  other.add("a", plan(1));
  other.save();
  CHECK(again.lines.size() >= 1);
  CHECK_FALSE(std::filesystem::exists(folder / "cudnn_plans-nvidia-h200.bin.new"));
  Said linked;
  write_text(folder / "sub" / "precious", "precious");
  std::filesystem::create_symlink(folder / "sub" / "precious",
                                  folder / "sub" / "cudnn_plans-nvidia-h200.bin.new");
  PlanCache careful = opened(folder / "sub", linked);
  careful.add("a", plan(1));
  careful.save();
  CHECK(linked.lines.size() == 1);
  CHECK(read_text(folder / "sub" / "precious") == "precious");
}

TEST_CASE("what a killed writer left behind does not disturb") {
  const TempFolder folder;
  Said said;
  write_text(folder / "cudnn_plans-nvidia-h200.bin.new", std::string(100000, 'x'));
  PlanCache cache = opened(folder.path(), said);
  cache.add("a", plan(1));
  cache.save();
  CHECK(opened(folder.path(), said).find("a") == plan(1));
  CHECK(folder.names().size() == 1);
  CHECK(said.lines.empty());
}

TEST_CASE("two writers keep each other's plans") {
  const TempFolder folder;
  Said said;
  PlanCache one = opened(folder.path(), said), two = opened(folder.path(), said);
  one.add("a", plan(1));
  two.add("b", plan(2));
  one.add("both", plan(3));
  two.add("both", plan(4));
  one.save();
  two.save();
  PlanCache next = opened(folder.path(), said);
  CHECK(next.size() == 3);
  CHECK(next.find("a") == plan(1));
  CHECK(next.find("b") == plan(2));
  CHECK(next.find("both") == plan(4));  // the last word
  CHECK(two.find("a") == plan(1));      // learnt while writing
  one.forget("b");
  one.save();
  CHECK(opened(folder.path(), said).size() == 2);
  CHECK(said.lines.empty());
}

TEST_CASE("processes that write at the same time lose nothing") {
  const TempFolder folder;
  constexpr int kProcesses = 4, kPlans = 25;
  std::vector<pid_t> children;
  for (int process = 0; process < kProcesses; ++process) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      Said said;
      for (int i = 0; i < kPlans; ++i) {
        PlanCache cache = opened(folder.path(), said);
        cache.add(std::to_string(process) + "/" + std::to_string(i), plan(i));
        cache.save();
      }
      ::_exit(said.lines.empty() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  Said said;
  PlanCache cache = opened(folder.path(), said);
  CHECK(cache.size() == kProcesses * kPlans);
  CHECK(said.lines.empty());
  CHECK(folder.names().size() == 1);
}

TEST_CASE("a process that holds the lock for ever does not stop others") {
  const TempFolder folder;
  const int held = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  Said said;
  PlanCache cache = opened(folder.path(), said);
  cache.add("a", plan(1));
  cache.save();
  ::close(held);
  REQUIRE(said.lines.size() == 1);
  CHECK(said.lines[0].find("no lock") != std::string::npos);
}

}  // namespace
}  // namespace verace::test::plan_cache_test
