// The loader: equal batches for any number of workers, broken pictures, cache, balance, flips.
#include "data/loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "data/augment.h"
#include "kernels/format.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::loader_test {
namespace {

constexpr int64_t kPictures = 23;

// 23 pictures, six of them fake; with `broken`, numbers 0, 1, 10 and 22 are not pictures.
class SmallSet {
 public:
  explicit SmallSet(bool broken = false) {
    for (int i = 0; i < kPictures; ++i) {
      Sample sample;
      sample.path = dir_.path() / (std::to_string(i) + ".jpg");
      sample.label = i % 4 == 1 ? kFake : kReal;
      sample.video = std::to_string(i);
      const bool bad = broken && (i == 0 || i == 1 || i == 10 || i == 22);
      if (bad) {
        write_file(sample.path, std::string_view("no picture"));
      } else {
        write_file(sample.path, encode_jpeg(smooth_image(20 + i, 30, i)));
      }
      samples_.push_back(sample);
    }
  }
  const std::vector<Sample>& samples() const { return samples_; }

 private:
  TempFolder dir_;
  std::vector<Sample> samples_;
};

LoaderOptions small_options(int64_t workers) {
  LoaderOptions options;
  options.batch_size = 4;
  options.fit.size = 16;
  options.seed = 7;
  options.shuffle = true;
  options.flip = true;
  options.workers = workers;
  return options;
}

std::vector<Batch> run_epoch(Loader& loader, int64_t epoch) {
  loader.start_epoch(epoch);
  std::vector<Batch> batches;
  Batch batch;
  while (loader.next(batch)) batches.push_back(batch);
  CHECK(batch.labels.empty());
  CHECK(!loader.next(batch));
  return batches;
}

bool equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return x.pixels == y.pixels && x.labels == y.labels && x.flip == y.flip &&
           x.sample_index == y.sample_index;
  });
}

}  // namespace

TEST_CASE("batches hold what the pictures hold; the last one is partial") {
  const SmallSet set;
  LoaderOptions options = small_options(0);
  options.shuffle = false;
  options.flip = false;
  Loader loader(set.samples(), options);
  CHECK(loader.pictures_per_epoch() == kPictures);
  CHECK(loader.batches_per_epoch() == 6);
  const std::vector<Batch> batches = run_epoch(loader, 0);
  REQUIRE(batches.size() == 6);
  for (size_t i = 0; i < 6; ++i) {
    const size_t n = i == 5 ? 3 : 4;
    CHECK(batches[i].labels.size() == n);
    CHECK(batches[i].pixels.size() == n * 16 * 16 * 3);
    for (size_t k = 0; k < n; ++k) {
      const auto index = static_cast<int64_t>(i * 4 + k);
      const Sample& sample = set.samples()[static_cast<size_t>(index)];
      CHECK(batches[i].sample_index[k] == index);
      CHECK(batches[i].labels[k] == sample.label);
      CHECK(batches[i].flip[k] == 0);
      const Image expected = fit_to_square(read_image(sample.path), options.fit, "x");
      CHECK(std::equal(expected.rgb.begin(), expected.rgb.end(),
                       batches[i].pixels.begin() + static_cast<ptrdiff_t>(k * 16 * 16 * 3)));
    }
  }
  CHECK(loader.seconds_waited() > 0.0);
}

TEST_CASE("equal batches for 0, 1 and 3 workers, any prefetch, cache on and off") {
  for (const bool broken : {false, true}) {
    const SmallSet set(broken);
    for (const bool balanced : {false, true}) {
      LoaderOptions options = small_options(0);
      options.balanced = balanced;
      Loader reference_loader(set.samples(), options);
      std::vector<std::vector<Batch>> reference;
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        reference.push_back(run_epoch(reference_loader, epoch));
      }
      for (const int64_t workers : {0, 1, 3}) {
        for (const int64_t cache : {int64_t{0}, kPictures * 16 * 16 * 3}) {
          options.workers = workers;
          options.prefetch = workers + 1;
          options.cache_bytes = cache;
          Loader loader(set.samples(), options);
          CHECK(loader.cached() == (cache != 0));
          for (const int64_t epoch : {0, 1, 2, 0}) {
            CHECK(equal(run_epoch(loader, epoch), reference[static_cast<size_t>(epoch)]));
          }
          REQUIRE(loader.broken().size() == reference_loader.broken().size());
          for (size_t i = 0; i < loader.broken().size(); ++i) {
            CHECK(loader.broken()[i].sample_index == reference_loader.broken()[i].sample_index);
          }
        }
      }
    }
  }
}

