// Each graph says to cuDNN what was meant, read back from its JSON; and planted faults are found.
#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/cudnn/graph_check.h"
#include "tests/cudnn/h200.h"

namespace verace::test::graphs_test {
namespace {

using kernels::ConvGeometry;
using kernels::StorageType;
using kernels::cudnn::ConvGraph;
using kernels::cudnn::ConvPass;
using kernels::cudnn::ConvSpec;
using kernels::cudnn::Target;

// Sizes of which no two are equal, so that nothing can be exchanged unseen.
std::vector<ConvSpec> lopsided_specs() {
  std::vector<ConvSpec> specs;
  const ConvGeometry lopsided[] = {{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2},
                                   {{3, 10, 14, 8}, 24, 1, 1, 1, 2, 0, 0},
                                   {{2, 9, 22, 8}, 64, 7, 4, 2, 1, 3, 0}};
  for (const ConvGeometry& g : lopsided) {
    for (const Precision& p : kPrecisions) {
      const std::vector<ConvSpec> more = forms(g, p);
      specs.insert(specs.end(), more.begin(), more.end());
    }
  }
  return specs;
}

TEST_CASE("a graph says what was meant, of pictures and filters that are not square") {
  const std::optional<Target> target = h200("graphs_test graphs");
  if (!target) return;
  for (const ConvSpec& spec : lopsided_specs()) {
    INFO(to_string(spec));
    CHECK(graph_errors(ConvGraph(*target, spec).json(), spec) == "");
  }
}

using Change = std::function<void(ConvSpec&)>;

// The graph of a convolution that was changed behind the check's back.
bool passes(const Target& target, const ConvSpec& meant, const Change& change) {
  ConvSpec built = meant;
  change(built);
  return graph_errors(ConvGraph(target, built).json(), meant).empty();
}

TEST_CASE("planted faults: another geometry") {
  const std::optional<Target> target = h200("graphs_test planted geometries");
  if (!target) return;
  const std::pair<const char*, Change> faults[] = {
      {"height and width exchanged", [](auto& s) { std::swap(s.g.x.h, s.g.x.w); }},
      {"strides exchanged", [](auto& s) { std::swap(s.g.stride_h, s.g.stride_w); }},
      {"stride 1", [](auto& s) { s.g.stride_h = s.g.stride_w = 1; }},
      {"no padding", [](auto& s) { s.g.pad_h = s.g.pad_w = 0; }},
      {"padding exchanged", [](auto& s) { std::swap(s.g.pad_h, s.g.pad_w); }},
      {"filter turned", [](auto& s) { std::swap(s.g.r, s.g.s); }},
      {"channels and filters exchanged", [](auto& s) { std::swap(s.g.x.c, s.g.k); }},
      {"half of the batch", [](auto& s) { s.g.x.n /= 2; }},
      {"another storage type",
       [](auto& s) {
         s.tf32 = false;
         s.type = s.type == StorageType::kHalf ? StorageType::kBFloat16 : StorageType::kHalf;
       }},
      {"gradients exchanged",
       [](auto& s) {
         s.post = {};
         s.pass = s.pass == ConvPass::kBackwardFilter ? ConvPass::kBackwardData
                                                      : ConvPass::kBackwardFilter;
       }},
  };
  const ConvGeometry g{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2};
  for (const Precision& p : kPrecisions) {
    for (const ConvPass pass :
         {ConvPass::kForward, ConvPass::kBackwardData, ConvPass::kBackwardFilter}) {
      ConvSpec spec{pass, g, {}, p.type, p.tf32};
      if (pass == ConvPass::kForward) spec.post = {true, true, true};
      INFO(to_string(spec));
      CHECK(passes(*target, spec, [](auto&) {}));
      for (const auto& [name, change] : faults) {
        CHECK_MESSAGE(!passes(*target, spec, change), "planted fault went unnoticed: ", name);
      }
    }
  }
  const ConvSpec fused{ConvPass::kForward, g, {true, true, true}, StorageType::kHalf, false};
  CHECK(!passes(*target, fused, [](auto& s) { s.post.bias = false; }));
  CHECK(!passes(*target, fused, [](auto& s) { s.post.add = false; }));
  CHECK(!passes(*target, fused, [](auto& s) { s.post.relu = false; }));
  CHECK(!passes(*target, fused, [](auto& s) { s.post.slope = 0.1f; }));
  const ConvSpec plain{ConvPass::kForward, g, {}, StorageType::kHalf, false};
  CHECK(!passes(*target, plain, [](auto& s) { s.post.relu = true; }));
}

// `text` with the first `from` after `place` replaced.
std::string replaced(const std::string& text, const std::string& place, const std::string& from,
                     const std::string& to) {
  const size_t start = text.find(place);
  REQUIRE_MESSAGE(start != std::string::npos, place);
  const size_t at = text.find(from, start);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.substr(0, at) + to + text.substr(at + from.size());
}

TEST_CASE("planted faults: another layout or other operations") {
  const std::optional<Target> target = h200("graphs_test planted layouts");
  if (!target) return;
  const ConvGeometry g{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2};  // output 6 x 7
  const ConvSpec spec{ConvPass::kForward, g, {true, true, true}, StorageType::kHalf, false};
  const std::string json = ConvGraph(*target, spec).json();
  CHECK(graph_errors(json, spec) == "");
  const struct {
    const char *name, *place, *from, *to;
  } faults[] = {
      {"channels first: x", "\"x\":{", "[3840,1,320,16]", "[3840,240,20,1]"},
      {"channels first: w", "\"w\":{", "[240,1,80,16]", "[240,15,5,1]"},
      {"channels first: y", "\"y\":{", "[1344,1,224,32]", "[1344,42,7,1]"},
      {"channels first: addition", "\"a\":{", "[1344,1,224,32]", "[1344,42,7,1]"},
      {"convolution turned", "\"nodes\"", "CROSS_CORRELATION", "CONVOLUTION"},
      {"dilation", "\"nodes\"", "\"dilation\":[1,1]", "\"dilation\":[1,2]"},
      {"padding after", "\"nodes\"", "\"post_padding\":[1,2]", "\"post_padding\":[1,1]"},
      {"half precision sums", "\"nodes\"", "\"compute_data_type\":\"FLOAT\"",
       "\"compute_data_type\":\"HALF\""},
      {"the sum inside is rounded", "\"convolution::Y\":{", "\"FLOAT\"", "\"HALF\""},
      {"bias of the storage type", "\"b\":{", "\"FLOAT\"", "\"HALF\""},
      {"a value inside becomes an output", "\"bias::OUT_0\":{", "\"is_virtual\":true",
       "\"is_virtual\":false"},
      {"the output is inside", "\"y\":{", "\"is_virtual\":false", "\"is_virtual\":true"},
      {"numbers exchanged", "\"x\":{", "\"uid\":1", "\"uid\":2"},
      {"product instead of the bias' sum", "\"name\":\"convolution\"", "\"mode\":\"ADD\"",
       "\"mode\":\"MUL\""},
      {"product instead of the addition", "\"name\":\"bias\"", "\"mode\":\"ADD\"",
       "\"mode\":\"MUL\""},
      {"ReLU's gradient instead of ReLU", "\"name\":\"addition\"", "\"mode\":\"RELU_FWD\"",
       "\"mode\":\"RELU_BWD\""},
      {"another kind of operation", "\"name\":\"bias\"", "POINTWISE", "REDUCTION"},
      {"addition reads the convolution", "\"name\":\"convolution\"", "\"IN_0\":\"bias::OUT_0\"",
       "\"IN_0\":\"convolution::Y\""},
      {"clipped ReLU", "\"name\":\"relu\"", "\"relu_upper_clip\":null", "\"relu_upper_clip\":6.0"},
  };
  for (const auto& fault : faults) {
    CHECK_MESSAGE(graph_errors(replaced(json, fault.place, fault.from, fault.to), spec) != "",
                  "planted fault went unnoticed: ", std::string(fault.name));
  }
}

}  // namespace
}  // namespace verace::test::graphs_test
