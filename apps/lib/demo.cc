// The demonstration, step by step.
#include "apps/lib/demo.h"

#include <array>
#include <chrono>

#include "apps/lib/evaluation_report.h"
#include "apps/lib/progress.h"
#include "apps/lib/trainer.h"
#include "data/synthetic.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSize = 64;          // pixels
constexpr int64_t kStemChannels = 16;  // a quarter of ResNet-50's width
constexpr int64_t kHeadNeurons = 64;
constexpr double kHeadSlope = 0.05;

// Chosen by trying: how much training the two tasks need to be learnt in well under a minute.
struct Schedule {
  std::array<int64_t, 3> squares, discs;  // pictures per class: train, val, test
  int64_t pretraining_epochs, finetuning_epochs;
};
Schedule schedule(bool quick) {
  if (quick) return {{200, 20, 40}, {100, 20, 40}, 3, 3};
  return {{1000, 100, 200}, {400, 50, 200}, 9, 5};
}

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
        schedule_(schedule(options.quick)),
        out_(out),
        exec_(kernels::make_exec(options.device, options.threads)),
        squares_(options.out / "squares"),
        discs_(options.out / "discs") {}

  DemoResult run();

 private:
  void render();
  TrainOptions common() const;
  bool train_on(const TrainOptions& options);
  Evaluation evaluate_on(const fs::path& data, const layers::Classifier& classifier);
  void judge_pictures(const layers::Classifier& classifier);
  void attack(const layers::Classifier& classifier);
  void summarise();
  void title(const std::string& text) {
    text::print(out_, "\n== {}\n", text);
    out_.flush();
  }

  const DemoOptions& options_;
  Schedule schedule_;
  std::ostream& out_;
  kernels::Exec exec_;
  fs::path squares_, discs_;
  DemoResult result_;
};

void Demo::render() {
  title("rendering pictures (no photographs: all are drawn by this program)");
  data::SyntheticOptions synthetic;
  synthetic.size = kSize;
  synthetic.pictures_per_class = schedule_.squares;
  synthetic.seed = 2 * options_.seed;
  synthetic.only_shape = data::Shape::kSquare;
  data::write_synthetic_dataset(squares_, synthetic);
  synthetic.pictures_per_class = schedule_.discs;
  synthetic.seed = 2 * options_.seed + 1;
  synthetic.only_shape = data::Shape::kDisc;
  data::write_synthetic_dataset(discs_, synthetic);
  text::print(out_,
              "{}: striped and checkered squares, for the first task\n"
              "{}: fewer discs, for the second\n"
              "stripes are called real, checkers fake\n",
              squares_.string(), discs_.string());
}

TrainOptions Demo::common() const {
  TrainOptions train;
  train.input_size = kSize;
  train.batch = 32;
  train.learning_rate = 1e-3;
  train.flip = true;
  train.cache_mb = 64;
  train.seed = options_.seed;
  train.device = options_.device;
  train.threads = options_.threads;
  train.quiet = options_.quiet;
  return train;
}

// False when a signal stopped it.
bool Demo::train_on(const TrainOptions& options) {
  const TrainResult result = train(options, out_);
  result_.signal = result.signal;
  return result.finished;
}

Evaluation Demo::evaluate_on(const fs::path& data, const layers::Classifier& classifier) {
  data::LoaderOptions loading;
  loading.fit.size = kSize;
  data::Loader loader(
      data::select_split(data::load_dataset(data), data::Split::kTest, data.string()), loading);
  InferenceSession session(classifier, exec_, std::make_shared<engine::Arena>());
  return evaluate(session, loader, data.string(), default_progress(options_.quiet));
}

void Demo::judge_pictures(const layers::Classifier& classifier) {
  title("verdicts about single pictures (verace predict)");
  std::vector<fs::path> paths;
  for (const char* name : {"real", "fake"}) {
    const auto all = expand_pictures({(discs_ / "test" / name).string()});
    paths.insert(paths.end(), all.begin(), all.begin() + 3);
  }
  InferenceSession session(classifier, exec_, std::make_shared<engine::Arena>(), 6);
  result_.predictions =
      predict(session, paths, fit_options(classifier.options(), data::Fit::kStretch), {});
  for (const Prediction& picture : result_.predictions.pictures) {
    if (!picture.error.empty()) fail_input(picture.error);
  }
  result_.predictions.mean_fake_probability.reset();  // both kinds on purpose: no common verdict
  text::print(out_, "{}", predictions_text(result_.predictions, 1));
}

