// The epochs of training.
#include "apps/lib/trainer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>

#include "apps/lib/evaluator.h"
#include "apps/lib/memory_limit.h"
#include "apps/lib/progress.h"
#include "apps/lib/signals.h"
#include "apps/lib/trainer_batches.h"
#include "apps/lib/trainer_memory.h"
#include "apps/lib/trainer_recalibrate.h"
#include "apps/lib/trainer_record.h"
#include "apps/lib/trainer_setup.h"
#include "apps/lib/trainer_store.h"
#include "kernels/check.h"
#include "kernels/conv2d.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double seconds_since_1970() {
  // The system's clock counts from there (C++20).
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

SplitMetrics split_metrics(const Evaluation& e) {
  // The loader refuses a split of which no picture can be read: there is a loss and an accuracy.
  return {e.faces.loss.value(),       e.faces.accuracy.value(),
          e.faces.balanced_accuracy,  e.faces.auc,
          e.videos.accuracy,          e.videos.auc,
          e.faces.average_precision,  e.faces.equal_error_rate,
          e.faces.calibration_error,  e.videos.loss,
          e.videos.balanced_accuracy, e.videos.average_precision,
          e.videos.equal_error_rate,  e.videos.calibration_error};
}

std::string split_text(const char* name, const SplitMetrics& s) {
  std::string text = text::format(" | {} loss {:.4f}, accuracy {:.4f}", name, s.loss, s.accuracy);
  if (s.balanced_accuracy) text += text::format(", balanced {:.4f}", *s.balanced_accuracy);
  if (s.auc) text += text::format(", AUC {:.4f}", *s.auc);
  if (s.video_accuracy) text += text::format(", videos {:.4f}", *s.video_accuracy);
  return text;
}

// The split that decides which epoch is the best.
const SplitMetrics& judge_of(const EpochMetrics& epoch) {
  return epoch.val ? *epoch.val : epoch.test.value();
}

bool better(const SplitMetrics& a, const SplitMetrics& b) {
  const double share_a = a.balanced_accuracy.value_or(a.accuracy);
  const double share_b = b.balanced_accuracy.value_or(b.accuracy);
  return share_a != share_b ? share_a > share_b : a.loss < b.loss;
}

class Run {
 public:
  Run(TrainingSetup setup, std::ostream& out)
      : setup_(std::move(setup)),
        options_(setup_.options),
        state_(setup_.checkpoint.state),
        out_(out),
        folder_(options_.out, !options_.resume.empty()),
        style_(default_progress(options_.quiet)),
        recorder_(setup_, folder_, out),
        store_(setup_, folder_, recorder_, out) {}

  TrainResult run();

 private:
  TrainResult run_epochs();
  [[noreturn]] void fail(const Error& error, const std::string& advice);
  bool train_epoch();
  bool evaluate_epoch(EpochMetrics& metrics);
  // One step on `batch`; reads the batch after it into `next` while a device works. False: there is
  // none.
  bool take_step(BatchReader& reader, const data::Batch& batch, data::Batch& next);
  void finish_epoch(EpochMetrics metrics);
  void store_in_between();
  std::string moment() const { return moment_of(state_); }
  void note_stop();
  void report_broken();
  EpochMetrics training_metrics() const;
  void add_loss_scale(EpochMetrics& metrics) const;
  bool must_stop() const {
    return stop_signal() != 0 || (options_.max_steps > 0 && steps_here_ >= options_.max_steps);
  }

  TrainingSetup setup_;
  const TrainOptions& options_;
  TrainingState& state_;
  std::ostream& out_;
  RunFolder folder_;
  ProgressStyle style_;
  int64_t steps_here_ = 0;  // of this process
  size_t broken_reported_ = 0;
  std::optional<ChosenThresholds> thresholds_;  // of the epoch that was judged last, with --fpr
  TrainingRecorder recorder_;
  TrainingStore store_;
};

EpochMetrics Run::training_metrics() const {
  EpochMetrics m;
  m.epoch = state_.epoch + 1;
  const auto samples = static_cast<double>(std::max<int64_t>(state_.epoch_samples, 1));
  m.train_loss = state_.epoch_loss_sum / samples;
  m.train_accuracy = static_cast<double>(state_.epoch_correct) / samples;
  m.seconds = state_.epoch_seconds;
  if (m.seconds > 0) {
    m.images_per_second = static_cast<double>(state_.epoch_samples) / m.seconds;
    m.loader_wait_share = std::min(state_.epoch_wait / m.seconds, 1.0);
  }
  m.learning_rate = options_.learning_rate;
  return m;
}

