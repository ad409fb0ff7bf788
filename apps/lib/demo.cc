// The demonstration, step by step.
#include "apps/lib/demo.h"

#include <algorithm>
#include <chrono>

#include "apps/lib/demo_schedule.h"
#include "apps/lib/evaluation_record.h"
#include "apps/lib/evaluation_report.h"
#include "apps/lib/progress.h"
#include "apps/lib/run_record.h"
#include "apps/lib/signals.h"
#include "apps/lib/trainer.h"
#include "apps/lib/weights_digest.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

void make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_empty(folder, error)) {
    fail_input(text::format("--out {}: is not empty: choose another folder", folder.string()));
  }
  fs::create_directories(folder, error);
  if (error) {
    fail_input(
        text::format("--out {}: cannot make the folder: {}", folder.string(), error.message()));
  }
}

class Demo {
 public:
  Demo(const DemoOptions& options, std::ostream& out)
      : options_(options),
        schedule_(demo_schedule(options.quick, options.seed)),
        out_(out),
        device_(options.device, options.threads, "--device", options.launch, options.plans),
        exec_(device_.exec()),
        drawn_(options.out / "faces"),
        faces_(options.data.empty() ? drawn_ / "faces.csv" : options.data) {}

  DemoResult run();

 private:
  bool pretrains() const { return options_.weights.empty(); }
  bool draws() const { return options_.data.empty() || pretrains(); }
  void draw();
  void check_input();
  bool train_on(const TrainOptions& options);
  bool stopped(bool yes) {
    if (yes) result_.signal = stop_signal();
    return yes;
  }
  bool pretrain();
  bool finetune();
  Evaluation evaluate_on(const fs::path& data, const layers::Classifier& classifier);
  void judge_pictures(const layers::Classifier& classifier);
  void attack(const layers::Classifier& classifier);
  std::string summary() const;
  void record();
  // Persons are known to be new where this program drew them; what a val split is for, test does
  // where there is none.
  const char* test_faces() const {
    return options_.data.empty() ? "faces of unseen persons"
           : has_val_            ? "faces of the test split"
                                 : "faces of the test split, which also chose the epoch";
  }
  // Begins a part, and ends the one before; `stage` is its short name, empty for none.
  void title(const std::string& text, const std::string& stage) {
    end_stage();
    if (!stage.empty()) record_.stages.emplace_back(stage, 0);
    text::print(out_, "\n== {}\n", text);
    out_.flush();
  }
  void end_stage() {
    const auto now = Clock::now();
    if (!record_.stages.empty() && record_.stages.back().second == 0) {
      record_.stages.back().second = std::chrono::duration<double>(now - stage_begin_).count();
    }
    stage_begin_ = now;
  }
  std::vector<data::Sample> test_samples(const fs::path& data) const {
    return data::select_split(data::load_dataset(data), data::Split::kTest, data.string());
  }

  const DemoOptions& options_;
  DemoSchedule schedule_;
  std::ostream& out_;
  engine::Device device_;
  kernels::Exec exec_;
  fs::path drawn_, faces_;
  bool has_val_ = true;
  std::string weights_;  // of the network that is judged and attacked (weights_digest.h)
  RunRecord record_;
  Clock::time_point begin_ = Clock::now(), stage_begin_ = begin_;
  DemoResult result_;
};

// What would otherwise be found wrong minutes later.
void Demo::check_input() {
  if (!options_.data.empty()) {
    const data::Dataset dataset = data::load_dataset(options_.data);
    for (const data::Split split : {data::Split::kTrain, data::Split::kTest}) {
      data::select_split(dataset, split, options_.data.string());
    }
    has_val_ = std::ranges::any_of(
        dataset.samples, [](const data::Sample& s) { return s.split == data::Split::kVal; });
  }
  if (!options_.weights.empty()) load_backbone(options_.weights.string(), {}, {});
  TrainOptions train = demo_finetuning(options_, schedule_);
  train.data = faces_;
  train.out = options_.out / "finetuned";
  check_options(train);
}