TEST_CASE("broken pictures are named once and skipped; batches stay full") {
  const SmallSet set(true);
  for (const int64_t workers : {0, 2}) {
    LoaderOptions options = small_options(workers);
    options.shuffle = false;
    std::vector<int64_t> named;
    options.on_broken = [&](const BrokenPicture& picture) {
      named.push_back(picture.sample_index);
      CHECK(contains(picture.message, text::format("/{}.jpg: not a", picture.sample_index)));
    };
    Loader loader(set.samples(), options);
    for (const int64_t epoch : {0, 1}) {
      const std::vector<Batch> batches = run_epoch(loader, epoch);
      REQUIRE(batches.size() == 5);
      CHECK(batches.front().sample_index == std::vector<int64_t>{2, 3, 4, 5});
      CHECK(batches.back().sample_index == std::vector<int64_t>{19, 20, 21});
      CHECK(named == std::vector<int64_t>{0, 1, 10, 22});
    }
    CHECK(loader.broken().size() == 4);
  }
}

TEST_CASE("strict: the broken picture throws in the consumer, then a new epoch may start") {
  const SmallSet set(true);
  for (const int64_t workers : {0, 3}) {
    LoaderOptions options = small_options(workers);
    options.shuffle = false;
    options.strict = true;
    options.batch_size = 3;
    Loader loader({set.samples().begin() + 2, set.samples().end()}, options);
    for (const int64_t epoch : {0, 1}) {
      loader.start_epoch(epoch);
      Batch batch;
      CHECK(loader.next(batch));
      CHECK(loader.next(batch));
      CHECK(contains(input_error([&] { loader.next(batch); }), "10.jpg: not a"));
    }
  }
}

TEST_CASE("nothing but broken pictures, no pictures, bad options") {
  const SmallSet set(true);
  const std::vector<Sample> bad{set.samples()[0], set.samples()[10]};
  Batch batch;
  for (const int64_t workers : {0, 2}) {
    Loader loader(bad, small_options(workers));
    loader.start_epoch(0);
    CHECK(contains(input_error([&] { loader.next(batch); }), "none of 2 pictures"));
    CHECK_THROWS_AS(Loader(bad, small_options(workers)).next(batch), Error);  // no epoch started
  }
  CHECK(contains(input_error([&] { Loader({}, small_options(0)); }), "no pictures"));
  const auto error = [&](const std::function<void(LoaderOptions&)>& change) {
    LoaderOptions options = small_options(0);
    change(options);
    return input_error([&] { const Loader loader(set.samples(), options); });
  };
  CHECK(contains(error([](LoaderOptions& o) { o.batch_size = 0; }), "batch size"));
  CHECK(contains(error([](LoaderOptions& o) { o.fit.size = 0; }), "picture size"));
  CHECK(contains(error([](LoaderOptions& o) { o.workers = -1; }), "workers"));
  CHECK(contains(error([](LoaderOptions& o) { o.prefetch = 0; }), "prefetch"));
  LoaderOptions balanced = small_options(0);
  balanced.balanced = true;
  CHECK(contains(input_error([&] { const Loader loader(bad, balanced); }), "class fake"));
}

TEST_CASE("the loader can be destroyed or restarted in the middle of an epoch") {
  const SmallSet set;
  Loader reference(set.samples(), small_options(0));
  const std::vector<Batch> epoch_1 = run_epoch(reference, 1);
  for (int repeat = 0; repeat < 20; ++repeat) {
    LoaderOptions options = small_options(3);
    options.cache_bytes = repeat % 2 == 0 ? 0 : 1 << 20;
    Loader loader(set.samples(), options);
    if (repeat % 4 == 0) continue;  // destroyed without an epoch
    loader.start_epoch(0);
    Batch batch;
    for (int i = 0; i < repeat % 3; ++i) CHECK(loader.next(batch));
    if (repeat % 4 == 1) continue;
    CHECK(equal(run_epoch(loader, 1), epoch_1));
  }
}

TEST_CASE("a picture that arrives after its epoch was given up is dropped") {
  const SmallSet set;
  LoaderOptions options = small_options(0);
  Loader reference(set.samples(), options);
  const std::vector<Batch> epoch_1 = run_epoch(reference, 1);
  reference.start_epoch(0);
  Batch batch;
  reference.next(batch);
  // The first picture of epoch 0 is held back until all of epoch 1 is decoded.
  const fs::path held = set.samples()[static_cast<size_t>(batch.sample_index[0])].path;
  std::atomic<int> calls{0};
  std::atomic<bool> holding{false};
  std::atomic<bool> release{false};
  options.workers = 2;
  options.prefetch = 6;  // the whole epoch
  options.read = [&](const Sample& sample) {
    if (sample.path == held && !holding.exchange(true)) {
      while (!release) std::this_thread::yield();
    }
    ++calls;
    return read_image(sample.path);
  };
  Loader loader(set.samples(), options);
  loader.start_epoch(0);
  while (!holding) std::this_thread::yield();
  loader.start_epoch(1);
  const int before = calls;
  while (calls < before + kPictures) std::this_thread::yield();
  release = true;
  while (calls < before + kPictures + 1) std::this_thread::yield();
  // From the return of the late picture to its slot is a moment; a wrong slot would show after it.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::vector<Batch> got;
  while (loader.next(batch)) got.push_back(batch);
  CHECK(equal(got, epoch_1));
}

