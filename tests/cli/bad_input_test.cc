// Bad flags, outputs that cannot be written, losses that are not finite and too little memory,
// through the real program: message, exit code 2, and nothing lost.
#include <limits>
#include <sstream>

#include "apps/lib/model_file.h"
#include "kernels/dispatch.h"
#include "tests/cli/world.h"

namespace verace::bad_input_test {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::expect_failure;
using test::expect_nothing_lost;
using test::expect_refusal;
using test::read_text;
using test::Words;
using test::World;
using test::write_text;

Words eval(const Words& more = {}) {
  const World& world = World::get();
  Words words = {"eval", "--model", world / "run", "--data", world / "data", "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words attack(const Words& more) {
  const World& world = World::get();
  Words words = {"attack",  "fgsm",    "--model", world / "run", "--data", world / "data",
                 "--quiet", "--limit", "1"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Fine-tuning of the world's network.
Words tune(const Words& more) {
  const World& world = World::get();
  Words words = {"train",   "--data", world / "data", "--weights", world / "run/best.safetensors",
                 "--quiet", "--out",  world / "new"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_CASE("values out of range, missing, or given twice") {
  const World& world = World::get();
  struct Case {
    Words words;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {eval({"--batch", "0"}), "--batch: '0' is not a whole number from 1 to 65536"},
      {eval({"--batch", "99999999999999999999"}), "--batch: '9999"},
      {eval({"--batch", "1e3"}), "--batch: '1e3'"},
      {eval({"--threads", "100000"}), "--threads: '100000' is not a whole number from 0 to 4096"},
      {eval({"--workers", "-1"}), "--workers: '-1' is not a whole number from 0 to 256"},
      {eval({"--batch"}), "--batch: needs a value"},
      {eval({"--csv", "--json"}), "--csv: needs a value, but --json follows"},
      {eval({"--batch", "4", "--batch", "5"}), "--batch: is given 2 times: leave one"},
      {eval({"--csv", ""}), "--csv: must not be empty"},
      {eval({"--pool", "big"}), "--pool"},
      {eval({"--bn-epsilon", "-1"}), "--bn-epsilon: '-1' is not a number > 0"},
      {attack({"--epsilon", "-0.01", "--out", world / "new"}),
       "'-0.01' is not a number from 0 to 1"},
      {attack({"--epsilon", "0.01,,1", "--out", world / "new"}), "'' is not a number from 0 to 1"},
      {attack({"--epsilon", "0.1,0.1", "--out", world / "new"}), "--epsilon: 0.1 is given twice"},
      {world.train("new", {"--lr", "0"}), "--lr: '0' is not a number > 0"},
      {world.train("new", {"--lr", "inf"}), "--lr: 'inf' is not a number > 0"},
      {world.train("new", {"--epochs", "0"}), "--epochs: '0' is not a whole number of at least 1"},
      {world.train("new", {"--input-size", "31"}), "--input-size: '31'"},
      {world.train("new", {"--input-size", "5000"}), "--input-size 5000: give 32 to 4096"},
      {world.train("new", {"--data", world / "two\nlines"}), "two\\nlines: no such directory"},
      {{"predict", "--model", world / "run", "--quiet", ""}, "PICTURE: must not be empty"},
      {{"trai\nn"}, "there is no command 'trai\\nn': did you mean train?"}};
  for (const Case& c : cases) expect_refusal(c.words, c.expected);
}

TEST_CASE("a device that cannot be used is refused by every command, by name") {
  const World& world = World::get();
  const std::vector<Words> commands = {
      world.train("new"),
      eval(),
      {"threshold", "--model", world / "run/best.safetensors", "--data", world / "data", "--fpr",
       "0.1", "--quiet"},
      {"predict", "--model", world / "run", "--quiet", world / "data/test"},
      attack({"--epsilon", "0.01", "--out", world / "new"}),
      {"demo", "--out", world / "new", "--quiet"},
      {"gradcheck", "--layer", "dense", "--quiet"},
      {"dump", "--out", world / "new", "--quiet"},
      {"info"}};
  const auto on = [](Words words, const std::string& device) {
    words.insert(words.end(), {"--device", device});
    return words;
  };
  for (const Words& words : commands) {
    expect_refusal(on(words, "tpu"), "--device: 'tpu' is not known: use auto, cpu, reference");
    expect_refusal(on(words, "cuda:"), "--device: 'cuda:' names no device");
    expect_refusal(on(words, "cuda:99"), "--device cuda:99: ");
    if (!kernels::have_cuda) {
      expect_refusal(on(words, "cuda"), "--device cuda:0: this build has no CUDA");
    }
  }
  expect_refusal(on({"train", "--resume", world / "run", "--epochs", "2"}, "cuda:99"),
                 "--device cuda:99: ");
}

TEST_CASE("a precision that a device does not have is refused by every command that takes one") {
  const World& world = World::get();
  const std::vector<Words> commands = {
      world.train("new"),
      eval(),
      {"threshold", "--model", world / "run/best.safetensors", "--data", world / "data", "--fpr",
       "0.1", "--quiet"},
      {"predict", "--model", world / "run", "--quiet", world / "data/test"},
      attack({"--epsilon", "0.01", "--out", world / "new"})};
  for (const Words& words : commands) {
    const auto with = [&](const std::string& precision) {
      Words all = words;
      all.insert(all.end(), {"--device", "cpu", "--precision", precision});
      return all;
    };
    expect_refusal(with("half"), "--precision: 'half' is not a precision: use fp32, tf32, fp16");
    for (const std::string precision : {"tf32", "fp16", "bf16"}) {
      expect_refusal(with(precision),
                     "--precision " + precision + ": device cpu computes in fp32 only");
    }
  }
}

TEST_CASE("flags that contradict each other are named") {
  const World& world = World::get();
  const auto both = [&](const Words& words, const std::string& a, const std::string& b) {
    expect_refusal(words, {a, b});
  };
  both(world.train("new", {"--class-weights", "balanced", "--balanced-sampling"}),
       "--balanced-sampling", "--class-weights");
  both({"train", "--resume", world / "run", "--overwrite"}, "--resume", "--overwrite");
  both({"train", "--resume", world / "run", "--freeze", "none"}, "--resume", "--freeze");
  both({"train", "--resume", world / "run", "--precision", "fp32"}, "--resume", "--precision");
  both({"train", "--resume", world / "run", "--plans", "tuned"}, "--resume", "--plans");
  both(tune({"--head", "keep", "--activation", "relu"}), "--head", "--activation");
  both(world.train("new", {"--plan"}), "--quiet", "--plan");
  both(tune({"--width", "0.5"}), "--width", "--weights none");
  both(world.train("new", {"--freeze", "backbone"}), "--freeze", "--weights none");
  both(tune({"--head", "keep", "--input-size", "64"}), "--input-size", "head");
  both(eval({"--variant", "v1"}), "--variant", "--force");
}

TEST_CASE("unknown layers: the nearest names are offered") {
  expect_refusal(tune({"--freeze", "name:layer3.9.conv1"}),
                 {"--freeze name:layer3.9.conv1: no layer has this name", "layer3.0.conv1"});
  expect_refusal(tune({"--freeze", "name:conv3_blck1_1_conv"}),
                 {"did you mean conv3_block1_1_conv"});
  expect_refusal(tune({"--freeze", "layer3"}), {"--freeze layer3: unknown form", "name:LAYER"});
  expect_refusal(tune({"--freeze", "stages:5"}), {"--freeze stages:5", "from 0 to 4"});
  expect_refusal(tune({"--freeze", "name:fc"}), {"leaves nothing to train: freeze less"});
}

TEST_CASE("weight files: missing, empty, cut, of another format, with broken values") {
  const World& world = World::get();
  const std::string whole = read_text(world / "run/best.safetensors");
  write_text(world / "weights/empty.safetensors", "");
  write_text(world / "weights/cut.safetensors",
             std::string_view(whole).substr(0, whole.size() / 2));
  write_text(world / "weights/text.safetensors", "not weights, only words");
  write_text(world / "weights/x.pth", std::string("PK\x03\x04", 4) + std::string(600, 'x'));
  apps::LoadedModel broken = apps::load_model(world / "run/best.safetensors");
  broken.classifier->table().find("conv1")->parameter("weight").value.f32()[0] =
      std::numeric_limits<float>::quiet_NaN();
  apps::save_model(world / "weights/nan.safetensors", *broken.classifier);
  const auto refused = [&](const std::string& name, const Words& expected) {
    const std::string file = world / ("weights/" + name);
    test::Parts all = {name};
    all.insert(all.end(), expected.begin(), expected.end());
    expect_refusal({"eval", "--model", file, "--data", world / "data"}, all);
    expect_refusal({"predict", "--model", file, world / "data/test", "--quiet"}, all);
    Words tuned = tune({});
    *(std::ranges::find(tuned, "--weights") + 1) = file;
    expect_refusal(tuned, all);
  };
  refused("absent.safetensors", {"cannot open the file", "check the path"});
  refused("empty.safetensors", {"is empty", "fetch or export it again"});
  refused("cut.safetensors", {"truncated"});
  refused("text.safetensors", {"is a text, not weights", "name a weight file"});
  refused("x.pth",
          {"zip archive without its directory", "cut short", "fetch or save the file again"});
  refused("", {"weights"});  // a folder
  refused("nan.safetensors", {"'conv1.weight': 1 of 588 values are not finite", "take another"});
}

TEST_CASE("a resumed file that is no checkpoint or a cut one") {
  const World& world = World::get();
  expect_refusal({"train", "--resume", world / "run/best.safetensors"},
                 {"best.safetensors: holds a model but no state of training", "last.safetensors"});
  const std::string whole = read_text(world / "run/last.safetensors");
  write_text(world / "cut/last.safetensors", std::string_view(whole).substr(0, whole.size() - 1));
  expect_refusal({"train", "--resume", world / "cut"}, {"cut/last.safetensors", "truncated"});
}

TEST_CASE("outputs: what is in the way is named before any work, and stays") {
  const World& world = World::get();
  const std::string file = world / "in_the_way";
  write_text(file, "somebody's notes");
  struct Case {
    Words words;
    test::Parts expected;
  };
  const std::vector<Case> cases = {
      {world.train("in_the_way"), {"--out", "a file of this name is in the way"}},
      {world.train("in_the_way/below/it"), {"--out", "in_the_way is no folder"}},
      {attack({"--epsilon", "0.1", "--out", file + "/x"}), {"--out", "in_the_way is no folder"}},
      {attack({"--epsilon", "0.1", "--out", world / "run"}), {"--out", "not empty", "--overwrite"}},
      {{"demo", "--quick", "--out", file + "/x"}, {"--out", "Not a directory"}},
      {eval({"--csv", "/dev/full"}), {"--csv /dev/full: is not a regular file"}},
      {eval({"--csv", world / "run"}), {"--csv", "is a folder: name a file"}},
      {eval({"--csv", world / "no/such/x.csv"}), {"--csv", "there is no folder", "make it first"}},
      {eval({"--csv", file}), {"--csv", "in_the_way: holds something else", "would be lost"}},
      {eval({"--csv", world / "run/best.safetensors"}), {"--csv", "would be lost"}},
      {tune({"--trace", world / "run/best.safetensors"}), {"--trace", "would be lost"}},
      {tune({"--trace", file + "/x"}), {"--trace", "there is no folder"}}};
  for (const Case& c : cases) expect_refusal(c.words, c.expected);
  CHECK(read_text(file) == "somebody's notes");
  // A manifest may begin as our own CSV does; it is still the input.
  const std::string picture = fs::directory_iterator(world / "data/test/real")->path().string();
  write_text(world / "list.csv", "path,video,label,probability,loss\n" + picture + ",v,real,1,1\n");
  Words same = eval({"--csv", world / "list.csv"});
  *(std::ranges::find(same, "--data") + 1) = world / "list.csv";
  expect_refusal(same, {"--csv", "list.csv: holds something else", "would be lost"});
  if (::geteuid() != 0) {
    fs::create_directories(world / "locked");
    fs::permissions(world / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    expect_refusal(world.train("locked/x"), {"--out", "nothing can be written to", "Permission"});
  }
}

TEST_CASE("a full disc: standard output, CSV, attacked pictures, checkpoints") {
  const World& world = World::get();
  const auto before = world.listing();
  for (const Words& words : {eval(), Words{"info"}, Words{"train", "--help"}}) {
    INFO(test::command_text(words));
    expect_error(world.run_in_shell(":", words, ">/dev/full"),
                 {"standard output", "free some space"});
  }
  CHECK(world.listing() == before);
  // ulimit -f counts blocks of 512 bytes. The figures come before the file that does not fit.
  write_text(world / "full/faces.csv", "path,video,label,probability,loss\nold\n");
  const auto with_csv = world.listing();
  const Words csv = eval({"--csv", world / "full/faces.csv"});
  const test::Finished judged = world.run_in_shell("ulimit -f 2", csv);
  CHECK(judged.out.find("balanced accuracy") != std::string::npos);
  expect_error(judged, {"faces.csv: cannot write", "free some space", "nothing was changed"});
  expect_nothing_lost(with_csv, {});
  expect_error(world.run_in_shell("ulimit -f 2",
                                  attack({"--epsilon", "0.1", "--out", world / "full/attacked"})),
               {"full/attacked/before/", ".png: cannot be written", "free space"});
  expect_nothing_lost(with_csv, {});
  expect_error(world.run_in_shell("ulimit -f 200", world.train("full/run")),
               {"full/run/best.safetensors: cannot write", "free some space"});
  expect_nothing_lost(with_csv, {"full/run/config.toml"});
}

TEST_CASE("a full disc keeps the last checkpoint, and the run goes on from there") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("kept", {"--max-steps", "2"})).code == 0);
  auto before = world.listing();
  before.erase(world / "kept/config.toml");  // written anew, whole
  expect_error(
      world.run_in_shell("ulimit -f 200", {"train", "--resume", world / "kept", "--quiet"}),
      {"kept/best.safetensors: cannot write", "free some space",
       "kept/last.safetensors holds the state of epoch 1, after step 2: go on with --resume",
       "(1 step since then is lost)"});
  expect_nothing_lost(before, {"kept/config.toml"});
  // Enough for the model, not for the checkpoint with the optimiser's moments.
  const auto blocks = fs::file_size(world / "kept/last.safetensors") / 512 - 1;
  expect_error(world.run_in_shell("ulimit -f " + std::to_string(blocks),
                                  {"train", "--resume", world / "kept", "--quiet"}),
               {"kept/last.safetensors: cannot write (File too large)", "nothing was changed",
                "kept/last.safetensors holds the state of epoch 1, after step 2: go on with"});
  const Words written = {"kept/config.toml", "kept/best.safetensors", "kept/evaluation.json"};
  expect_nothing_lost(before, written);
  CHECK(world.run({"train", "--resume", world / "kept", "--quiet"}).code == 0);
}

TEST_CASE("a damaged checkpoint: the one before it, or an error that names both") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("torn", {"--save-every", "1", "--max-steps", "2"})).code == 0);
  std::string last = read_text(world / "torn/last.safetensors");
  last.back() ^= 1;
  write_text(world / "torn/last.safetensors", last);
  const test::Finished finished =
      world.run({"train", "--resume", world / "torn", "--quiet", "--max-steps", "1"});
  CHECK(finished.code == 0);
  CHECK(finished.out.find("WARNING: " + (world / "torn/last.safetensors") + ": is damaged") == 0);
  CHECK(finished.out.find("going on from the one before it: ") < finished.out.find('\n'));
  for (const char* name : {"torn/last.safetensors", "torn/previous.safetensors"}) {
    write_text(world / name, last);
  }
  expect_refusal({"train", "--resume", world / "torn"},
                 {"torn/last.safetensors: is damaged", "torn/previous.safetensors: is damaged",
                  "no checkpoint is left to go on with"});
  fs::remove(world / "torn/last.safetensors");
  expect_refusal({"train", "--resume", world / "torn"},
                 {"torn/last.safetensors: is missing", "torn/previous.safetensors: is damaged"});
  fs::remove(world / "torn/previous.safetensors");
  expect_refusal({"train", "--resume", world / "torn"},
                 {"torn/last.safetensors: there is no such file", "nothing was stored there yet"});
}

TEST_CASE("a loss that is not finite names step and layer; the last checkpoint stays") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("nan", {"--lr", "1e30", "--max-steps", "1"})).code == 0);
  fs::remove(world / "nan/config.toml");  // written anew
  expect_failure({"train", "--resume", world / "nan", "--quiet"},
                 {"epoch 1, step 2: the loss of 8 of 8 pictures is not finite",
                  "the first such output is that of", "layer1.0.conv1", "use a smaller --lr"},
                 {"nan/config.toml"});
  // A run that replaces another one gives it back if it comes to nothing.
  REQUIRE(world.run(world.train("replaced")).code == 0);
  expect_failure(world.train("replaced", {"--lr", "1e30", "--overwrite"}),
                 {"epoch 1, step 2", "is not finite"}, {});
  // Finite weights whose answers are not: found when the epoch is judged.
  expect_failure(world.train("judged", {"--lr", "1e10", "--batch", "64"}),
                 {"epoch 1, after step 1: ", "not finite", "--lr"}, {"judged/config.toml"});
}

