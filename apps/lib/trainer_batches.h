// The batches of training, with a lone last picture joined to the batch before it.
#pragma once

#include "data/loader.h"

namespace verace::apps {

// Reads one epoch of a loader, which must outlive it and have started the epoch.
class BatchReader {
 public:
  // join_last: a last batch of one picture becomes part of the one before (if there is one), so
  // that batch norm never sees a single picture.
  BatchReader(data::Loader& loader, bool join_last) : loader_(loader), join_last_(join_last) {}

  // The next batch, swapped into `batch`; false after the last.
  bool next(data::Batch& batch);

 private:
  data::Loader& loader_;
  bool join_last_;
  bool started_ = false;
  data::Batch ahead_;  // read already; empty: none
};

// The largest batch that an epoch of `pictures` gives.
int64_t largest_batch(int64_t pictures, int64_t batch_size, bool join_last);

}  // namespace verace::apps
