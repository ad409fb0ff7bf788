// The list of convolutions that are planned, against the literature: what each step must ask for.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/cudnn/networks.h"

namespace verace::test::steps_test {
namespace {

using kernels::cudnn::ConvPass;

const RecordedStep& step_of(const NetworkShape& shape, const std::string& name) {
  const std::vector<RecordedStep>& steps = steps_of(shape);
  const auto found =
      std::ranges::find_if(steps, [&](const RecordedStep& step) { return step.name == name; });
  REQUIRE_MESSAGE(found != steps.end(), name);
  return *found;
}

int64_t count(const RecordedStep& step, ConvPass pass) {
  return std::ranges::count_if(step.convolutions,
                               [&](const RecordedConvolution& c) { return c.pass == pass; });
}

TEST_CASE("the steps ask for the convolutions that they must have") {
  // Multiplications and additions of all 53 convolutions, 224 pixels (He et al. 2016, table 1, and
  // torchvision's documentation, without the dense layer's 2 million).
  for (const auto& [variant, giga] :
       {std::pair{engine::Variant::kV1, 3.856}, std::pair{engine::Variant::kV15, 4.087}}) {
    const NetworkShape shape{variant, 224, 64};
    const RecordedStep& inference = step_of(shape, "inference");
    CHECK(count(inference, ConvPass::kForward) == 53);
    CHECK(inference.convolutions.size() == 53);
    double flops = 0.0;
    for (const RecordedConvolution& c : inference.convolutions) {
      flops += static_cast<double>(c.g.flops());
      CHECK(c.post.bias);  // the folded batch norm
    }
    CHECK(flops / 2e9 == doctest::Approx(giga).epsilon(0.001));
    const RecordedStep& attack = step_of(shape, "attack");
    CHECK(count(attack, ConvPass::kForward) == 53);
    CHECK(count(attack, ConvPass::kBackwardData) == 53);
    CHECK(count(attack, ConvPass::kBackwardFilter) == 0);
    const RecordedStep& all = step_of(shape, "training --freeze none");
    CHECK(count(all, ConvPass::kForward) == 53);
    CHECK(count(all, ConvPass::kBackwardData) == 52);  // nobody wants the pictures' gradient
    CHECK(count(all, ConvPass::kBackwardFilter) == 53);
    const RecordedStep& head = step_of(shape, "training --freeze backbone");
    CHECK(head.convolutions.size() == 53);
    const RecordedStep& stages = step_of(shape, "training --freeze stages:2");
    CHECK(count(stages, ConvPass::kForward) == 53);
    CHECK(count(stages, ConvPass::kBackwardFilter) == 29);  // stage 3: 19, stage 4: 10
    CHECK(count(stages, ConvPass::kBackwardData) == 27);    // not through stage 3's two entries
    const RecordedStep& named = step_of(shape, "training --freeze name:layer2.3.bn3");
    CHECK(count(named, ConvPass::kBackwardFilter) == 29);  // the last layer of stage 2
    CHECK(count(named, ConvPass::kBackwardData) == 27);
  }
}

}  // namespace
}  // namespace verace::test::steps_test