void Demo::draw() {
  title("drawing faces: SYNTHETIC, no photographs; this program renders them", "drawing faces");
  const auto begin = std::chrono::steady_clock::now();
  const auto& faces = schedule_.faces;
  Progress progress(default_progress(options_.quiet), "draw", "pictures", picture_count(faces));
  write_dataset(drawn_, faces, exec_, [&](int64_t done) { progress.update(done); });
  progress.finish();
  const auto all = faces.identities[0] + faces.identities[1] + faces.identities[2];
  text::print(out_,
              "{} persons with one real video and one fake video each, {} faces per video,\n"
              "{}x{} pixels; {} persons to learn from, {} for choosing the best epoch, {} for the "
              "test\n"
              "in a fake the inner face is another person's: aligned, matched in colour, blended\n"
              "{} faces in {:.1f} s: {}\n",
              all, faces.frames, faces.size, faces.size, faces.identities[0], faces.identities[1],
              faces.identities[2], picture_count(faces),
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
              drawn_.string());
}

// False when a signal stopped it.
bool Demo::train_on(const TrainOptions& options) {
  const TrainResult result = train(options, out_);
  // One that came while the last files were written has stopped nothing yet.
  result_.signal = result.signal != 0 ? result.signal : stop_signal();
  return result.finished && result_.signal == 0;
}

bool Demo::pretrain() {
  title("first task: a narrow ResNet-50 learns from where the light comes (verace train)",
        "first task");
  TrainOptions train = demo_pretraining(options_, schedule_);
  train.data = drawn_ / "light.csv";
  train.out = options_.out / "pretrained";
  train.synthetic = true;
  if (!train_on(train)) return false;
  const LoadedModel model = load_model((train.out / "best.safetensors").string());
  model.classifier->table().move_to(engine::memory_of(exec_));
  result_.pretrained = evaluate_on(train.data, *model.classifier);
  return !stopped(result_.pretrained.stopped);
}

bool Demo::finetune() {
  title("second task: real or fake; the first 15 layers frozen, a new head (verace train)",
        "second task");
  TrainOptions train = demo_finetuning(options_, schedule_);
  train.data = faces_;
  train.out = options_.out / "finetuned";
  train.synthetic = options_.data.empty();
  if (pretrains()) train.weights = options_.out / "pretrained" / "best.safetensors";
  return train_on(train);
}

Evaluation Demo::evaluate_on(const fs::path& data, const layers::Classifier& classifier) {
  data::LoaderOptions loading;
  loading.fit.size = classifier.options().input_size;
  data::Loader loader(test_samples(data), loading);
  InferenceSession session(classifier, exec_, std::make_shared<engine::Arena>());
  Evaluation evaluation =
      evaluate(session, loader, data.string(), default_progress(options_.quiet));
  add_intervals(evaluation, {});
  return evaluation;
}

void Demo::judge_pictures(const layers::Classifier& classifier) {
  title("verdicts about single pictures (verace predict)", "verdicts");
  constexpr int64_t kOfEachClass = 3;
  std::vector<fs::path> paths;
  for (const int32_t label : {data::kReal, data::kFake}) {
    int64_t taken = 0;
    std::string video;  // one picture of each
    for (const EvaluatedFace& face : result_.finetuned.samples) {
      if (face.label != label || face.video == video || taken == kOfEachClass) continue;
      paths.push_back(face.path);
      video = face.video;
      ++taken;
    }
  }
  InferenceSession session(classifier, exec_, std::make_shared<engine::Arena>(), 2 * kOfEachClass);
  result_.predictions =
      predict(session, paths, fit_options(classifier.options(), data::Fit::kStretch), {});
  for (const Prediction& picture : result_.predictions.pictures) {
    if (!picture.error.empty()) fail_input(picture.error);
  }
  result_.predictions.fake_probability.reset();  // both kinds on purpose: no common verdict
  text::print(out_, "{}", predictions_text(result_.predictions, 1));
}

void Demo::attack(const layers::Classifier& classifier) {
  title("attack: fast gradient sign method (verace attack fgsm)", "attack");
  AttackOptions attack;
  attack.epsilons = {0.002, 0.005, 0.01, 0.02};
  attack.fit.size = classifier.options().input_size;
  attack.out = options_.out / "attack";
  std::error_code ignored;
  const fs::path data = options_.data.empty() ? drawn_ : options_.data;
  attack.input_root = fs::is_directory(data, ignored) ? data : data.parent_path();
  result_.attack = run_fgsm(classifier, exec_, test_samples(faces_), attack, result_.model.string(),
                            default_progress(options_.quiet));
  result_.attack.weights = weights_;
  result_.attack.split = "test";
  weights::write_file_atomically((attack.out / "attack.json").string(),
                                 attack_json(result_.attack, result_.model.string(), attack.out));
  text::print(out_, "{}", attack_table(result_.attack));
}

