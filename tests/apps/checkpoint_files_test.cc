// The two checkpoints of a run: rotation, damage, falling back, and records that fit.
#include "apps/lib/checkpoint_files.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/apps/run_comparison.h"
#include "weights/atomic_file.h"
#include "weights/safetensors_checksum.h"

namespace verace::apps::checkpoint_files_test {
namespace {

namespace fs = std::filesystem;

TrainOptions resumed(const std::string& run) {
  TrainOptions resume;
  resume.resume = run + "/last.safetensors";
  resume.quiet = true;
  return resume;
}

// One run of 2 epochs of 5 steps that nothing has disturbed, and a copy of one that was stopped in
// the second epoch, after step 2: its previous checkpoint is that of the first epoch's end.
class Runs {
 public:
  Runs() {
    trained(tiny_run(folder_ / "whole"));
    TrainOptions part = tiny_run(folder_ / "stopped");
    part.max_steps = 7;
    trained(part);
  }
  static const Runs& get() {
    static const Runs runs;
    return runs;
  }
  std::string whole() const { return folder_ / "whole"; }
  std::string copy() const {
    const std::string to = folder_ / ("copy" + std::to_string(copies_++));
    fs::copy(folder_ / "stopped", to, fs::copy_options::recursive);
    return to;
  }
  const TempFolder& folder() const { return folder_; }

 private:
  TempFolder folder_;
  mutable int copies_ = 0;
};

int64_t steps_in(const std::string& file) { return read_checkpoint(file).state.global_step; }

TEST_CASE("a run keeps its last two checkpoints") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "run");
  o.max_steps = 1;
  trained(o);
  const std::string last = folder / "run/last.safetensors";
  const std::string previous = folder / "run/previous.safetensors";
  CHECK(steps_in(last) == 1);
  CHECK_FALSE(fs::exists(previous));
  TrainOptions resume = resumed(o.out);
  resume.max_steps = 2;
  const std::string first = read_text(last);
  trained(resume);
  CHECK(steps_in(last) == 3);
  CHECK(read_text(previous) == first);
  // Stored every 2 steps, which is not forgotten by the next process.
  resume.save_every = 2;
  resume.max_steps = 3;  // stored after step 4, the end of the epoch, step 6
  trained(resume);
  CHECK(steps_in(last) == 6);
  CHECK(steps_in(previous) == 5);
  resume.save_every.reset();
  trained(resume);  // after steps 7 and 9
  CHECK(steps_in(last) == 9);
  CHECK(steps_in(previous) == 7);
  resume.max_steps = 0;
  trained(resume);
  CHECK(first_run_difference(Runs::get().whole(), o.out) == "");
}

void change(const std::string& file, const std::function<void(std::string&)>& how) {
  std::string bytes = read_text(file);
  how(bytes);
  test::write_text(file, bytes);
}

struct Damage {
  const char* name;
  std::function<void(const std::string& file)> apply;
  std::string said;
};

std::vector<Damage> damages() {
  const auto flip = [](size_t from_end) {
    return [from_end](const std::string& file) {
      change(file, [&](std::string& b) {
        char& byte = b[from_end == 0 ? b.size() / 3 : b.size() - from_end];
        byte = static_cast<char>(byte ^ 1);
      });
    };
  };
  const auto resize = [](double share) {
    return [share](const std::string& file) {
      change(file, [&](std::string& b) {
        b.resize(static_cast<size_t>(static_cast<double>(b.size()) * share));
      });
    };
  };
  const auto key = [](const std::string& from, const std::string& to) {
    return [from, to](const std::string& file) {
      change(file, [&](std::string& b) { b.replace(b.find(from), from.size(), to); });
    };
  };
  return {
      {"its last bit", flip(1), "is damaged"},
      {"a bit of a weight", flip(0), "is damaged"},
      {"half of it", resize(0.5), "truncated"},
      {"a byte less", [](const std::string& f) { change(f, [](std::string& b) { b.pop_back(); }); },
       "truncated"},
      {"a block of zeros",
       [](const std::string& f) {
         change(f, [](std::string& b) { b.replace(b.size() / 2, 4096, 4096, '\0'); });
       },
       "is damaged"},
      {"all of it", resize(0), "last.safetensors"},
      {"nothing but zeros",
       [](const std::string& f) { change(f, [](std::string& b) { b.assign(b.size(), '\0'); }); },
       "last.safetensors"},
      {"the checksum's name", key("verace.checksum", "verace.checksun"), "is damaged"},
      {"the checksum", key("\"xxh64:", "\"xxh65:"), "is damaged"},
      {"a tensor's name", key("optimizer.m.conv1.weight", "optimizer.m.conv2.weight"),
       "is damaged"},
      {"the file", [](const std::string& f) { fs::remove(f); }, "is missing"}};
}

