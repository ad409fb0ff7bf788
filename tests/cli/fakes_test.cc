// verace fakes through the real program: what it writes, that it can be trained on, what it
// refuses.
#include "data/faces/dataset.h"
#include "kernels/exec.h"
#include "tests/cli/world.h"

namespace verace::fakes_test {
namespace {

using test::contains;
using test::expect_error;
using test::Finished;
using test::Words;
using test::World;

// A manifest of drawn faces with their landmarks.
const std::string& manifest() {
  static std::string path;
  if (path.empty()) {
    path = World::get() / "drawn/faces.csv";
    data::faces::write_dataset(World::get().path() / "drawn",
                               {.seed = 4, .size = 32, .identities = {4, 2, 2}, .frames = 2},
                               kernels::make_exec(kernels::DeviceKind::kCpu, 1));
  }
  return path;
}

}  // namespace

TEST_CASE("fakes: a data set of both classes that train and eval read") {
  const World& world = World::get();
  const Finished made =
      world.run({"fakes", manifest(), "--out", world / "fakes", "--threads", "2", "--quiet"});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.err.empty());
  CHECK(contains(made.out, "train 8 real, 8 pseudo-fakes"));
  CHECK(contains(made.out, "16 fakes of"));
  CHECK(contains(made.out, "fakes/faces.csv"));
  CHECK(std::filesystem::exists(world.path() / "fakes/sheet.png"));
  const std::string data = world / "fakes/faces.csv";
  const Finished trained = world.run(world.train("fakes_run", {"--data", data}));
  INFO(trained.err);
  CHECK(trained.code == 0);
  const Finished judged =
      world.run({"eval", "--model", world / "fakes_run", "--data", data, "--quiet"});
  CHECK(judged.code == 0);
  CHECK(contains(judged.out, "faces (8)"));
}

TEST_CASE("fakes: bad flags and inputs") {
  const World& world = World::get();
  const std::string out = world / "no_fakes";
  expect_error(world.run({"fakes"}), "INPUT");
  expect_error(world.run({"fakes", manifest()}), "--out");
  expect_error(world.run({"fakes", manifest(), "--out", world / "data"}), "not empty");
  expect_error(world.run({"fakes", manifest(), "--out", out, "--per-face", "0"}), "--per-face");
  expect_error(world.run({"fakes", manifest(), "--out", out, "--jpeg-quality", "101"}),
               "--jpeg-quality");
  expect_error(world.run({"fakes", manifest(), "--out", out, "--jpeg-quality", "9", "--png"}),
               "--png");
  expect_error(world.run({"fakes", world / "nowhere.csv", "--out", out}), "nowhere.csv");
  expect_error(
      world.run({"fakes", world / "data", "--out", out, "--quiet", "--detector", manifest()}),
      "faces.csv");
  expect_error(world.run({"fakes", manifest(), "--out", out, "--min-score", "0.5"}),
               "--min-score: says how to look for faces: name the --detector");
  // Pictures of which nobody says where the eyes are.
  expect_error(world.run({"fakes", world / "data", "--out", out, "--quiet"}), "landmarks");
}

}  // namespace verace::fakes_test