std::string Demo::summary() const {
  const auto line = [](const Metrics& m, const Intervals& intervals, const char* what) {
    std::string text =
        text::format("{:.1f} % of {} {}", 100 * m.accuracy.value_or(0), m.count, what);
    if (const auto& i = interval_of(intervals, &Metrics::accuracy)) {
      text += text::format(" (95 % interval {:.1f} to {:.1f} %)", 100 * i->low, 100 * i->high);
    }
    return text;
  };
  std::string text = text::format("Verace demonstration, seed {}{}.\n", options_.seed,
                                  options_.quick ? " (quick)" : "");
  if (options_.data.empty()) {
    text +=
        "The faces are SYNTHETIC: drawn by this program, not photographed. The figures say that\n"
        "the program works, not how well it recognises deep-fakes.\n";
  }
  text += "\n";
  if (pretrains()) {
    text += text::format("first task, light:             {}\n",
                         line(result_.pretrained.faces, result_.pretrained.intervals->faces,
                              "faces of unseen persons"));
  }
  const Evaluation& e = result_.finetuned;
  const AttackFigures& last = result_.attack.figures.back();
  text += text::format(
      "second task, real or fake:     {}, AUC {}\n"
      "  the same by video:           {}\n"
      "under attack, epsilon {}:    {:.1f} % of the faces\n"
      "time: {:.0f} s\n\n"
      "network:            {}\n"
      "learning curves:    {}\n"
      "attacked pictures:  {}\n",
      line(e.faces, e.intervals->faces, test_faces()),
      e.faces.auc ? text::format("{:.4f}", *e.faces.auc) : "undefined",
      line(e.videos, e.intervals->videos, "videos"), last.epsilon, 100 * last.accuracy_after,
      result_.seconds, result_.model.string(), (options_.out / "finetuned" / "curve.svg").string(),
      (options_.out / "attack").string());
  return text;
}

// What the report needs beside the files of the trainings and of the attack. Its failure costs no
// result.
void Demo::record() try {
  record_.kind = "demo";
  record_.seconds = result_.seconds;
  record_.finished = true;
  record_.seed = options_.seed;
  record_.device = device_.name();
  record_.threads = exec_.threads;
  record_.synthetic = options_.data.empty();
  record_.quick = options_.quick;
  describe_process(record_);
  const auto write = [this](const char* name, const std::string& text) {
    weights::write_file_atomically((options_.out / name).string(), text);
  };
  write("run.json", run_record_json(record_));
  write("evaluation.json",
        evaluation_record_json(result_.finetuned, result_.model.filename().string(), "test",
                               weights_));
} catch (const std::exception& error) {
  text::print(out_, "WARNING: the report will not be whole: {}\n", one_line(error.what()));
}

DemoResult Demo::run() {
  record_.started = utc_now();
  check_input();
  if (draws()) draw();
  if (pretrains() && !pretrain()) return std::move(result_);
  if (!finetune()) return std::move(result_);
  result_.model = options_.out / "finetuned" / "best.safetensors";
  const LoadedModel model = load_model(result_.model.string());
  model.classifier->table().move_to(engine::memory_of(exec_));
  weights_ = weights_digest(result_.model.string());
  title(text::format("evaluation on the {} (verace eval)", test_faces()), "evaluation");
  result_.finetuned = evaluate_on(faces_, *model.classifier);
  if (stopped(result_.finetuned.stopped)) return std::move(result_);
  text::print(out_, "{}", evaluation_text(result_.finetuned));
  judge_pictures(*model.classifier);
  attack(*model.classifier);
  if (stopped(result_.attack.stopped)) return std::move(result_);
  result_.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  title("summary", "");
  const std::string text = summary();
  weights::write_file_atomically((options_.out / "summary.txt").string(), text);
  text::print(out_, "{}\nthe result is in {}\n", text, options_.out.string());
  record();
  return std::move(result_);
}

}  // namespace

fs::path free_demo_folder() {
  const fs::path first = fs::path("runs") / "demo";
  std::error_code error;
  fs::path folder = first;
  for (int i = 2; fs::exists(folder, error) && !fs::is_empty(folder, error); ++i) {
    folder = first.string() + text::format("-{}", i);
  }
  return folder;
}

DemoResult run_demo(const DemoOptions& options, std::ostream& out) {
  make_folder(options.out);
  return Demo(options, out).run();
}

}  // namespace verace::apps