TEST_CASE("a damaged checkpoint: one line, and the run goes on from the one before it") {
  const Runs& runs = Runs::get();
  for (const Damage& damage : damages()) {
    INFO(std::string(damage.name));
    const std::string run = runs.copy();
    const std::string previous = read_text(run + "/previous.safetensors");
    damage.apply(run + "/last.safetensors");
    TrainOptions resume = resumed(run);
    resume.max_steps = 1;
    const std::string said = trained(resume);
    const std::string line = said.substr(0, said.find('\n'));
    CHECK_MESSAGE(line.starts_with("WARNING: " + run + "/last.safetensors: "), line);
    CHECK(contains(line, damage.said));
    CHECK(contains(line, "; going on from the one before it: " + run +
                             "/previous.safetensors, epoch 2, after step 0"));
    // What was good is still there, what was not is replaced.
    CHECK(read_text(run + "/previous.safetensors") == previous);
    CHECK(steps_in(run + "/last.safetensors") == 6);
    const std::string rest = trained(resumed(run));
    CHECK_FALSE(rest.find("WARNING") != std::string::npos);
    CHECK(first_run_difference(runs.whole(), run) == "");
  }
}

TEST_CASE("two damaged checkpoints: an error that says so of both, and nothing is touched") {
  const Runs& runs = Runs::get();
  for (const Damage& damage : damages()) {
    INFO(std::string(damage.name));
    const std::string run = runs.copy();
    damage.apply(run + "/last.safetensors");
    change(run + "/previous.safetensors", [](std::string& b) { b.back() ^= 1; });
    const std::string before = read_text(run + "/previous.safetensors");
    const std::string error = input_error([&] { trained(resumed(run)); });
    CHECK_MESSAGE(error.starts_with(run + "/last.safetensors: "), error);
    CHECK(contains(error, damage.said));
    CHECK(contains(error, run + "/previous.safetensors: is damaged"));
    CHECK(contains(error, "no checkpoint is left"));
    CHECK(read_text(run + "/previous.safetensors") == before);
  }
}

TEST_CASE("only a run's own last checkpoint has one before it") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy();
  // A copy under another name stands for itself.
  fs::copy(run + "/last.safetensors", run + "/mine.safetensors");
  change(run + "/mine.safetensors", [](std::string& b) { b.back() ^= 1; });
  TrainOptions resume = resumed(run);
  resume.resume = run + "/mine.safetensors";
  CHECK(contains(input_error([&] { trained(resume); }), "mine.safetensors: is damaged"));
  // Going back by hand: the later one is replaced, this one stays.
  resume.resume = run + "/previous.safetensors";
  resume.max_steps = 1;
  const std::string previous = read_text(resume.resume);
  CHECK(contains(trained(resume), "previous.safetensors, epoch 2, after step 0"));
  CHECK(read_text(resume.resume) == previous);
  CHECK(steps_in(run + "/last.safetensors") == 6);
  // Not into the folder of another run; into a new one.
  const std::string other = runs.copy();
  resume = resumed(run);
  resume.out = other;
  resume.max_steps = 1;
  CHECK(contains(input_error([&] { trained(resume); }), "already holds a run"));
  fs::create_directories(runs.folder() / "new");
  resume.out = runs.folder() / "new";
  CHECK(contains(trained(resume), "best.safetensors is missing: epoch"));
  CHECK(steps_in((resume.out / "last.safetensors").string()) == 7);
  CHECK_FALSE(fs::exists(resume.out / "previous.safetensors"));
  // An empty folder, and one that a run was killed in before it had stored anything.
  fs::create_directories(runs.folder() / "empty");
  CHECK(contains(input_error([&] { trained(resumed(runs.folder() / "empty")); }),
                 "nothing was stored there yet"));
  fs::remove(run + "/last.safetensors");
  fs::remove(run + "/previous.safetensors");
  CHECK(contains(input_error([&] { trained(tiny_run(run)); }), "replace it with --overwrite"));
}