// Waits for the device: once an epoch.
void Run::add_loss_scale(EpochMetrics& metrics) const {
  if (!setup_.adam->options().loss_scale) return;
  const kernels::LossScaleState now = setup_.adam->loss_scale();
  int64_t before = 0;
  for (const EpochMetrics& epoch : state_.history) before += epoch.skipped_steps.value_or(0);
  metrics.loss_scale = now.scale;
  metrics.skipped_steps = now.skipped - before;
}

bool Run::take_step(BatchReader& reader, const data::Batch& batch, data::Batch& next) {
  recorder_.before_step(steps_here_, static_cast<int64_t>(batch.labels.size()));
  setup_.session->start(batch);
  // Not where this step is the last one: a broken picture behind it must not end the run.
  const bool last =
      stop_signal() != 0 || (options_.max_steps > 0 && steps_here_ + 1 >= options_.max_steps);
  const bool read = !last && reader.next(next);
  if (read) setup_.session->stage(next);
  const TrainingOutcome outcome =
      setup_.session->finish(text::format("epoch {}, step {}", state_.epoch + 1, state_.step + 1));
  ++steps_here_;
  ++state_.step;
  ++state_.global_step;
  state_.epoch_samples += outcome.count;
  state_.epoch_correct += outcome.correct;
  state_.epoch_loss_sum += outcome.loss_sum;
  return read;
}

// The rest of the running epoch; false when it was stopped.
bool Run::train_epoch() {
  data::Loader& loader = *setup_.train;
  loader.start_epoch(state_.epoch);
  BatchReader reader(loader, setup_.batch_statistics);
  std::array<data::Batch, 2> batches;  // the one of the step, and the one after it
  size_t now = 0;
  // A resumed epoch reads what it has seen already: only reading tells which pictures are broken.
  for (int64_t i = 0; i < state_.step; ++i) {
    if (!reader.next(batches[now])) {
      fail_input(
          text::format("{}: the data has fewer pictures than when training was stopped: "
                       "restore it, or train anew",
                       options_.data.string()));
    }
  }
  Progress progress(style_, text::format("epoch {}/{}", state_.epoch + 1, options_.epochs),
                    "pictures", loader.pictures_per_epoch());
  const Clock::time_point begin = Clock::now();
  const double seconds_before = state_.epoch_seconds, wait_before = state_.epoch_wait;
  const double skipped = loader.seconds_waited();
  bool more = true, read = false;  // read: while the step before it ran
  while (more && !must_stop()) {
    if (!read) more = reader.next(batches[now]);
    if (more) {
      read = take_step(reader, batches[now], batches[1 - now]);
      now = 1 - now;
      more = read || must_stop();
    }
    state_.epoch_seconds = seconds_before + seconds_since(begin);
    state_.epoch_wait = wait_before + loader.seconds_waited() - skipped;
    const EpochMetrics so_far = training_metrics();
    progress.update(state_.epoch_samples, text::format("loss {:.4f} accuracy {:.3f}",
                                                       so_far.train_loss, so_far.train_accuracy));
    if (more && !must_stop()) store_in_between();
  }
  return !more;
}

// False when a signal came before all was judged.
bool Run::evaluate_epoch(EpochMetrics& metrics) {
  recalibrate(setup_, style_);
  setup_.inference->refresh();
  const std::string model = options_.out.string();
  const auto judge = [&](data::Loader* loader, const char* name,
                         std::optional<SplitMetrics>& target) {
    if (loader == nullptr) return true;
    Evaluation e = [&] {
      try {
        return evaluate(*setup_.inference, *loader, model, style_, name);
      } catch (const engine::OutOfMemory&) {
        throw;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kInput) throw;
        fail_input(text::format("{}: {}", moment(), error.what()));
      }
    }();
    if (e.stopped) return false;
    target = split_metrics(e);
    if (options_.fpr && loader == setup_.val.get()) {
      thresholds_ = choose_thresholds(face_scores(e), *options_.fpr, options_.data.string(), name,
                                      {options_.fit, options_.resize});
    }
    recorder_.judged(std::move(e), name);
    return true;
  };
  return judge(setup_.val.get(), "val", metrics.val) &&
         judge(setup_.test.get(), "test", metrics.test);
}

void Run::report_broken() {
  std::vector<std::string> messages;
  for (const auto* loader : {setup_.train.get(), setup_.val.get(), setup_.test.get()}) {
    if (loader == nullptr) continue;
    for (const data::BrokenPicture& broken : loader->broken()) messages.push_back(broken.message);
  }
  if (messages.size() == broken_reported_) return;
  broken_reported_ = messages.size();
  text::print(out_, "WARNING: {} pictures cannot be read and are left out; the first: {}\n",
              messages.size(), messages.front());
}