TEST_CASE("a run that cannot be moved aside as a whole keeps all its names") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("stuck")).code == 0);
  // After some files have been renamed; after both models have; at the very last.
  for (const char* name : {"stuck/curve.svg", "stuck/tensorboard", "stuck/figures/loss.svg"}) {
    const std::string in_the_way = (world / name) + ".replaced";
    fs::create_directories(in_the_way);
    expect_refusal(world.train("stuck", {"--overwrite"}), {"--overwrite", in_the_way});
    fs::remove(in_the_way);
  }
}

TEST_CASE("a replaced run is kept aside once the new one has stored something") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("twice")).code == 0);
  write_text(world / "twice/attack/attack.json", "{}");
  const std::string model = read_text(world / "twice/best.safetensors");
  // Enough for the model, not for the checkpoint with the optimiser's moments.
  const auto blocks = fs::file_size(world / "twice/last.safetensors") / 512 - 1;
  const test::Finished finished = world.run_in_shell(
      "ulimit -f " + std::to_string(blocks), world.train("twice", {"--overwrite", "--seed", "2"}));
  expect_error(finished, {"twice/last.safetensors: cannot write"});
  // Its report had figures, and it was attacked: their files are aside, too.
  for (const char* place :
       {"twice/*.replaced", "twice/figures/*.replaced", "twice/attack/*.replaced"}) {
    CHECK(finished.err.substr(0, finished.err.find('\n')).find(world / place) != std::string::npos);
  }
  CHECK(finished.err.find("note: the files of the earlier run are still there, as ") == 0);
  CHECK(read_text(world / "twice/best.safetensors.replaced") == model);
  // Not where TensorBoard would show them as the new run's.
  CHECK(fs::exists(world / "twice/tensorboard.replaced"));
  CHECK(read_text(world / "twice/best.safetensors") != model);
}