TEST_CASE("a run that --overwrite has moved aside for one that stored nothing can be found again") {
  const std::string run = Runs::get().copy(), last = run + "/last.safetensors";
  fs::rename(last, last + kReplaced);
  fs::rename(run + "/previous.safetensors", run + "/previous.safetensors" + kReplaced);
  const std::string message = input_error([&] { trained(resumed(run)); });
  CHECK(
      contains(message, "last.safetensors: there is no such file, but last.safetensors.replaced"));
  CHECK(contains(message, "rename the files *.replaced in the folder back"));
  for (const char* name : {"/last.safetensors", "/previous.safetensors"}) {
    fs::rename(run + name + kReplaced, run + name);
  }
  trained(resumed(run));
  CHECK(first_run_difference(Runs::get().whole(), run) == "");
}

TEST_CASE("a link to a checkpoint elsewhere stays, and the one before it lies beside the file") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy(), elsewhere = runs.folder() / "elsewhere";
  fs::create_directories(elsewhere);
  fs::remove(run + "/previous.safetensors");
  fs::rename(run + "/last.safetensors", elsewhere + "/big.safetensors");
  fs::create_symlink(elsewhere + "/big.safetensors", run + "/last.safetensors");
  const std::string stored = read_text(elsewhere + "/big.safetensors");
  TrainOptions resume = resumed(run);
  resume.max_steps = 1;
  trained(resume);
  CHECK(fs::is_symlink(run + "/last.safetensors"));
  CHECK(read_text(elsewhere + "/previous.safetensors") == stored);
  change(elsewhere + "/big.safetensors", [](std::string& b) { b.back() ^= 1; });
  CHECK(contains(trained(resume), elsewhere + "/previous.safetensors, epoch 2, after step 2"));
  trained(resumed(run));
  CHECK(steps_in(elsewhere + "/big.safetensors") == 10);
}

TEST_CASE("checkpoints of older programs, without a checksum, are read") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy(), last = run + "/last.safetensors";
  const weights::WeightFile file(last);
  std::vector<weights::TensorToWrite> tensors;
  for (const weights::TensorView& t : file.tensors()) {
    tensors.emplace_back(t.name, t.shape, t.dtype, t.bytes);
  }
  auto metadata = file.metadata();
  metadata.erase(weights::kChecksumKey);
  const auto rewrite = [&](const std::function<void(nlohmann::json&)>& how) {
    auto json = nlohmann::json::parse(file.metadata().at("verace.checkpoint"));
    how(json);
    metadata["verace.checkpoint"] = json.dump();
    weights::write_safetensors(run + "/old", tensors, metadata);
    return input_error_if_any([&] { read_checkpoint(run + "/old"); });
  };
  // What format 1 knew.
  const auto as_old = [](nlohmann::json& json) {
    json["format"] = 1;
    json.erase("machine");
    json.erase("pictures");
    json.erase("synthetic");
    json["state"].erase("best_digest");
  };
  CHECK(rewrite(as_old) == "");
  fs::rename(run + "/old", last);
  trained(resumed(run));
  CHECK(first_run_difference(runs.whole(), run) == "");
  CHECK(weights::check_checksum(last) == weights::Checksum::kRight);
  // A newer one that has lost its checksum is damaged; one of a later program is refused.
  CHECK(contains(rewrite([](nlohmann::json&) {}), "is damaged"));
  CHECK(contains(rewrite([](nlohmann::json& json) { json["format"] = 3; }), "another version"));
}

