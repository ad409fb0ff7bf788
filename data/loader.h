// Batches of pictures, decoded ahead of time by workers, in an order that the seed decides.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "data/dataset.h"
#include "data/resample.h"

namespace verace::data {

struct BrokenPicture {
  int64_t sample_index = 0;
  std::string message;  // one line, names the file
};

struct LoaderOptions {
  int64_t batch_size = 64;
  FitOptions fit;  // how a picture of any form becomes [size, size, 3]
  uint64_t seed = 0;
  bool shuffle = false;
  bool flip = false;      // decide mirroring (Batch::flip); the pixels stay as they are
  bool balanced = false;  // as many real as fake in each epoch, see epoch_order()
  int64_t workers = 0;    // 0: decode in next(), on the caller's thread
  int64_t prefetch = 2;   // batches decoded ahead, at least 1; costs their memory
  // Of samples that are pseudo-fakes: each is made anew in each epoch from (pseudo_fake_seed,
  // epoch, sample). An epoch shows this share of them, (0, 1], rounded, at least one; below 1 not
  // with balanced. They are not cached.
  uint64_t pseudo_fake_seed = 0;
  double pseudo_fake_share = 1;
  // Keep all resized pictures in memory if they fit into so many bytes (size * size * 3 each), so
  // that each is decoded once; 0: never.
  int64_t cache_bytes = 0;
  // Where pictures come from if not from read_image(sample.path). Called by several workers at
  // once. Error(kInput) means a broken picture; any other exception ends the epoch in next().
  std::function<Image(const Sample&)> read;
  bool strict = false;  // a broken picture throws instead of being skipped
  // Called by next() once for each picture that is skipped, in a deterministic order.
  std::function<void(const BrokenPicture&)> on_broken;
};

struct Batch {
  std::vector<uint8_t> pixels;        // [n, size, size, 3]
  std::vector<int32_t> labels;        // [n] 0 real, 1 fake
  std::vector<uint8_t> flip;          // [n] 1: to be mirrored left to right
  std::vector<int64_t> sample_index;  // [n] into the samples given to the loader
};

// One consumer thread; the workers are the loader's own. Equal seed, epoch and samples give equal
// batches, whatever the numbers of workers and prefetched batches and the cache.
class Loader {
 public:
  // Throws Error(kInput) for no samples, for a bad option, and for balanced without both classes.
  Loader(std::vector<Sample> samples, LoaderOptions options);
  // Stops and joins the workers, also in the middle of an epoch.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Begins epoch 0, 1, ...; any order is allowed; an unfinished epoch is given up.
  void start_epoch(int64_t epoch);

  // The next batch of the epoch; false, with an empty batch, after the last. All batches have
  // batch_size pictures except the last. Memory of `batch` is reused. Broken pictures are left out
  // and the batch is filled from the following ones. Throws Error(kInput) for a broken picture if
  // strict, or if the whole epoch is broken; rethrows what else went wrong in a worker. After an
  // exception start a new epoch.
  bool next(Batch& batch);

  const std::vector<Sample>& samples() const { return samples_; }
  // Pictures and batches of one epoch if none is broken.
  int64_t pictures_per_epoch() const { return pictures_per_epoch_; }
  int64_t batches_per_epoch() const;
  // Skipped so far, each once, in the order met.
  const std::vector<BrokenPicture>& broken() const { return broken_; }
  bool cached() const { return !cache_.empty(); }
  // Time that next() spent waiting for pictures (without workers: decoding) in this epoch.
  double seconds_waited() const { return seconds_waited_; }

 private:
  using Pixels = std::shared_ptr<const std::vector<uint8_t>>;
  // What became of one position of the order: pixels, or a message, or an exception.
  struct Outcome {
    Pixels pixels;
    std::string broken;
    std::exception_ptr error;
  };

  std::vector<int64_t> order_of(int64_t epoch) const;
  Pixels decode(int64_t sample_index, int64_t epoch) const;
  std::optional<Outcome> remembered(int64_t sample_index) const;
  Outcome make(int64_t sample_index, int64_t epoch) const;
  void remember(int64_t sample_index, const Outcome& outcome);
  void work(const std::stop_token& stop);
  int64_t positions_allowed() const;
  Outcome take();
  void append(Batch& batch, int64_t sample_index, const Outcome& outcome);
  void report_broken(int64_t sample_index, const std::string& message);

  const std::vector<Sample> samples_;
  const LoaderOptions options_;
  std::vector<int32_t> labels_;
  std::vector<uint8_t> thinned_;  // [samples]: pseudo-fakes; empty: all are shown in each epoch
  int64_t pictures_per_epoch_ = 0;

  // The consumer's own.
  int64_t epoch_ = -1;
  int64_t delivered_ = 0;
  double seconds_waited_ = 0.0;
  std::vector<BrokenPicture> broken_;
  std::vector<uint8_t> reported_;  // [samples]

  // Shared with the workers, under mutex_. Positions [head_, next_) of order_ are being made or
  // wait in slots_[position % slots].
  mutable std::mutex mutex_;
  std::condition_variable_any may_work_;
  std::condition_variable_any is_ready_;
  uint64_t generation_ = 0;  // of the order: what is made for an older one is dropped
  std::vector<int64_t> order_;
  int64_t order_epoch_ = 0;
  int64_t head_ = 0;
  int64_t next_ = 0;
  std::vector<std::optional<Outcome>> slots_;
  std::vector<Pixels> cache_;  // [samples], or empty: no cache
  std::unordered_map<int64_t, std::string> known_broken_;

  std::vector<std::jthread> workers_;  // last: joined before anything they use is gone
};

}  // namespace verace::data