void Run::store_in_between() {
  const int64_t every = options_.save_every.value_or(0);
  if (every == 0 || state_.step % every != 0) return;
  setup_.session->check_parameters(moment());
  store_.save();
}

void Run::finish_epoch(EpochMetrics metrics) {
  std::string line = text::format("epoch {}/{} | train loss {:.4f}, accuracy {:.4f}", metrics.epoch,
                                  options_.epochs, metrics.train_loss, metrics.train_accuracy);
  if (metrics.val) line += split_text("val", *metrics.val);
  if (metrics.test) line += split_text("test", *metrics.test);
  line += text::format(" | {:.1f} pictures/s, {}, {:.0f} % of it waiting for pictures",
                       metrics.images_per_second, duration_text(metrics.seconds),
                       100 * metrics.loader_wait_share);
  if (metrics.loss_scale) {
    line += text::format(" | loss scale {:.6g}, steps left out by overflow: {}",
                         *metrics.loss_scale, metrics.skipped_steps.value_or(0));
  }
  const bool best = state_.best_epoch == 0 ||
                    better(judge_of(metrics),
                           judge_of(state_.history[static_cast<size_t>(state_.best_epoch - 1)]));
  if (best) {
    state_.best_epoch = metrics.epoch;
    line += " | best so far";
    if (thresholds_) line += text::format(", threshold {:.4g}", thresholds_->faces.value);
  }
  text::print(out_, "{}\n", line);
  out_.flush();
  report_broken();
  metrics.wall_time = seconds_since_1970();
  state_.history.push_back(metrics);
  ++state_.epoch;
  state_.step = 0;
  state_.epoch_samples = state_.epoch_correct = 0;
  state_.epoch_loss_sum = state_.epoch_seconds = state_.epoch_wait = 0;
  store_.save_epoch(best, thresholds_);
}

void Run::note_stop() {
  store_.save();
  text::print(out_, "stopped in epoch {} after step {}: go on with --resume {}\n", state_.epoch + 1,
              state_.step, folder_.last().string());
  out_.flush();
}

// What has failed, when, and what is left of the run.
[[noreturn]] void Run::fail(const Error& error, const std::string& advice) {
  ErrorKind kind = error.kind();
  std::string what = error.what();
  if (kind == ErrorKind::kInternal) {  // a library may not have said that the device is lost
    try {
      setup_.device.synchronize();
    } catch (const Error& cause) {
      kind = cause.kind();
      what += text::format(": {}", cause.what());
    }
  }
  if (!advice.empty()) what += "; " + advice;
  throw Error(kind, text::format("{}: {}; {}", moment(), what, store_.what_is_left()));
}

TrainResult Run::run() {
  try {
    return run_epochs();
  } catch (const engine::OutOfMemory& error) {
    if (error.memory() != engine::MemoryKind::kDevice) throw;
    fail(error, gpu_advice(setup_));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInput ||
        setup_.device.choice().kind != kernels::DeviceKind::kCuda)
      throw;
    fail(error, "");
  }
}

TrainResult Run::run_epochs() {
  if (options_.print_plan) {
    text::print(out_, "{}{}", setup_.session->plan(setup_.largest_training_batch()).plan_table(),
                kernels::conv_plan_report());
  }
  text::print(out_, "best epoch: by balanced accuracy on {}\n",
              setup_.val ? "val" : "test (there is no val: it is no unseen data any more)");
  out_.flush();
  store_.write_config();
  if (!options_.resume.empty()) store_.fit();
  bool finished = true;
  while (finished && state_.epoch < options_.epochs) {
    finished = train_epoch();
    setup_.session->check_parameters(moment());
    EpochMetrics metrics = training_metrics();
    add_loss_scale(metrics);
    finished = finished && evaluate_epoch(metrics);
    if (finished) {
      finish_epoch(metrics);
    } else {
      note_stop();
    }
    if (must_stop() && state_.epoch < options_.epochs) {
      if (finished) note_stop();
      finished = false;
    }
  }
  recorder_.finish(finished);
  TrainResult result;
  result.history = state_.history;
  result.best_epoch = state_.best_epoch;
  result.global_step = state_.global_step;
  result.finished = finished;
  result.signal = finished ? 0 : stop_signal();
  return result;
}

}  // namespace

TrainResult train(const TrainOptions& options, std::ostream& out) {
  const SignalGuard guard;
  TrainingSetup setup = prepare_training(options, out);
  plan_memory(setup, available_memory(), out);
  Run run(std::move(setup), out);  // only now a folder is made
  return run.run();
}

}  // namespace verace::apps