void Demo::attack(const layers::Classifier& classifier) {
  title("attack: fast gradient sign method (verace attack fgsm)");
  AttackOptions attack;
  attack.epsilons = {0.002, 0.005, 0.01, 0.02};
  attack.fit.size = kSize;
  attack.out = options_.out / "attack";
  attack.input_root = discs_;
  result_.attack = run_fgsm(
      classifier, exec_, data::select_split(data::load_dataset(discs_), data::Split::kTest, "demo"),
      attack, result_.model.string(), default_progress(options_.quiet));
  weights::write_file_atomically((attack.out / "attack.json").string(),
                                 attack_json(result_.attack, result_.model.string()));
  text::print(out_, "{}", attack_table(result_.attack));
}

void Demo::summarise() {
  const AttackFigures& last = result_.attack.figures.back();
  const std::string text = text::format(
      "Verace demonstration, seed {}{}. The pictures are rendered, not photographs: the figures "
      "say\n"
      "that the program works, not how well it recognises deep-fakes.\n\n"
      "first task, from scratch (squares):  accuracy {:.1f} % of {} unseen pictures\n"
      "second task, fine-tuned (discs):     accuracy {:.1f} % of {} unseen pictures, AUC {:.4f}\n"
      "the same under attack, epsilon {}: accuracy {:.1f} %\n"
      "time: {:.0f} s\n\n"
      "network:            {}\n"
      "learning curves:    {}\n"
      "attacked pictures:  {}\n",
      options_.seed, options_.quick ? " (quick)" : "",
      100 * result_.pretrained.faces.accuracy.value(), result_.pretrained.faces.count,
      100 * result_.finetuned.faces.accuracy.value(), result_.finetuned.faces.count,
      result_.finetuned.faces.auc.value_or(0), last.epsilon, 100 * last.accuracy_after,
      result_.seconds, result_.model.string(), (options_.out / "finetuned" / "curve.svg").string(),
      (options_.out / "attack").string());
  weights::write_file_atomically((options_.out / "summary.txt").string(), text);
  title("summary");
  text::print(out_, "{}\nthe result is in {}\n", text, options_.out.string());
}

DemoResult Demo::run() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  render();
  title("first task: a narrow ResNet-50 learns textures of squares from scratch (verace train)");
  TrainOptions pretraining = common();
  pretraining.data = squares_;
  pretraining.stem_channels = kStemChannels;
  pretraining.initialisation = layers::Initialisation::kPyTorch;
  pretraining.epochs = schedule_.pretraining_epochs;
  pretraining.out = options_.out / "pretrained";
  if (!train_on(pretraining)) return std::move(result_);
  title("second task: fine-tuning on discs, the first 15 layers frozen, a new head");
  TrainOptions finetuning = common();
  finetuning.data = discs_;
  finetuning.weights = pretraining.out / "best.safetensors";
  finetuning.freeze = "keras:15";
  finetuning.head_hidden = kHeadNeurons;
  finetuning.head_slope = kHeadSlope;
  finetuning.epochs = schedule_.finetuning_epochs;
  finetuning.out = options_.out / "finetuned";
  if (!train_on(finetuning)) return std::move(result_);
  result_.pretrained = evaluate_on(squares_, *load_model(finetuning.weights.string()).classifier);
  result_.model = finetuning.out / "best.safetensors";
  const LoadedModel model = load_model(result_.model.string());
  title("evaluation on unseen discs (verace eval)");
  result_.finetuned = evaluate_on(discs_, *model.classifier);
  text::print(out_, "{}", evaluation_text(result_.finetuned));
  judge_pictures(*model.classifier);
  attack(*model.classifier);
  result_.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  summarise();
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
