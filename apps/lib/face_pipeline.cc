// Workers take one video after the other; the calling thread serves the detector.
#include "apps/lib/face_pipeline.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "apps/lib/faces/contact_sheet.h"
#include "apps/lib/faces/finder_service.h"
#include "apps/lib/signals.h"
#include "apps/lib/video_set_report.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience{50};  // between two looks at signals and progress

void make_out(const fs::path& out) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error || !fs::is_directory(out, error)) {
    fail_input(text::format("--out {}: cannot be made a folder ({}): choose another name",
                            data::name_of(out), error ? error.message() : "a file is there"));
  }
}

class Workers {
 public:
  Workers(const FacePipelineOptions& options, const std::vector<FaceJob>& jobs,
          FinderService& service)
      : options_(options), service_(service), videos_(jobs.size()) {
    for (size_t i = 0; i < jobs.size(); ++i) videos_[i].job = jobs[i];
  }

  // Ends when all videos are done, a worker has failed, or a signal has come.
  void run() {
    const auto count = std::min<int64_t>(options_.workers, static_cast<int64_t>(videos_.size()));
    Progress progress(options_.progress, "faces", "videos", static_cast<int64_t>(videos_.size()));
    working_ = count;
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
    while (working_ > 0) {
      service_.serve(kPatience);
      if (stop_signal() != 0) give_up();
      progress.update(done_, text::format("{} faces", faces_.load()));
    }
    threads.clear();  // joins
    if (error_) std::rethrow_exception(error_);
  }

  std::vector<DoneVideo> take() { return std::move(videos_); }
  const ExtractTimes& times() const { return times_; }
  int64_t resumed() const { return resumed_; }
  bool complete() const { return done_ == static_cast<int64_t>(videos_.size()); }

 private:
  void give_up() {
    stopping_ = true;
    service_.stop();
  }

  void work() {
    ExtractTimes times;
    const std::unique_ptr<FaceFinder> finder = service_.client();
    try {
      for (size_t i = next_++; i < videos_.size() && !stopping_; i = next_++) {
        do_video(videos_[i], *finder, times);
        faces_ += static_cast<int64_t>(videos_[i].record.faces.size());
        ++done_;
      }
    } catch (const WorkStopped&) {
      // The video is not finished; a later call does it.
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      give_up();
    }
    const std::lock_guard lock(mutex_);
    for (double FaceTimes::*stage :
         {&FaceTimes::decode, &FaceTimes::convert, &FaceTimes::detect, &FaceTimes::crop}) {
      times_.search.*stage += times.search.*stage;
    }
    times_.encode += times.encode;
    times_.write += times.write;
    times_.record += times.record;
    --working_;
  }

  void do_video(DoneVideo& video, FaceFinder& finder, ExtractTimes& times) {
    const FaceJob& job = video.job;
    std::optional<VideoRecord> record =
        finished_record(record_file(options_.out, job), crops_folder(options_.out, job),
                        stamp_of(job.video.path), job.wanted);
    if (record) {
      ++resumed_;
    } else {
      record = extract_faces(job, finder, options_, times);
    }
    video.record = std::move(*record);
  }

  const FacePipelineOptions& options_;
  FinderService& service_;
  std::vector<DoneVideo> videos_;  // each worker has its own places
  std::atomic<size_t> next_ = 0;
  std::atomic<int64_t> done_ = 0, faces_ = 0, resumed_ = 0, working_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::exception_ptr error_;  // the first; under mutex_
  ExtractTimes times_;        // under mutex_
};

void write(const fs::path& file, std::string_view text) {
  weights::write_file_atomically(file.string(), text);
}

// The manifest last: where it stands, everything else does.
void write_outputs(const FacePipelineOptions& options, const FacePipelineResult& result) {
  const fs::path& out = options.out;
  write(out / "account.json", account_json(result.videos, settings_of(options)));
  write(out / "account.csv", account_text(result.videos));
  std::error_code error;
  if (result.splits.empty()) {
    fs::remove(out / "splits.txt", error);
  } else {
    write(out / "splits.txt", result.splits);
  }
  if (const data::Image sheet = contact_sheet(out, result.videos); sheet.height > 0) {
    data::write_png(out / "contact_sheet.png", sheet);
  } else {
    fs::remove(out / "contact_sheet.png", error);
  }
  write(out / "manifest.csv", manifest_text(result.videos));
}

void remove_abandoned(const fs::path& out, const std::vector<FaceJob>& jobs) {
  std::set<std::string> folders = {out.string()};
  for (const FaceJob& job : jobs) folders.insert(record_file(out, job).parent_path().string());
  for (const std::string& folder : folders) weights::remove_abandoned_files(folder);
}

}  // namespace

FacePipelineResult run_face_pipeline(const FacePipelineOptions& options, FaceFinder& finder) {
  VERACE_CHECK(options.workers >= 1);
  FacePipelineResult result;
  FaceInputs inputs = collect_inputs(options);
  result.notes = std::move(inputs.notes);
  if (inputs.splits) result.splits = split_report_text(*inputs.splits);
  make_out(options.out);
  const FolderLock lock(options.out);
  claim_folder(options.out, settings_of(options));
  remove_abandoned(options.out, inputs.jobs);
  FinderService service(finder);
  Workers workers(options, inputs.jobs, service);
  const Clock::time_point begin = Clock::now();
  workers.run();
  result.stopped = !workers.complete();
  result.videos = workers.take();
  result.resumed = workers.resumed();
  result.times = {workers.times(), service.seconds_busy(),
                  std::chrono::duration<double>(Clock::now() - begin).count(), service.pictures(),
                  static_cast<int64_t>(result.videos.size()) - result.resumed};
  if (!result.stopped) write_outputs(options, result);
  return result;
}

}  // namespace verace::apps
