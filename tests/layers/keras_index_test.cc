// The layer table's Keras names and indices, and the frozen sets, against
// keras.applications.ResNet50 itself.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "layers/classifier.h"
#include "optim/freeze.h"

namespace verace::layers::keras_index_test {
namespace {

nlohmann::json golden() {
  std::ifstream file(std::string(VERACE_GOLDENS) + "/keras_frozen_sets.json");
  return nlohmann::json::parse(file);
}

}  // namespace

TEST_CASE("every layer stands where Keras lists it") {
  std::map<std::string, int> index;
  const nlohmann::json document = golden();
  for (const auto& layer : document["layers"]) index[layer["name"]] = layer["index"];
  Classifier classifier({});
  int checked = 0;
  for (const auto& layer : classifier.table().layers()) {
    if (layer->keras_index < 0) continue;
    INFO(layer->name, " = ", layer->keras_name);
    REQUIRE(index.count(layer->keras_name) == 1);
    CHECK(layer->keras_index == index[layer->keras_name]);
    ++checked;
  }
  CHECK(checked == 106);
}

TEST_CASE("keras:K freezes what Keras' own layers[:K] freezes") {
  const nlohmann::json document = golden();
  const nlohmann::json& sets = document["sets"];
  Classifier classifier({});
  for (const auto& [k, entry] : sets.items()) {
    optim::freeze(classifier.table(), "keras:" + k);
    std::set<std::string> frozen, wanted;
    for (const auto& layer : classifier.table().layers()) {
      if (!layer->trainable) frozen.insert(layer->keras_name);
    }
    for (const auto& name : entry["frozen"]) wanted.insert(name.get<std::string>());
    INFO("keras:", k);
    CHECK(frozen == wanted);
  }
  CHECK(sets.size() >= 5);
}

}  // namespace verace::layers::keras_index_test
