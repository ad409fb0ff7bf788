// Comparisons of weight files: figures by hand, folding, refusals.
#include "weights/diff.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/weights/support.h"

namespace verace::weights::diff_test {
namespace {

// Values by tensor name; others are 0.5, as TinyNetwork writes them.
using Values = std::map<std::string, std::vector<float>>;

WeightFile write(const std::string& path, const TinyNetwork& network, const Values& values = {}) {
  std::vector<std::vector<float>> owned;
  std::vector<TensorToWrite> list;
  for (const ExpectedTensor& tensor : network.tensors) {
    size_t count = 1;
    for (const int64_t extent : tensor.shape) count *= static_cast<size_t>(extent);
    const auto own = values.find(tensor.name);
    owned.push_back(own != values.end() ? own->second : std::vector<float>(count, 0.5f));
    REQUIRE(owned.back().size() == count);
    list.emplace_back(tensor.name, tensor.shape, owned.back());
  }
  write_safetensors(path, list, network.metadata);
  return WeightFile(path);
}

struct Pair {
  TempFolder folder;
  WeightFile a, b;
  Difference difference;

  explicit Pair(const Values& before, const Values& after,
                const TinyNetwork& network_a = TinyNetwork(),
                const TinyNetwork& network_b = TinyNetwork())
      : a(write(folder / "a", network_a, before)),
        b(write(folder / "b", network_b, after)),
        difference(compare(a, describe(a), b, describe(b))) {}

