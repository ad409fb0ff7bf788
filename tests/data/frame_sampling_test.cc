// Which frames are looked at: the three rules by hand, against plain formulas, and at the edges
#include "data/frame_sampling.h"

#include <doctest/doctest.h>

#include <cmath>

namespace verace::data::frame_sampling_test {
namespace {

using Indices = std::vector<int64_t>;

TEST_CASE("values by hand") {
  CHECK(sample_frames(10, 3, Sampling::kMaxStride) == Indices{0, 3, 6});
  CHECK(sample_frames(10, 3, Sampling::kSequential) == Indices{0, 1, 2});
  CHECK(sample_frames(10, 3, Sampling::kLinspace) == Indices{0, 4, 9});
  // numpy.linspace(0, 299, 7, dtype=int)
  CHECK(sample_frames(300, 7, Sampling::kLinspace) == Indices{0, 49, 99, 149, 199, 249, 299});
  CHECK(sample_frames(399, 100, Sampling::kMaxStride)[99] == 3 * 99);
  CHECK(sample_frames(10, 1, Sampling::kLinspace) == Indices{0});
}

TEST_CASE("every small case against the rules, and what must hold of all") {
  for (int64_t frames = 0; frames <= 40; ++frames) {
    for (int64_t wanted = 1; wanted <= 45; ++wanted) {
      for (const Sampling sampling :
           {Sampling::kMaxStride, Sampling::kSequential, Sampling::kLinspace}) {
        CAPTURE(frames);
        CAPTURE(wanted);
        const Indices got = sample_frames(frames, wanted, sampling);
        REQUIRE(static_cast<int64_t>(got.size()) == std::min(frames, wanted));
        for (size_t k = 0; k < got.size(); ++k) {
          CHECK(got[k] < frames);
          if (k > 0) CHECK(got[k] > got[k - 1]);
          if (frames <= wanted) CHECK(got[k] == static_cast<int64_t>(k));
          if (frames > wanted && sampling == Sampling::kLinspace && wanted > 1) {
            // 1e-9: quotients that are whole may be rounded down.
            const double exact = static_cast<double>(k) * static_cast<double>(frames - 1) /
                                 static_cast<double>(wanted - 1);
            CHECK(got[k] == static_cast<int64_t>(std::floor(exact + 1e-9)));
          }
        }
      }
    }
  }
}

TEST_CASE("numbers beyond 32 bits") {
  const int64_t frames = int64_t{1} << 62;
  const int64_t quarter = frames / 4;
  CHECK(sample_frames(frames, 5, Sampling::kLinspace) ==
        Indices{0, quarter - 1, 2 * quarter - 1, 3 * quarter - 1, frames - 1});
  CHECK(sample_frames(frames, 2, Sampling::kMaxStride) == Indices{0, frames / 2});
}

}  // namespace
}  // namespace verace::data::frame_sampling_test