TEST_CASE("a file in the way of RUN/tensorboard ends a run before it trains") {
  const World& world = World::get();
  REQUIRE(world.run(world.train("blocked", {"--max-steps", "2"})).code == 0);
  fs::remove_all(world / "blocked/tensorboard");
  write_text(world / "blocked/tensorboard", "mine");
  expect_refusal({"train", "--resume", world / "blocked", "--quiet"},
                 {"blocked/tensorboard: ", "move away what is in the way"});
}

TEST_CASE("batch norm over one value is refused") {
  expect_refusal(World::get().train("one", {"--batch", "1"}),
                 {"--batch: batches of one picture", "use --batch 2 or more"});
}

TEST_CASE("too little memory: how much is missing and which batch fits") {
  const World& world = World::get();
  // Pictures of 4096 x 4096: a batch takes terabytes. One picture may stand in many lines.
  std::ostringstream manifest;
  manifest << "path,label,video,split\n";
  for (const std::string split : {"train", "test"}) {
    for (const std::string label : {"real", "fake"}) {
      const auto folder = fs::directory_iterator(world / ("data/" + split + "/" + label));
      const std::string path = fs::absolute(folder->path()).string();
      for (int i = 0; i < 4000; ++i) manifest << path << "," << label << ",," << split << "\n";
    }
  }
  write_text(world / "many.csv", manifest.str());
  layers::ClassifierOptions large = test::narrow_network();
  large.input_size = 4096;
  large.class_names = {"real", "fake"};
  apps::save_model(world / "large.safetensors",
                   *apps::make_model(large, layers::Initialisation::kKeras, 1).classifier);
  const std::string data = world / "many.csv", model = world / "large.safetensors";
  const test::Parts expected = {"--batch 8000: needs ", "MB are available",
                                "are missing: use --batch "};
  expect_refusal(world.train("huge", {"--data", data, "--input-size", "4096", "--batch", "8000"}),
                 expected);
  expect_refusal({"eval", "--model", model, "--data", data, "--batch", "8000"}, expected);
  expect_refusal({"attack", "fgsm", "--model", model, "--data", data, "--batch", "8000",
                  "--epsilon", "0.1", "--out", world / "huge"},
                 expected);
  Words predict = {"predict", "--model", model, "--batch", "8000", "--quiet"};
  predict.insert(predict.end(), 8000, fs::directory_iterator(world / "data/test/real")->path());
  expect_refusal(predict, expected);
}

}  // namespace
}  // namespace verace::bad_input_test
