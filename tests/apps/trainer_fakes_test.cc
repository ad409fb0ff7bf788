// Training on real faces alone: pseudo-fakes beside them, what is judged by what, and that it
// learns.
#include <algorithm>
#include <map>

#include "apps/lib/report/report.h"
#include "apps/lib/run_record.h"
#include "apps/lib/trainer_setup.h"
#include "data/augment.h"
#include "data/face_manifest.h"
#include "data/faces/dataset.h"
#include "data/pseudo_fakes/samples.h"
#include "kernels/exec.h"
#include "kernels/format.h"
#include "tests/apps/training_support.h"

namespace verace::apps::trainer_fakes_test {
namespace {

namespace fs = std::filesystem;

enum class Keep { kReal, kAll };

// A manifest of drawn faces, `keep` in train and `judged` in val and test.
fs::path manifest(const fs::path& folder, const data::faces::DatasetOptions& faces, Keep keep,
                  Keep judged) {
  data::faces::write_dataset(folder / "drawn", faces,
                             kernels::make_exec(kernels::DeviceKind::kCpu, 1));
  std::string text = data::face_manifest_header();
  for (const data::Sample& s : data::load_dataset(folder / "drawn/faces.csv").samples) {
    const Keep rule = s.split == data::Split::kTrain ? keep : judged;
    if (rule == Keep::kReal && s.label != data::kReal) continue;
    text += data::face_manifest_line(
        {s.path.string(), s.label, s.video, s.identity, s.split, {}, {}, {}, s.box, s.landmarks});
  }
  const fs::path path =
      folder / text::format("{}{}.csv", static_cast<int>(keep), static_cast<int>(judged));
  test::write_text(path, text);
  return path;
}

TrainOptions narrow_training(const fs::path& data, const fs::path& out) {
  TrainOptions o;
  o.data = data;
  o.out = out;
  o.stem_channels = 4;
  o.input_size = 32;
  o.epochs = 2;
  o.batch = 8;
  o.learning_rate = 1e-3;
  o.threads = 1;
  o.quiet = true;
  o.flip = true;
  o.pseudo_fakes = 1;
  return o;
}

struct Trained {
  TrainResult result;
  std::string said;
};

Trained run(const TrainOptions& options) {
  std::ostringstream out;
  TrainResult result = train(options, out);
  return {std::move(result), out.str()};
}

const data::faces::DatasetOptions kFewFaces{
    .seed = 3, .size = 32, .identities = {5, 2, 3}, .frames = 2};

}  // namespace

TEST_CASE("real faces alone train with pseudo-fakes, and are judged by them, which is said") {
  const TempFolder dir;
  const fs::path data = manifest(dir.path(), kFewFaces, Keep::kReal, Keep::kReal);
  TrainOptions o = narrow_training(data, dir.path() / "run");
  const Trained trained = run(o);
  CHECK(trained.result.finished);
  CHECK(
      contains(trained.said, "pseudo-fakes of 10 real training pictures, new ones in each epoch"));
  CHECK(contains(trained.said, "train 10 real, 10 fake"));
  CHECK(contains(trained.said, "val   4 real, 4 fake"));
  CHECK(contains(trained.said, "test  6 real, 6 fake"));
  CHECK(contains(trained.said, "val has no fakes: it is judged on pseudo-fakes"));
  CHECK(contains(trained.said, "test has no fakes: it is judged on pseudo-fakes"));
  CHECK(contains(read_text(dir.path() / "run/config.toml"), "pseudo-fakes = 1"));

  const auto record = find_run_record(dir.path() / "run");
  REQUIRE(record);
  CHECK(record->judged_on_pseudo_fakes == "val, test");
  std::ostringstream page;
  report::write_report_or_warn(dir.path() / "run", page);
  CHECK(contains(read_text(dir.path() / "run/report.html"), "Judged on pseudo-fakes: val, test."));

  o.pseudo_fakes = 0;
  o.out = dir.path() / "none";
  CHECK(contains(input_error([&] { run(o); }), "no pictures of class fake"));
}

TEST_CASE("fakes that are there stay what is judged by; pseudo-fakes join those of training") {
  const TempFolder dir;
  const fs::path data = manifest(dir.path(), kFewFaces, Keep::kAll, Keep::kAll);
  TrainOptions o = narrow_training(data, dir.path() / "run");
  o.pseudo_fakes = 0.5;
  o.epochs = 1;
  const Trained trained = run(o);
  CHECK(contains(trained.said, "pseudo-fakes of 5 real training pictures"));
  CHECK(contains(trained.said, "train 10 real, 15 fake"));
  CHECK(contains(trained.said, "test  6 real, 6 fake"));
  CHECK(!contains(trained.said, "has no fakes"));
  CHECK(find_run_record(dir.path() / "run")->judged_on_pseudo_fakes.empty());
  std::ostringstream page;
  report::write_report_or_warn(dir.path() / "run", page);
  CHECK(!contains(read_text(dir.path() / "run/report.html"), "Judged on pseudo-fakes"));
}

TEST_CASE("the same numbers with any number of workers, and after a stop; others with a seed") {
  const TempFolder dir;
  const fs::path data = manifest(dir.path(), kFewFaces, Keep::kReal, Keep::kReal);
  TrainOptions o = narrow_training(data, dir.path() / "straight");
  o.workers = 0;
  const TrainResult straight = run(o).result;
  o.workers = 3;
  o.cache_mb = 10;
  o.out = dir.path() / "workers";
  const TrainResult workers = run(o).result;
  o.out = dir.path() / "stopped";
  o.max_steps = 4;  // in the second epoch
  CHECK(!run(o).result.finished);
  TrainOptions rest;
  rest.resume = dir.path() / "stopped/last.safetensors";
  rest.quiet = true;
  const TrainResult resumed = run(rest).result;
  for (const TrainResult* other : {&workers, &resumed}) {
    REQUIRE(other->history.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      CHECK(other->history[i].train_loss == straight.history[i].train_loss);
      CHECK(other->history[i].val->loss == straight.history[i].val->loss);
    }
  }
  CHECK(read_text(dir.path() / "straight/best.safetensors") ==
        read_text(dir.path() / "stopped/best.safetensors"));
  o.max_steps = 0;
  o.seed = 2;
  o.out = dir.path() / "seed";
  CHECK(run(o).result.history[0].train_loss != straight.history[0].train_loss);
}

TEST_CASE("every run is judged on the same pseudo-fakes, whatever its seed") {
  const TempFolder dir;
  TrainOptions o = narrow_training(manifest(dir.path(), kFewFaces, Keep::kReal, Keep::kReal),
                                   dir.path() / "run");
  const auto pixels = [](data::Loader& loader) {  // of an epoch, by sample
    std::map<int64_t, std::vector<uint8_t>> seen;
    loader.start_epoch(0);
    for (data::Batch batch; loader.next(batch);) {
      const size_t size = batch.pixels.size() / batch.labels.size();
      for (size_t i = 0; i < batch.labels.size(); ++i) {
        const auto first = batch.pixels.begin() + static_cast<ptrdiff_t>(i * size);
        seen[batch.sample_index[i]].assign(first, first + static_cast<ptrdiff_t>(size));
      }
    }
    return seen;
  };
  std::ostringstream out;
  const TrainingSetup one = prepare_training(o, out);
  o.seed = 2;
  const TrainingSetup two = prepare_training(o, out);
  CHECK(pixels(*one.test).size() == 12);
  CHECK(pixels(*one.test) == pixels(*two.test));
  CHECK(pixels(*one.val) == pixels(*two.val));
  CHECK(pixels(*one.train) != pixels(*two.train));
}

TEST_CASE("pseudo-fakes: what is refused") {
  const TempFolder dir;
  TrainOptions o = narrow_training(tiny_dataset(), dir.path() / "run");
  CHECK(contains(input_error([&] { run(o); }), "has landmarks"));
  o.pseudo_fakes = 1.5;
  CHECK(contains(input_error([&] { run(o); }), "--pseudo-fakes 1.5"));
  o.pseudo_fakes = 0.5;
  o.balanced_sampling = true;
  CHECK(contains(input_error([&] { run(o); }), "--balanced-sampling"));
  CHECK(!fs::exists(dir.path() / "run"));
}

}  // namespace verace::apps::trainer_fakes_test
