// Reading one batch ahead to see whether the last has one picture.
#include "apps/lib/trainer_batches.h"

#include <algorithm>
#include <utility>

namespace verace::apps {
namespace {

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

bool BatchReader::next(data::Batch& batch) {
  if (!join_last_) return loader_.next(batch);
  if (!started_) loader_.next(ahead_);
  started_ = true;
  std::swap(batch, ahead_);
  if (batch.labels.empty()) return false;
  // ahead_ gets new memory from the loader where the swap left the caller's old batch.
  if (!loader_.next(ahead_)) {
    ahead_ = {};
  } else if (ahead_.labels.size() == 1) {
    append(batch.pixels, ahead_.pixels);
    append(batch.labels, ahead_.labels);
    append(batch.flip, ahead_.flip);
    append(batch.sample_index, ahead_.sample_index);
    ahead_ = {};
  }
  return true;
}

int64_t largest_batch(int64_t pictures, int64_t batch_size, bool join_last) {
  if (pictures <= batch_size) return pictures;
  return join_last && batch_size > 1 && pictures % batch_size == 1 ? batch_size + 1 : batch_size;
}

}  // namespace verace::apps