TEST_CASE("what is not a broken picture ends the epoch, from any thread") {
  const SmallSet set;
  for (const int64_t workers : {0, 3}) {
    LoaderOptions options = small_options(workers);
    options.shuffle = false;
    options.read = [](const Sample& sample) -> Image {
      if (sample.video == "5") throw std::bad_alloc();
      if (sample.video == "6") VERACE_CHECK(false, "on purpose");
      if (sample.video == "2") fail_input("a broken picture");
      return smooth_image(20, 20);
    };
    Loader loader(set.samples(), options);
    loader.start_epoch(0);
    Batch batch;
    CHECK(loader.next(batch));
    CHECK(batch.sample_index == std::vector<int64_t>{0, 1, 3, 4});
    CHECK_THROWS_AS(loader.next(batch), std::bad_alloc);
    loader.start_epoch(1);
    CHECK(loader.next(batch));
  }
}

TEST_CASE("shuffling: every sample once, another order each epoch and seed") {
  const std::vector<int32_t> labels(100, 0);
  const auto order = [&](uint64_t seed, int64_t epoch, bool shuffle) {
    return epoch_order(labels, {seed, epoch, shuffle, false});
  };
  std::vector<int64_t> identity(100);
  std::iota(identity.begin(), identity.end(), int64_t{0});
  CHECK(order(1, 5, false) == identity);
  std::set<std::vector<int64_t>> seen;
  std::vector<double> place_sum(100, 0.0);
  int64_t in_place = 0;
  for (int64_t epoch = 0; epoch < 200; ++epoch) {
    std::vector<int64_t> got = order(1, epoch, true);
    CHECK(got == order(1, epoch, true));
    for (size_t i = 0; i < 100; ++i)
      place_sum[static_cast<size_t>(got[i])] += static_cast<double>(i);
    for (size_t i = 0; i < 100; ++i) in_place += got[i] == static_cast<int64_t>(i) ? 1 : 0;
    seen.insert(got);
    std::sort(got.begin(), got.end());
    CHECK(got == identity);
  }
  CHECK(seen.size() == 200);
  // One sample per shuffle stays in place on average: 200, standard deviation 14.
  CHECK(std::abs(in_place - 200) < 70);
  CHECK(order(1, 0, true) != order(2, 0, true));
  // The mean place of a sample over 200 epochs: 49.5, standard error 2.04.
  for (const double sum : place_sum) CHECK(std::abs(sum / 200 - 49.5) < 9.0);
}

TEST_CASE("flips: half of the samples, by seed, epoch and sample") {
  int64_t flips = 0;
  int64_t changes = 0;
  for (int64_t i = 0; i < 10000; ++i) {
    flips += flip_decision(3, 2, i) ? 1 : 0;
    changes += flip_decision(3, 2, i) != flip_decision(3, 3, i) ? 1 : 0;
  }
  CHECK(std::abs(flips - 5000) < 200);
  CHECK(std::abs(changes - 5000) < 200);
  const SmallSet set;
  Loader loader(set.samples(), small_options(2));
  for (const Batch& batch : run_epoch(loader, 4)) {
    for (size_t i = 0; i < batch.flip.size(); ++i) {
      CHECK(batch.flip[i] == (flip_decision(7, 4, batch.sample_index[i]) ? 1 : 0));
    }
  }
}

TEST_CASE("balanced: as many of each class, all members before any repetition") {
  std::vector<int32_t> labels(90, kReal);
  labels.resize(100, kFake);
  for (const bool shuffle : {false, true}) {
    std::map<int64_t, int64_t> shown;
    for (int64_t epoch = 0; epoch < 9; ++epoch) {
      const std::vector<int64_t> order = epoch_order(labels, {5, epoch, shuffle, true});
      CHECK(order.size() == 100);
      CHECK(std::count_if(order.begin(), order.end(), [](int64_t i) { return i >= 90; }) == 50);
      for (const int64_t i : order) ++shown[i];
    }
    // 9 * 50 draws: five rounds through 90 reals, 45 rounds through 10 fakes.
    REQUIRE(shown.size() == 100);
    for (const auto& [index, times] : shown) CHECK(times == (index < 90 ? 5 : 45));
  }
}

}  // namespace verace::data::testing::loader_test
