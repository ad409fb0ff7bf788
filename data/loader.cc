// A window over the epoch: workers fill its slots in any order, the consumer empties them in order.
#include "data/loader.h"

#include <algorithm>
#include <chrono>

#include "data/augment.h"
#include "data/pseudo_fakes/pseudo_fake.h"
#include "data/text.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::data {
namespace {

LoaderOptions checked(LoaderOptions options) {
  const auto require = [](bool good, const char* what) {
    if (!good) fail_input(what);
  };
  require(options.batch_size >= 1 && options.batch_size <= 65536, "batch size: give 1 to 65536");
  require(options.workers >= 0 && options.workers <= 256, "data workers: give 0 to 256");
  require(options.prefetch >= 1 && options.prefetch <= 1024, "prefetched batches: give 1 to 1024");
  require(options.cache_bytes >= 0, "cache: give a number of bytes, or 0 for none");
  require(options.pseudo_fake_share > 0 && options.pseudo_fake_share <= 1,
          "pseudo-fakes: give a share above 0 and up to 1");
  require(
      !options.balanced || options.pseudo_fake_share == 1,
      "pseudo-fakes: balanced sampling decides itself how many fakes an epoch has; leave one of "
      "them out");
  check_fit_options(options.fit);
  return options;
}

}  // namespace

