// Inspection reports: what must stand in the table and in the JSON.
#include "weights/inspect.h"

#include <nlohmann/json.hpp>

#include "tests/weights/support.h"
#include "weights/safetensors_checksum.h"

namespace verace::weights::inspect_test {
namespace {

TEST_CASE("a file that carries its checksum is checked by it") {
  const TempFolder folder;
  TinyNetwork network;
  CHECK(inspect_table(inspect(network.write(folder / "f"))).find("checksum") == std::string::npos);
  CHECK_CONTAINS(inspect_json(inspect(network.write(folder / "f"))), "\"checksum\": null");
  network.metadata = {{kChecksumKey, kChecksumToFill}};
  network.write(folder / "f");
  CHECK_CONTAINS(inspect_table(inspect(WeightFile(folder / "f"))), "every byte is as it was");
  CHECK_CONTAINS(inspect_json(inspect(WeightFile(folder / "f"))), "\"checksum\": \"right\"");
  std::string bytes = read_text(folder / "f");
  bytes.back() ^= 1;
  write_text(folder / "f", bytes);
  CHECK_CONTAINS(inspect_table(inspect(WeightFile(folder / "f"))), "checksum: WRONG");
  CHECK_CONTAINS(inspect_json(inspect(WeightFile(folder / "f"))), "\"checksum\": \"wrong\"");
  CHECK_CONTAINS(inspect_json(inspect(WeightFile(folder / "f"))), "\"usable\": false");
}

TEST_CASE("the table shows tensors, totals, metadata and findings with their source") {
  const TempFolder folder;
  TinyNetwork network;
  network.metadata = {{"verace.variant", "v1"}, {"note", "two\nlines"}};
  const WeightFile file = network.write(folder / "net");
  const ModelDescription description = describe(file);
  const std::string table = inspect_table(inspect(file), true);
  for (const char* part :
       {"layer4.2.bn3.running_var", "[2, 3, 7, 7]", "F32", "1,176", "267 tensors (267 F32)",
        "         0.5         0.5         0.5", "two?lines", "variant", "v1", "metadata",
        "ASSUMPTION", "shapes", "all tensors of ResNet-50 are there"}) {
    CHECK_CONTAINS(table, part);
  }
  CHECK(inspect(file).is_usable());
  CHECK_CONTAINS(inspect_table(inspect(file)), "conv1.weight");
  // One that is refused is shown as well.
  Overrides against;
  against.variant = Variant::kV15;
  const Inspection refused = inspect(file, against);
  CHECK_FALSE(refused.is_usable());
  CHECK_CONTAINS(inspect_table(refused), "conv1.weight");
  CHECK_CONTAINS(inspect_table(refused), "network\n  REFUSED: ");
  CHECK_FALSE(contains(inspect_table(refused), "ASSUMPTION"));
}

TEST_CASE("statistics leave out and count what is not finite") {
  const TempFolder folder;
  const std::vector<float> values{-1, 3, NAN, INFINITY}, bad{NAN};
  const std::vector<int64_t> counter{7};
  const TensorToWrite tensors[] = {{"v", {4}, values},
                                   {"bad", {1}, bad},
                                   {"counter", {}, Dtype::kI64, std::as_bytes(std::span(counter))}};
  write_safetensors(folder / "f", tensors, {});
  const WeightFile file(folder / "f");
  CHECK_CONTAINS(inspect_table(inspect(file), true),
                 "          -1           3           1  2 NOT FINITE");
  const auto json = nlohmann::json::parse(inspect_json(inspect(file), true));
  CHECK(json["network"].is_null());
  CHECK(json["tensors"][1]["max"] == 3);
  CHECK(json["tensors"][1]["not_finite"] == 2);
  CHECK_FALSE(json["tensors"][2].contains("min"));
  CHECK_FALSE(json["tensors"][0].contains("not_finite"));
}

TEST_CASE("the JSON form holds the same") {
  const TempFolder folder;
  TinyNetwork network(2, 3);
  network.metadata = {{"verace.pool", "ceil"}};
  network.remove("bn1.bias");
  const WeightFile file = network.write(folder / "net");
  const ModelDescription description = describe(file);
  const auto json = nlohmann::json::parse(inspect_json(inspect(file)));
  CHECK(json["file"] == file.path());
  CHECK(json["bytes"] == file.file_bytes());
  CHECK(json["tensors"].size() == 268);
  CHECK(json["tensors"][0]["name"] == "conv1.weight");
  CHECK(json["tensors"][0]["shape"] == std::vector<int>{2, 3, 7, 7});
  CHECK_FALSE(json["tensors"][0].contains("min"));
  CHECK(json["metadata"]["verace.pool"] == "ceil");
  CHECK(json["network"]["pool"] == "ceil");
  CHECK(json["network"]["head_hidden"] == 3);
  CHECK(json["findings"].size() == description.findings.size());
  CHECK_CONTAINS(json["mismatch"].get<std::string>(), "'bn1.bias'");
  CHECK(json["refusal"].is_null());
  CHECK(json["usable"] == false);
}

}  // namespace
}  // namespace verace::weights::inspect_test
