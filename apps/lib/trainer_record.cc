// Recording a training run.
#include "apps/lib/trainer_record.h"

#include <algorithm>

#include "apps/lib/evaluation_record.h"
#include "apps/lib/run_record.h"
#include "apps/lib/trainer_memory.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

// Steps of this process that are traced: the first ones warm caches and are left out.
constexpr int64_t kTraceFrom = 2, kTraceTo = 5;

int64_t values_of(const std::vector<engine::Parameter*>& parameters) {
  int64_t count = 0;
  for (const engine::Parameter* p : parameters) count += engine::element_count(p->value.shape());
  return count;
}

// "val, test": those in which this program made the fakes.
std::string splits_with_pseudo_fakes(const TrainingSetup& setup) {
  std::vector<std::string> names;
  const auto look = [&](const std::unique_ptr<data::Loader>& loader, const char* name) {
    if (loader && std::ranges::any_of(loader->samples(), &data::Sample::pseudo_fake)) {
      names.emplace_back(name);
    }
  };
  look(setup.val, "val");
  look(setup.test, "test");
  return text::join(names, ", ");
}

}  // namespace

int64_t measured_batch(const std::set<int64_t>& sizes) {
  VERACE_CHECK(!sizes.empty());
  const auto above = sizes.upper_bound(kInferencePictures);
  return above == sizes.begin() ? *above : *std::prev(above);
}

TrainingRecorder::TrainingRecorder(TrainingSetup& setup, const RunFolder& folder, std::ostream& out)
    : setup_(setup), folder_(folder), out_(out), started_(utc_now()) {
  synthetic_ = setup_.options.synthetic;
  if (synthetic_ || setup_.options.resume.empty()) return;
  // Checkpoints of older programs do not tell.
  const std::optional<RunRecord> earlier = find_run_record(folder_.folder());
  synthetic_ = earlier && earlier->synthetic;
}

template <typename Action>
void TrainingRecorder::warn_if_it_fails(const char* what, Action action) {
  try {
    action();
  } catch (const std::exception& error) {
    text::print(out_, "WARNING: {} is not written: {}\n", what, one_line(error.what()));
  }
}

void TrainingRecorder::before_step(int64_t i, int64_t pictures) {
  if (i == kTraceTo) end_trace();
  warn_if_it_fails("profile.json", [&] {
    if (i == kTraceFrom) {
      trace_ = std::make_unique<engine::Trace>();
      setup_.session->set_trace(trace_.get());
    }
    if (trace_) traced_.push_back(pictures);
  });
}

void TrainingRecorder::end_trace() {
  if (!trace_) return;
  setup_.session->set_trace(nullptr);
  const std::unique_ptr<engine::Trace> trace = std::move(trace_);
  const std::string path = setup_.options.trace.string();
  warn_if_it_fails("the trace", [&] {
    if (path.empty()) return;
    weights::write_file_atomically(path, trace->chrome_json());
    text::print(out_, "trace of {} steps in {}\n{}", traced_.size(), path, trace->table());
  });
  warn_if_it_fails("profile.json", [&] {
    const int64_t largest = *std::ranges::max_element(traced_);
    profile_.training = profile_of(setup_.session->plan(largest), *trace, traced_);
  });
}

void TrainingRecorder::judged(Evaluation evaluation, const std::string& split) {
  judged_ = std::move(evaluation);
  split_ = split;
}

void TrainingRecorder::best_epoch(const std::optional<ChosenThresholds>& thresholds,
                                  const std::string& digest) {
  warn_if_it_fails("evaluation.json", [&] {
    Evaluation evaluation = std::move(judged_.value());
    judged_.reset();
    set_decision(evaluation, decide({}, thresholds));
    add_intervals(evaluation, {});
    weights::write_file_atomically(
        (folder_.folder() / "evaluation.json").string(),
        evaluation_record_json(evaluation, folder_.best().filename().string(), split_, digest));
  });
}

void TrainingRecorder::epoch_done() { write_run_record(false); }

void TrainingRecorder::fit_to_state() {
  const std::optional<RunRecord> there = find_run_record(folder_.folder());
  const TrainingState& state = setup_.checkpoint.state;
  if (there && (there->epochs != state.epoch || there->steps != state.global_step)) {
    write_run_record(false);
  }
}

void TrainingRecorder::finish(bool finished) {
  end_trace();  // of a run with fewer steps
  if (finished) {
    warn_if_it_fails("the time of inference", [&] {
      profile_.inference = profile_inference(
          *setup_.inference, measured_batch(evaluation_batches(setup_, setup_.options.batch)));
    });
  }
  // A run that goes on for a step or two knows less than the file that is there.
  if (profile_.training) {
    warn_if_it_fails("profile.json", [&] {
      weights::write_file_atomically((folder_.folder() / "profile.json").string(),
                                     profile_json(profile_));
    });
  }
  write_run_record(finished);  // the last of the files: it says that the run is whole
}

void TrainingRecorder::write_run_record(bool finished) {
  const TrainOptions& o = setup_.options;
  const TrainingState& state = setup_.checkpoint.state;
  const engine::LayerTable& table = setup_.model.classifier->table();
  const auto pictures = [](const std::unique_ptr<data::Loader>& loader) {
    return loader ? static_cast<int64_t>(loader->samples().size()) : 0;
  };
  RunRecord record;
  record.judged_on_pseudo_fakes = splits_with_pseudo_fakes(setup_);
  record.kind = "train";
  record.started = started_;
  record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  record.finished = finished;
  record.seed = o.seed;
  record.device = setup_.device.name();
  record.precision = engine::to_string(o.precision);
  record.threads = setup_.exec.threads;
  record.epochs = state.epoch;
  record.best_epoch = state.best_epoch;
  record.steps = state.global_step;
  record.train_pictures = pictures(setup_.train);
  record.val_pictures = pictures(setup_.val);
  record.test_pictures = pictures(setup_.test);
  record.parameters = values_of(table.parameters());
  record.trainable = values_of(table.trainable_parameters());
  warn_if_it_fails("run.json", [&] {
    const std::filesystem::path file = folder_.folder() / "run.json";
    record.resumed = !o.resume.empty();
    record.synthetic = synthetic_;
    describe_process(record);
    weights::write_file_atomically(file.string(), run_record_json(record));
  });
}

}  // namespace verace::apps
