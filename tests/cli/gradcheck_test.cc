// verace gradcheck through the real program: tables, JSON, exit codes, planted faults.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "tests/cli/world.h"

namespace verace::gradcheck_test {
namespace {

using Json = nlohmann::json;
using test::expect_refusal;
using test::Finished;
using test::Words;
using test::World;

Finished gradcheck(const Words& more) {
  Words words = {"gradcheck", "--threads", "1", "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  return World::get().run(words);
}

TEST_CASE("gradcheck: a kind of layer, as a table and as JSON, on both devices") {
  for (const char* device : {"cpu", "reference"}) {
    const Finished table = gradcheck({"--layer", "batch_norm", "--device", device});
    CHECK(table.code == 0);
    CHECK(table.err.empty());
    CHECK(table.out.find("batch_norm: frozen: running statistics") != std::string::npos);
    CHECK(table.out.find("  bn gamma") != std::string::npos);
    CHECK(table.out.find("ok, not written") != std::string::npos);
    CHECK(table.out.find("\nall 33 tensors are as they must be") != std::string::npos);
  }
  const Finished finished = gradcheck({"--layer", "conv", "--json", "--elements", "0"});
  CHECK(finished.code == 0);
  const Json json = Json::parse(finished.out);
  CHECK(json["good"] == true);
  for (const Json& row : json["rows"]) {
    const bool frozen = row["verdict"] == "ok, not written";
    int64_t count = 1;
    for (const int64_t size : row["shape"]) count *= size;
    CHECK(row["elements"] == (frozen ? 0 : count));
    CHECK(row["worst"].size() == (frozen ? 0 : row["shape"].size()));
  }
}

TEST_CASE("gradcheck: a layer of the network") {
  const Finished finished = gradcheck({"--layer", "fc.2", "--all", "--elements", "2"});
  CHECK(finished.code == 0);
  CHECK(finished.out.find("network: training") != std::string::npos);
  CHECK(finished.out.find("  fc.2 weight") != std::string::npos);
  CHECK(finished.out.find("layer1") == std::string::npos);
}

TEST_CASE("gradcheck: of the pictures 20 times as many elements are compared, as the help says") {
  const Json json = Json::parse(gradcheck({"--layer", "input", "--elements", "2", "--json"}).out);
  REQUIRE(json["rows"].size() == 1);
  CHECK(json["rows"][0]["tensor"] == "pictures");
  CHECK(json["rows"][0]["elements"] == 40);
  CHECK(gradcheck({"--layer", "dense", "--elements", "1000000"}).code == 0);
  std::string help = World::get().run({"gradcheck", "--help"}).out;
  help.erase(
      std::unique(help.begin(), help.end(),
                  [](char a, char b) { return std::isspace(a) != 0 && std::isspace(b) != 0; }),
      help.end());
  std::ranges::replace(help, '\n', ' ');
  CHECK(help.find("of its pictures 20 times as many") != std::string::npos);
}

TEST_CASE("gradcheck: a planted fault is in the table, and the exit code is 1") {
  const Finished table = gradcheck({"--layer", "residual", "--plant", "missing-accumulation"});
  CHECK(table.code == 1);
  CHECK(table.out.find("1 of 7 tensors are WRONG") != std::string::npos);
  const Finished nan = gradcheck({"--layer", "dense", "--plant", "nan", "--json"});
  CHECK(nan.code == 1);
  const Json json = Json::parse(nan.out);
  CHECK(json["good"] == false);
  int bad = 0;
  for (const Json& row : json["rows"]) {
    if (row["good"] == true) continue;
    ++bad;
    CHECK(row["tensor"] == "weight");
    CHECK(row["engine"].is_null());
  }
  CHECK(bad == 1);
  // Every fault that the help names can be planted somewhere.
  const std::string help = World::get().run({"gradcheck", "--help"}).out;
  std::istringstream lines(help.substr(help.find("Faults for --plant:")));
  std::string line;
  std::getline(lines, line);
  int faults = 0;
  while (std::getline(lines, line) && line.starts_with("  ")) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    bool caught = false;
    for (const char* layer : {"conv", "residual", "batch_norm", "leaky_relu", "average_pool",
                              "softmax_cross_entropy"}) {
      caught = caught || gradcheck({"--layer", layer, "--plant", name}).code == 1;
    }
    CHECK_MESSAGE(caught, name);
    ++faults;
  }
  CHECK(faults == 10);
}

TEST_CASE("gradcheck: bad flags") {
  expect_refusal({"gradcheck", "--layer", "layer1.0.conv7"},
                 {"--layer layer1.0.conv7", "did you mean layer1.0.conv1"});
  expect_refusal({"gradcheck", "--layer", "max_pool", "--plant", "scaled"},
                 {"--plant", "nothing of max_pool can have this fault"});
  expect_refusal({"gradcheck", "--plant", "something"}, {"--plant", "use scaled, swapped"});
  expect_refusal({"gradcheck", "--layer", "fc.2", "--plant", "swapped"},
                 {"--plant", "does not reach these tensors", "fc.2"});
  for (const char* elements : {"-1", "1000001", "9223372036854775807"}) {
    expect_refusal({"gradcheck", "--layer", "dense", "--elements", elements},
                   {"--elements", "from 0 to 1000000"});
  }
  expect_refusal({"gradcheck", "--seed", "x"}, "--seed");
  expect_refusal({"gradcheck", "--device", "cuda"}, "--device cuda");
}

}  // namespace
}  // namespace verace::gradcheck_test