Loader::Loader(std::vector<Sample> samples, LoaderOptions options)
    : samples_(std::move(samples)), options_(checked(std::move(options))) {
  if (samples_.empty()) fail_input("no pictures to load; check the data set and the split");
  const auto count = static_cast<int64_t>(samples_.size());
  for (const Sample& sample : samples_) labels_.push_back(sample.label);
  if (options_.pseudo_fake_share < 1) {
    for (const Sample& sample : samples_) thinned_.push_back(sample.pseudo_fake ? 1 : 0);
  }
  pictures_per_epoch_ = static_cast<int64_t>(order_of(0).size());
  reported_.assign(samples_.size(), 0);
  const int64_t picture_bytes = options_.fit.size * options_.fit.size * 3;
  if (count <= options_.cache_bytes / picture_bytes) cache_.resize(samples_.size());
  const int64_t window = std::min(options_.prefetch * options_.batch_size, pictures_per_epoch_);
  slots_.resize(static_cast<size_t>(window));
  for (int64_t i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

Loader::~Loader() {
  for (std::jthread& worker : workers_) worker.request_stop();
}

int64_t Loader::batches_per_epoch() const {
  return (pictures_per_epoch_ + options_.batch_size - 1) / options_.batch_size;
}

std::vector<int64_t> Loader::order_of(int64_t epoch) const {
  OrderOptions order{options_.seed, epoch, options_.shuffle, options_.balanced, thinned_, 0};
  order.thinned_count =
      thinned_count(std::count(thinned_.begin(), thinned_.end(), 1), options_.pseudo_fake_share);
  return epoch_order(labels_, order);
}

void Loader::start_epoch(int64_t epoch) {
  VERACE_CHECK(epoch >= 0);
  std::vector<int64_t> new_order = order_of(epoch);
  epoch_ = epoch;
  delivered_ = 0;
  seconds_waited_ = 0.0;
  {
    const std::lock_guard lock(mutex_);
    ++generation_;
    order_ = std::move(new_order);
    order_epoch_ = epoch;
    head_ = 0;
    next_ = 0;
    std::fill(slots_.begin(), slots_.end(), std::nullopt);
  }
  may_work_.notify_all();
}

bool Loader::next(Batch& batch) {
  VERACE_CHECK(epoch_ >= 0, "call start_epoch first");
  batch.pixels.clear();
  batch.labels.clear();
  batch.flip.clear();
  batch.sample_index.clear();
  // Only the consumer changes order_ and head_, so reading them here needs no lock.
  const auto end = static_cast<int64_t>(order_.size());
  while (static_cast<int64_t>(batch.labels.size()) < options_.batch_size && head_ < end) {
    const int64_t sample_index = order_[static_cast<size_t>(head_)];
    append(batch, sample_index, take());
  }
  delivered_ += static_cast<int64_t>(batch.labels.size());
  if (delivered_ == 0) {
    fail_input(text::format("none of {} pictures can be read; the first: {}", end,
                            broken_.front().message));
  }
  return !batch.labels.empty();
}

// Adds one outcome to the batch, or throws, or reports it as broken.
void Loader::append(Batch& batch, int64_t sample_index, const Outcome& outcome) {
  if (outcome.error) std::rethrow_exception(outcome.error);
  if (!outcome.pixels) {
    if (options_.strict) fail_input(outcome.broken);
    report_broken(sample_index, outcome.broken);
    return;
  }
  const std::vector<uint8_t>& pixels = *outcome.pixels;
  if (batch.pixels.empty()) batch.pixels.reserve(options_.batch_size * pixels.size());
  batch.pixels.insert(batch.pixels.end(), pixels.begin(), pixels.end());
  batch.labels.push_back(labels_[static_cast<size_t>(sample_index)]);
  batch.sample_index.push_back(sample_index);
  batch.flip.push_back(options_.flip && flip_decision(options_.seed, epoch_, sample_index) ? 1 : 0);
}

void Loader::report_broken(int64_t sample_index, const std::string& message) {
  uint8_t& reported = reported_[static_cast<size_t>(sample_index)];
  if (reported != 0) return;
  reported = 1;
  broken_.push_back({sample_index, message});
  if (options_.on_broken) options_.on_broken(broken_.back());
}

// The outcome at head_; moves head_ on.
Loader::Outcome Loader::take() {
  const auto begin = std::chrono::steady_clock::now();
  Outcome outcome;
  if (options_.workers == 0) {
    const int64_t sample_index = order_[static_cast<size_t>(head_++)];
    std::optional<Outcome> known = remembered(sample_index);
    outcome = known ? std::move(*known) : make(sample_index, epoch_);
    if (!known) remember(sample_index, outcome);
  } else {
    std::unique_lock lock(mutex_);
    std::optional<Outcome>& slot = slots_[static_cast<size_t>(head_) % slots_.size()];
    is_ready_.wait(lock, [&] { return slot.has_value(); });
    outcome = std::move(*slot);
    slot.reset();
    ++head_;
    lock.unlock();
    may_work_.notify_one();
  }
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
  seconds_waited_ += waited.count();
  return outcome;
}

int64_t Loader::positions_allowed() const {
  return std::min(static_cast<int64_t>(order_.size()), head_ + static_cast<int64_t>(slots_.size()));
}

void Loader::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (true) {
    may_work_.wait(lock, stop, [this] { return next_ < positions_allowed(); });
    if (stop.stop_requested()) return;
    const uint64_t generation = generation_;
    const int64_t position = next_++;
    const int64_t sample_index = order_[static_cast<size_t>(position)];
    const int64_t epoch = order_epoch_;
    std::optional<Outcome> outcome = remembered(sample_index);
    if (!outcome) {
      lock.unlock();
      outcome = make(sample_index, epoch);
      lock.lock();
      remember(sample_index, *outcome);
    }
    if (generation != generation_) continue;
    slots_[static_cast<size_t>(position) % slots_.size()] = std::move(outcome);
    if (position == head_) is_ready_.notify_one();
  }
}

// What is known of a sample from an earlier time.
std::optional<Loader::Outcome> Loader::remembered(int64_t sample_index) const {
  if (const auto found = known_broken_.find(sample_index); found != known_broken_.end()) {
    return Outcome{nullptr, found->second, nullptr};
  }
  if (cache_.empty() || !cache_[static_cast<size_t>(sample_index)]) return std::nullopt;
  return Outcome{cache_[static_cast<size_t>(sample_index)], "", nullptr};
}

void Loader::remember(int64_t sample_index, const Outcome& outcome) {
  // Pseudo-fakes are others in each epoch.
  if (outcome.error || samples_[static_cast<size_t>(sample_index)].pseudo_fake) return;
  if (!outcome.pixels) {
    known_broken_.emplace(sample_index, outcome.broken);
  } else if (!cache_.empty()) {
    cache_[static_cast<size_t>(sample_index)] = outcome.pixels;
  }
}

Loader::Outcome Loader::make(int64_t sample_index, int64_t epoch) const {
  try {
    return {decode(sample_index, epoch), "", nullptr};
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInput) return {nullptr, error.what(), nullptr};
    return {nullptr, "", std::current_exception()};
  } catch (...) {
    return {nullptr, "", std::current_exception()};
  }
}

Loader::Pixels Loader::decode(int64_t sample_index, int64_t epoch) const {
  const Sample& sample = samples_[static_cast<size_t>(sample_index)];
  Image image = options_.read ? options_.read(sample) : read_image(sample.path);
  if (sample.pseudo_fake) {
    VERACE_CHECK(sample.landmarks);
    image = draw_pseudo_fake(image, *sample.landmarks, options_.pseudo_fake_seed, sample_index,
                             epoch, name_of(sample.path))
                .image;
  }
  Image fitted = fit_to_square(image, options_.fit, sample.path.string());
  return std::make_shared<const std::vector<uint8_t>>(std::move(fitted.rgb));
}

}  // namespace verace::data
