// One detector for several threads: the thread that owns it serves what the others ask.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"

namespace verace::apps {

// Thrown by a client's find() when the work is given up.
struct WorkStopped {};

class FinderService {
 public:
  explicit FinderService(FaceFinder& finder) : finder_(finder) {}

  // A detector for one thread, which waits in find() until its question is served. The service
  // must outlive it.
  std::unique_ptr<FaceFinder> client();

  // Serves one question, the oldest; waits for one at most so long. False: none came. On the thread
  // that the detector belongs to. What find() throws, its client gets.
  bool serve(std::chrono::milliseconds at_most);
  // All clients that wait or will ask get WorkStopped.
  void stop();

  double seconds_busy() const { return seconds_busy_; }
  int64_t pictures() const { return pictures_; }

 private:
  friend class FinderClient;
  using Faces = std::vector<std::vector<data::DetectedFace>>;
  struct Question {
    std::span<const data::Image> pictures;
    Faces answer;
    std::exception_ptr error;
    bool done = false;
  };

  Faces ask(std::span<const data::Image> pictures);

  FaceFinder& finder_;
  double seconds_busy_ = 0;
  int64_t pictures_ = 0;
  std::mutex mutex_;
  std::condition_variable asked_, answered_;
  std::deque<Question*> questions_;  // of threads that wait in ask()
  bool stopped_ = false;
};

}  // namespace verace::apps
