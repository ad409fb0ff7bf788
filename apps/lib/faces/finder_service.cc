// A queue of questions; each lives on the stack of the thread that asks.
#include "apps/lib/faces/finder_service.h"

namespace verace::apps {

class FinderClient : public FaceFinder {
 public:
  explicit FinderClient(FinderService& service) : service_(service) {}
  std::vector<std::vector<data::DetectedFace>> find(
      std::span<const data::Image> pictures) override {
    return service_.ask(pictures);
  }
  std::string description() const override { return service_.finder_.description(); }

 private:
  FinderService& service_;
};

std::unique_ptr<FaceFinder> FinderService::client() {
  return std::make_unique<FinderClient>(*this);
}

FinderService::Faces FinderService::ask(std::span<const data::Image> pictures) {
  Question question{pictures, {}, nullptr, false};
  std::unique_lock lock(mutex_);
  if (stopped_) throw WorkStopped();
  questions_.push_back(&question);
  asked_.notify_one();
  // A question that is being served is waited for: its pictures are in use.
  answered_.wait(lock, [&] { return question.done; });
  if (question.error) std::rethrow_exception(question.error);
  return std::move(question.answer);
}

bool FinderService::serve(std::chrono::milliseconds at_most) {
  std::unique_lock lock(mutex_);
  if (!asked_.wait_for(lock, at_most, [&] { return !questions_.empty(); })) return false;
  Question& question = *questions_.front();
  questions_.pop_front();
  lock.unlock();
  const auto begin = std::chrono::steady_clock::now();
  try {
    question.answer = finder_.find(question.pictures);
  } catch (...) {
    question.error = std::current_exception();
  }
  seconds_busy_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  pictures_ += static_cast<int64_t>(question.pictures.size());
  lock.lock();
  question.done = true;
  answered_.notify_all();
  return true;
}

void FinderService::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (Question* question : questions_) {
    question->error = std::make_exception_ptr(WorkStopped());
    question->done = true;
  }
  questions_.clear();
  answered_.notify_all();
}

}  // namespace verace::apps