  const LayerChange& at(const std::string& layer, const std::string& part) const {
    for (const LayerChange& change : difference.layers) {
      if (change.layer == layer && change.part == part) return change;
    }
    throw std::out_of_range(layer);
  }
};

TEST_CASE("figures of one layer, by hand") {
  // The tiny network's bn1 has two channels.
  const Pair pair({{"bn1.weight", {3, 0}}, {"bn1.bias", {0, 4}}},
                  {{"bn1.weight", {3, 0}}, {"bn1.bias", {3, 0}}});
  const LayerChange& change = pair.at("bn1", "gamma, beta");
  CHECK(change.values == 4);
  CHECK_FALSE(change.unchanged);
  CHECK(change.relative == 1.0);  // (0, 0, 3, -4) against (3, 0, 0, 4)
  CHECK(change.largest == 4);
  CHECK(std::abs(change.cosine - 9 / (5 * std::sqrt(18.0))) < 1e-15);
  CHECK(change.not_finite == 0);
  CHECK(pair.at("bn1", "statistics").unchanged);
  CHECK(pair.at("conv1", "weights").unchanged);
  CHECK(pair.at("conv1", "weights").relative == 0);
  CHECK(pair.at("conv1", "weights").cosine == doctest::Approx(1));
  // Of the backbone: 23,508,032 values at full width; here the difference is the same 5.
  CHECK(pair.difference.backbone.largest == 4);
  CHECK_FALSE(pair.difference.backbone.unchanged);
  CHECK(pair.difference.backbone.relative > 0);
  CHECK(pair.difference.backbone.relative < 1);
  CHECK(pair.difference.layers.size() == 53 + 2 * 53 + 1);
}

TEST_CASE("zero, NaN and signs of zero") {
  const Pair from_zero({{"bn1.running_mean", {0, 0}}, {"bn1.running_var", {0, 0}}},
                       {{"bn1.running_mean", {0, 1}}, {"bn1.running_var", {0, 0}}});
  const LayerChange& zero = from_zero.at("bn1", "statistics");
  CHECK(std::isnan(zero.relative));
  CHECK(std::isnan(zero.cosine));
  CHECK(zero.largest == 1);
  const Pair nan({}, {{"bn1.running_mean", {NAN, 0.5f}}, {"bn1.running_var", {INFINITY, 1.5f}}});
  const LayerChange& change = nan.at("bn1", "statistics");
  CHECK(change.not_finite == 2);
  CHECK_FALSE(change.unchanged);
  CHECK(change.largest == 1);
  const Pair both({{"bn1.running_mean", {NAN, 0.5f}}}, {{"bn1.running_mean", {NAN, 0.5f}}});
  CHECK_FALSE(both.at("bn1", "statistics").unchanged);
  CHECK(both.difference.backbone.unchanged);  // statistics are not its weights
  const Pair signs({{"bn1.bias", {0.0f, 1}}}, {{"bn1.bias", {-0.0f, 1}}});
  CHECK(signs.at("bn1", "gamma, beta").unchanged);
}

TEST_CASE("biases of convolutions count as part of the running means") {
  const TinyNetwork with(2, 0, true), without;
  // mean 0.5 - bias 0.5, folded by hand everywhere.
  Values folded;
  for (const ExpectedTensor& tensor : without.tensors) {
    if (tensor.role == TensorRole::kBnMean)
      folded[tensor.name] = std::vector<float>(static_cast<size_t>(tensor.shape[0]), 0.0f);
  }
  const Pair pair({}, folded, with, without);
  for (const LayerChange& change : pair.difference.layers)
    CHECK_MESSAGE(change.unchanged, change.layer);
  const Pair unfolded({}, {}, with, without);
  CHECK_FALSE(unfolded.at("layer2.0.downsample.1", "statistics").unchanged);
  CHECK(unfolded.difference.backbone.unchanged);
}

TEST_CASE("another head is replaced, another network refused") {
  const Pair pair({}, {}, TinyNetwork(5), TinyNetwork(2, 3));
  CHECK(pair.difference.layers.back().replaced == "[5, 64] -> [3, 64], [2, 3]");
  CHECK(Pair({}, {}, TinyNetwork(0), TinyNetwork(2)).difference.layers.back().replaced ==
        "none -> [2, 64]");
  const Pair same({}, {{"fc.bias", {0.5f, 0.75f}}});
  CHECK(same.difference.layers.back().replaced == "");
  CHECK(same.at("fc", "weights").largest == 0.25);
  CHECK(same.difference.backbone.unchanged);

  TinyNetwork other;
  ModelDescription wider;
  wider.width = 1.0 / 16;
  wider.stem_channels = 4;
  wider.classes = 2;
  other.tensors = expected_tensors(wider);
  CHECK_CONTAINS(input_error([&] { Pair({}, {}, TinyNetwork(), other); }),
                 "different networks: 2 and 4 channels in the stem");
  TinyNetwork broken;
  broken.remove("layer3.1.bn2.bias");
  CHECK_CONTAINS(input_error([&] { Pair({}, {}, TinyNetwork(), broken); }), "'layer3.1.bn2.bias'");
  CHECK_CONTAINS(input_error([&] { Pair({}, {}, broken, TinyNetwork()); }), "'layer3.1.bn2.bias'");
}

TEST_CASE("reports: folded runs, settings, JSON with null for what is undefined") {
  TinyNetwork v1, v15;
  v1.metadata = {{"verace.variant", "v1"}, {"verace.class_names", "[\"real\",\"fake\"]"}};
  v15.metadata = {{"verace.variant", "v1.5"}, {"verace.class_names", "[\"fake\",\"real\"]"}};
  const Pair pair({{"layer1.0.bn1.running_mean", {0, 0}}, {"layer1.0.bn1.running_var", {0, 0}}},
                  {{"layer1.0.bn1.running_mean", {0, 2}}, {"layer1.0.bn1.running_var", {0, 0}}}, v1,
                  v15);
  const std::string table = diff_table(pair.a, pair.b, pair.difference);
  for (const char* part : {"variant: v1 -> v1.5", "class names: real, fake -> fake, real",
                           "conv1 ... layer1.0.bn1: unchanged (310 values)", "from 0", "2.000e+00",
                           "layer1.0.conv2 ... fc: unchanged (", "backbone: unchanged"}) {
    CHECK_CONTAINS(table, part);
  }
  const auto json = nlohmann::json::parse(diff_json(pair.a, pair.b, pair.difference));
  CHECK(json["settings"][0]["what"] == "variant");
  CHECK(json["settings"][0]["after"] == "v1.5");
  CHECK(json["layers"].size() == pair.difference.layers.size());
  size_t changed = 0;
  for (const auto& layer : json["layers"]) {
    if (layer["unchanged"] == true) continue;
    ++changed;
    CHECK(layer["layer"] == "layer1.0.bn1");
    CHECK(layer["relative"].is_null());
    CHECK(layer["largest"] == 2.0);
  }
  CHECK(changed == 1);
  CHECK(json["backbone"]["unchanged"] == true);
  const Pair heads({}, {}, TinyNetwork(5), TinyNetwork(2));
  CHECK_CONTAINS(diff_table(heads.a, heads.b, heads.difference), "replaced: [5, 64] -> [2, 64]");
  CHECK_CONTAINS(diff_json(heads.a, heads.b, heads.difference), "\"replaced\": \"[5, 64]");
}

}  // namespace
}  // namespace verace::weights::diff_test
