// Pseudo-fakes as training pictures: pairs, shares, other ones in each epoch, the same for any
// number of workers.
#include <algorithm>
#include <map>
#include <set>

#include "data/augment.h"
#include "data/faces/dataset.h"
#include "data/loader.h"
#include "data/pseudo_fakes/pseudo_fake.h"
#include "data/pseudo_fakes/samples.h"
#include "kernels/exec.h"
#include "tests/data/data_support.h"

namespace verace::data::testing::pseudo_fake_loader_test {
namespace {

constexpr int64_t kSize = 64;

// Drawn faces of 5 persons in train (10 real pictures, 10 fakes) and 2 in val.
const Dataset& drawn() {
  static const TempFolder dir;
  static const Dataset dataset = [] {
    const fs::path folder = dir.path() / "drawn";
    faces::write_dataset(folder, {.seed = 3, .size = kSize, .identities = {5, 2, 0}, .frames = 2},
                         kernels::make_exec(kernels::DeviceKind::kCpu, 1));
    return load_dataset(folder / "faces.csv");
  }();
  return dataset;
}

// The real training pictures, and their pseudo-fakes behind them.
std::vector<Sample> pairs() {
  Dataset dataset = drawn();
  std::erase_if(dataset.samples,
                [](const Sample& s) { return s.label == kFake || s.split != Split::kTrain; });
  CHECK(add_pseudo_fakes(dataset, Split::kTrain).added == 10);
  return dataset.samples;
}

LoaderOptions options(int64_t workers, int64_t cache_bytes = 0) {
  LoaderOptions o;
  o.batch_size = 3;
  o.fit.size = kSize;
  o.seed = 7;
  o.shuffle = true;
  o.workers = workers;
  o.cache_bytes = cache_bytes;
  o.pseudo_fake_seed = 5;
  return o;
}

struct Seen {
  int32_t label;
  std::vector<uint8_t> pixels;
  bool operator==(const Seen&) const = default;
};

// What an epoch shows, by sample.
std::map<int64_t, Seen> epoch(Loader& loader, int64_t number) {
  std::map<int64_t, Seen> seen;
  loader.start_epoch(number);
  Batch batch;
  while (loader.next(batch)) {
    const size_t bytes = batch.pixels.size() / batch.labels.size();
    for (size_t i = 0; i < batch.labels.size(); ++i) {
      const auto begin = batch.pixels.begin() + static_cast<int64_t>(i * bytes);
      const bool once =
          seen.emplace(batch.sample_index[i],
                       Seen{batch.labels[i], {begin, begin + static_cast<int64_t>(bytes)}})
              .second;
      CHECK(once);
    }
  }
  return seen;
}

}  // namespace

TEST_CASE("add_pseudo_fakes: one for each real picture with landmarks, of the asked split alone") {
  Dataset dataset = drawn();
  const size_t before = dataset.samples.size();
  dataset.samples[0].landmarks.reset();
  const PseudoFakesAdded added = add_pseudo_fakes(dataset, Split::kTrain);
  CHECK(added.added == 9);
  CHECK(added.without_landmarks == 1);
  REQUIRE(dataset.samples.size() == before + 9);
  for (size_t i = before; i < dataset.samples.size(); ++i) {
    const Sample& fake = dataset.samples[i];
    const auto real = std::ranges::find_if(
        dataset.samples, [&](const Sample& s) { return s.path == fake.path && !s.pseudo_fake; });
    REQUIRE(real != dataset.samples.end());
    CHECK(real->label == kReal);
    CHECK(fake.label == kFake);
    CHECK(fake.pseudo_fake);
    CHECK(fake.video == pseudo_fake_video(real->video));
    CHECK(fake.identity == real->identity);
    CHECK(fake.split == Split::kTrain);
  }
}

TEST_CASE("each real picture and its pseudo-fake, which differs under the mask alone") {
  const std::vector<Sample> samples = pairs();
  Loader loader(samples, options(0));
  CHECK(loader.pictures_per_epoch() == 20);
  const auto seen = epoch(loader, 3);
  REQUIRE(seen.size() == 20);
  for (int64_t i = 0; i < 10; ++i) {
    const Image real = read_image(samples[static_cast<size_t>(i)].path);
    CHECK(seen.at(i) == Seen{kReal, real.rgb});
    const PseudoFake expected =
        draw_pseudo_fake(real, *samples[static_cast<size_t>(i)].landmarks, 5, i + 10, 3, "face");
    CHECK(seen.at(i + 10) == Seen{kFake, expected.image.rgb});
    CHECK(seen.at(i + 10).pixels != real.rgb);
  }
}

TEST_CASE("equal pseudo-fakes for any number of workers and any cache, others in each epoch") {
  const std::vector<Sample> samples = pairs();
  Loader alone(samples, options(0));
  const auto first = epoch(alone, 0);
  const auto second = epoch(alone, 1);
  for (int64_t i = 0; i < 10; ++i) {
    CHECK(first.at(i) == second.at(i));
    CHECK(first.at(i + 10).pixels != second.at(i + 10).pixels);
  }
  CHECK(epoch(alone, 0) == first);
  for (const int64_t cache : {int64_t{0}, int64_t{1} << 24}) {
    Loader crowd(samples, options(3, cache));
    CHECK(crowd.cached() == (cache > 0));
    CHECK(epoch(crowd, 1) == second);
    CHECK(epoch(crowd, 0) == first);
    CHECK(epoch(crowd, 1) == second);
    Loader cached(samples, options(0, cache));
    CHECK(epoch(cached, 0) == first);
    CHECK(epoch(cached, 1) == second);
  }
  LoaderOptions other = options(0);
  other.pseudo_fake_seed = 6;
  Loader reseeded(samples, other);
  CHECK(epoch(reseeded, 0).at(10) != first.at(10));
}

TEST_CASE("a share of the pseudo-fakes: all in turn, all real pictures always") {
  LoaderOptions o = options(2);
  o.pseudo_fake_share = 0.3;
  Loader loader(pairs(), o);
  CHECK(loader.pictures_per_epoch() == 13);
  std::map<int64_t, int64_t> shown;
  for (int64_t number = 0; number < 10; ++number) {
    const auto seen = epoch(loader, number);
    CHECK(seen.size() == 13);
    for (int64_t i = 0; i < 10; ++i) CHECK(seen.contains(i));
    for (const auto& [index, face] : seen) ++shown[index];
  }
  for (int64_t i = 10; i < 20; ++i) CHECK(shown[i] == 3);
  o.pseudo_fake_share = 0.001;
  CHECK(Loader(pairs(), o).pictures_per_epoch() == 11);
  CHECK(thinned_count(0, 0.5) == 0);
  CHECK(thinned_count(9, 0.5) == 5);
  CHECK(thinned_count(9, 1) == 9);
}

TEST_CASE("balanced sampling with pseudo-fakes of each picture; not with a share of them") {
  LoaderOptions o = options(0);
  o.balanced = true;
  Loader loader(pairs(), o);
  int64_t fakes = 0;
  for (const auto& [index, face] : epoch(loader, 0)) fakes += face.label;
  CHECK(fakes == 10);
  o.pseudo_fake_share = 0.5;
  CHECK(contains(input_error([&] { Loader(pairs(), o); }), "balanced"));
  o.balanced = false;
  o.pseudo_fake_share = 0;
  CHECK(contains(input_error([&] { Loader(pairs(), o); }), "share"));
}

TEST_CASE(
    "a picture of which no pseudo-fake can be made is named and left out; the real one stays") {
  std::vector<Sample> samples = pairs();
  std::swap((*samples[12].landmarks)[kLeftEye], (*samples[12].landmarks)[kRightEye]);
  for (const int64_t workers : {0, 2}) {
    Loader loader(samples, options(workers));
    for (int64_t number = 0; number < 2; ++number) {
      const auto seen = epoch(loader, number);
      CHECK(seen.size() == 19);
      CHECK(seen.contains(2));
      CHECK(!seen.contains(12));
    }
    REQUIRE(loader.broken().size() == 1);
    CHECK(contains(loader.broken()[0].message, "left and right exchanged"));
  }
}

}  // namespace verace::data::testing::pseudo_fake_loader_test
