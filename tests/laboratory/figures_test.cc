// The laboratory's figures: medians and percentiles, judgement on outputs, bytes of known problems.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "bench/kernels/laboratory/operations.h"
#include "bench/kernels/laboratory/proof.h"
#include "bench/kernels/laboratory/timing.h"
#include "kernels/check.h"

namespace verace::laboratory::figures_test {
namespace {

TEST_CASE("median, p10 and p90 by nearest rank, in any order") {
  const Statistic one = statistic_of({7});
  CHECK(one.median == 7);
  CHECK(one.p10 == 7);
  CHECK(one.p90 == 7);
  const Statistic ten = statistic_of({10, 1, 9, 2, 8, 3, 7, 4, 6, 5});
  CHECK(ten.median == 5);
  CHECK(ten.p10 == 1);
  CHECK(ten.p90 == 9);
  CHECK(ten.samples == 10);
  CHECK_THROWS_AS(statistic_of({}), Error);
}

Values of(const std::vector<float>& numbers, double absolute) {
  Values v{"y", ElementType::kFloat, {absolute, 0, "for this test"}, {}};
  v.bytes.resize(numbers.size() * sizeof(float));
  std::memcpy(v.bytes.data(), numbers.data(), v.bytes.size());
  return v;
}

TEST_CASE("a judgement compares all outputs, and zeros and NaN as they are") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(judge({of({0, 1}, 0.1)}, {of({0, 1.05f}, 0)}).ok);
  CHECK_FALSE(judge({of({0, 1}, 0.1)}, {of({0, 1.2f}, 0)}).ok);
  CHECK_FALSE(judge({of({0, nan}, 0.1)}, {of({0, 1}, 0)}).ok);
  CHECK_FALSE(judge({of({0, nan}, 0.1)}, {of({0, nan}, 0)}).ok);
  CHECK_FALSE(judge({of({0, 1}, 0.1)}, {of({0}, 0)}).ok);
  CHECK_FALSE(judge({of({1}, 0.1)}, {of({1}, 0), of({1}, 0)}).ok);
  CHECK_FALSE(judge({}, {}).ok);
}

TEST_CASE("every operation has problems at all three scales, under names of their own") {
  std::set<std::string> operations[3];
  for (const Scale scale : {Scale::kProof, Scale::kTiny, Scale::kResNet50}) {
    std::set<std::string> names;
    for (const auto& problem : all_problems({scale, 64})) {
      const Description& what = problem->what();
      operations[static_cast<int>(scale)].insert(what.operation + " " + what.type);
      const std::string name = what.operation + what.type + what.shape;
      CHECK_MESSAGE(names.insert(name).second, name);
      CHECK_MESSAGE(what.bytes > 0, name);
      const bool only_copies = what.operation == "concat_channels";
      CHECK_MESSAGE((only_copies ? what.flops == 0 : what.flops > 0), name);
      CHECK(problem->variants().at(0) == "shipped");
    }
  }
  CHECK(operations[0] == operations[1]);
  CHECK(operations[0] == operations[2]);
}

double bytes_of_problem(const std::string& operation, const std::string& type,
                        const std::string& shape) {
  for (const auto& problem : all_problems({Scale::kResNet50, 64})) {
    const Description& what = problem->what();
    if (what.operation == operation && what.type == type && what.shape == shape) return what.bytes;
  }
  return 0;
}

TEST_CASE("bytes from the geometry, by hand") {
  CHECK(bytes_of_problem("add", "fp16", "51380224 relu") == 3.0 * 2 * 64 * 56 * 56 * 256);
  CHECK(bytes_of_problem("batch_norm_statistics", "fp32", "802816x64") ==
        4.0 * 64 * 112 * 112 * 64 + 24 * 64);
  // x and y, one bit of mask per element, four vectors of channels.
  CHECK(bytes_of_problem("batch_norm_apply", "fp16", "200704x64 relu mask") ==
        200704.0 * 64 * (2 + 2 + 0.125) + 16 * 64);
  // Two passes over dy, x and the mask, then dx.
  CHECK(bytes_of_problem("batch_norm_backward", "fp16", "200704x64 mask") ==
        200704.0 * 64 * (2 * (2 + 2 + 0.125) + 2) + 20 * 64);
  // 25.6 million parameters: w, m, v read and written, the gradient, the copy.
  CHECK(bytes_of_problem("adam_step", "fp16", "161 tensors, 25557032") == 25557032.0 * 28);
}

TEST_CASE("what was not proven is not timed") {
  const std::vector<Proof> proofs{{"add", "fp32", "shipped", 1, 0.1, ""}};
  CHECK(proof_of(proofs, {"add", "fp32", "9"}, "shipped").ok());
  CHECK_THROWS_AS(proof_of(proofs, {"add", "fp16", "9"}, "shipped"), Error);
  CHECK_THROWS_AS(proof_of(proofs, {"add", "fp32", "9"}, "mine"), Error);
}

}  // namespace
}  // namespace verace::laboratory::figures_test