TEST_CASE("the records fit the checkpoint that a run goes on from") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy();
  // The end of the run, with its records; and the checkpoint of before the end of its first epoch.
  TrainOptions part = tiny_run(run + "-early");
  part.max_steps = 3;
  trained(part);
  trained(resumed(run));
  CHECK(lines_without_times(run + "/metrics.jsonl").size() == 2);
  for (const std::string& early :
       {run + "-early/last.safetensors", run + "/previous.safetensors"}) {
    const std::string copy = runs.copy();
    fs::remove_all(copy);
    fs::copy(run, copy, fs::copy_options::recursive);
    fs::copy(early, copy + "/previous.safetensors", fs::copy_options::overwrite_existing);
    change(copy + "/last.safetensors", [](std::string& b) { b.back() ^= 1; });
    const TrainingState state = read_checkpoint(early).state;
    TrainOptions resume = resumed(copy);
    resume.max_steps = 1;
    const std::string said = trained(resume);
    INFO(said);
    const bool first_epoch = state.epoch == 0;
    CHECK(fs::exists(copy + "/metrics.jsonl") != first_epoch);
    CHECK(fs::exists(copy + "/curve.svg") != first_epoch);
    if (!first_epoch) CHECK(lines_without_times(copy + "/metrics.jsonl").size() == 1);
    const std::string events = copy + "/tensorboard/events.out.tfevents.verace";
    if (!first_epoch) CHECK(test::read_events(read_text(events)).size() == 2);
    CHECK(find_run_record(copy)->epochs == state.epoch);
    CHECK(find_run_record(copy)->steps == state.global_step + 1);
    CHECK_FALSE(find_run_record(copy)->finished);
    const TrainingState end = read_checkpoint(run + "/last.safetensors").state;
    const bool later = !first_epoch && end.best_epoch == 2;
    CHECK((said.find("is not of epoch 1, the best one so far, but of a later one") !=
           std::string::npos) == later);
    trained(resumed(copy));
    CHECK(first_run_difference(runs.whole(), copy) == "");
  }
}

TEST_CASE("records that were lost with the process are made again, also of a run that is over") {
  const Runs& runs = Runs::get();
  const std::string run = runs.copy();
  trained(resumed(run));
  CHECK(contains(input_error([&] { trained(resumed(run)); }), "all 2 epochs are done"));
  for (const char* name :
       {"metrics.jsonl", "curve.svg", "run.json", "tensorboard/events.out.tfevents.verace"}) {
    fs::remove(run + "/" + name);
  }
  test::write_text(run + "/.verace-tmp-1-0", "half");
  test::write_text(run + "/tensorboard/.verace-tmp-1-0", "half");
  std::ostringstream out;
  const TrainResult result = train(resumed(run), out);
  CHECK(result.finished);
  CHECK(result.global_step == 10);
  CHECK(contains(out.str(), "what is missing of the run's records follows"));
  CHECK(first_run_difference(runs.whole(), run) == "");
  // Of a report whose writer was killed.
  test::write_text(run + "/figures/.verace-tmp-1-data-0", "half");
  CHECK(contains(input_error([&] { trained(resumed(run)); }), "all 2 epochs are done"));
  CHECK(temporary_files(run).empty());
  // The best model is missed, too.
  fs::remove(run + "/best.safetensors");
  TrainOptions more = resumed(run);
  more.resume_epochs = 3;
  more.max_steps = 1;
  CHECK(contains(trained(more), "best.safetensors is missing: epoch"));
}

TEST_CASE("faces that were drawn stay drawn when a run goes on without its record") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "run");
  o.synthetic = true;
  o.max_steps = 1;
  trained(o);
  fs::remove(folder / "run/run.json");
  TrainOptions resume = resumed(folder / "run");
  resume.max_steps = 1;
  trained(resume);
  CHECK(find_run_record(folder / "run")->synthetic);
}

TEST_CASE("another machine and other pictures are named") {
  const TempFolder folder;
  TrainOptions o = tiny_run(folder / "run");
  o.max_steps = 1;
  trained(o);
  const std::string last = folder / "run/last.safetensors";
  Checkpoint checkpoint = read_checkpoint(last);
  CHECK(contains(checkpoint.recipe.machine, "oneDNN"));
  TrainOptions resume = resumed(o.out);
  resume.max_steps = 1;
  CHECK_FALSE(trained(resume).find("by rounding") != std::string::npos);
  checkpoint = read_checkpoint(last);
  checkpoint.recipe.machine = "abacus; beads 1.0";
  const LoadedModel model = load_model(last);
  optim::Adam adam(model.classifier->table(), {});
  load_moments(last, adam);
  save_checkpoint(last, *model.classifier, adam, checkpoint);
  CHECK(contains(trained(resume), "instead of abacus; beads 1.0: the numbers may differ"));
  // The same pictures elsewhere, then one of another name.
  const std::string moved = folder / "moved";
  fs::copy(tiny_dataset(), moved, fs::copy_options::recursive);
  resume.data = moved;
  CHECK_FALSE(trained(resume).find("other pictures") != std::string::npos);
  const fs::path picture = fs::directory_iterator(moved + "/train/real")->path();
  fs::rename(picture, picture.parent_path() / ("renamed" + picture.extension().string()));
  CHECK(contains(trained(resume), "trained on other pictures than before (22 pictures "));
}

}  // namespace
}  // namespace verace::apps::checkpoint_files_test
