// Reading and writing: round trips bit by bit, lookup, conversion, files that cannot be opened.
#include "weights/safetensors.h"
#include "weights/weight_file.h"

#include <sys/stat.h>

#include <bit>
#include <random>

#include "tests/weights/support.h"

namespace verace::weights::safetensors_test {
namespace {

std::vector<float> random_bits(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(count);
  // Any bit pattern, NaN payloads included.
  for (float& value : out) value = std::bit_cast<float>(static_cast<uint32_t>(random()));
  return out;
}

TEST_CASE("a round trip keeps names, shapes, metadata and every bit") {
  const TempFolder folder;
  const std::string path = folder / "round.safetensors";
  const std::vector<float> a = random_bits(64 * 3 * 7 * 7, 1), scalar = random_bits(1, 2), none;
  const std::vector<int64_t> counts{1, -2, INT64_MAX};
  const std::vector<uint8_t> odd{1, 2, 3};
  const std::map<std::string, std::string> metadata{{"k", "v \"quoted\"\n"}, {"Ä", "π"}, {"", ""}};
  const TensorToWrite tensors[] = {{"odd", {3}, Dtype::kU8, std::as_bytes(std::span(odd))},
                                   {"conv1.weight", {64, 3, 7, 7}, a},
                                   {"scalar", {}, scalar},
                                   {"none", {0, 5}, none},
                                   {"counts", {3}, Dtype::kI64, std::as_bytes(std::span(counts))}};
  write_safetensors(path, tensors, metadata);

  const WeightFile file(path);
  CHECK(file.metadata() == metadata);
  CHECK(file.path() == path);
  CHECK(file.file_bytes() == static_cast<int64_t>(std::filesystem::file_size(path)));
  std::string order;
  for (const TensorView& tensor : file.tensors()) order += tensor.name + " ";
  CHECK(order == "counts conv1.weight scalar none odd ");  // larger elements first, else as given
  for (const TensorToWrite& written : tensors) {
    const TensorView& read = file.at(written.name);
    CHECK(read.dtype == written.dtype);
    CHECK(read.shape == written.shape);
    REQUIRE(read.bytes.size() == written.bytes.size());
    CHECK((read.bytes.empty() ||
           std::memcmp(read.bytes.data(), written.bytes.data(), read.bytes.size()) == 0));
    CHECK(reinterpret_cast<uintptr_t>(read.bytes.data()) % size_of(read.dtype) == 0);
  }
  const std::vector<float> back = file.read_f32("conv1.weight");
  CHECK(std::memcmp(back.data(), a.data(), a.size() * sizeof(float)) == 0);
  CHECK(file.read_f32("none").empty());

  uint64_t header = 0;
  std::memcpy(&header, read_text(path).data(), 8);
  CHECK(header % 8 == 0);
  const std::string first = read_text(path);
  write_safetensors(path, tensors, metadata);
  CHECK(read_text(path) == first);
}

TEST_CASE("no tensors and no metadata") {
  const TempFolder folder;
  write_safetensors(folder / "empty", {}, {});
  const WeightFile file(folder / "empty");
  CHECK(file.tensors().empty());
  CHECK(file.metadata().empty());
}

TEST_CASE("16-bit tensors are read as fp32, other types are refused by name") {
  const TempFolder folder;
  const std::vector<uint16_t> bits{0x3c00, 0x0001, 0xfc00, 0xc248};
  const std::vector<double> doubles{1.0};
  const TensorToWrite tensors[] = {{"half", {4}, Dtype::kF16, std::as_bytes(std::span(bits))},
                                   {"brain", {2, 2}, Dtype::kBF16, std::as_bytes(std::span(bits))},
                                   {"double", {1}, Dtype::kF64, std::as_bytes(std::span(doubles))}};
  write_safetensors(folder / "f", tensors, {});
  const WeightFile file(folder / "f");
  CHECK(file.read_f32("half") == std::vector<float>{1.0f, 0x1p-24f, -INFINITY, -3.140625f});
  CHECK(file.read_f32("brain")[0] == std::bit_cast<float>(0x3c000000u));
  CHECK_CONTAINS(input_error([&] { file.read_f32("double"); }), "'double' has dtype F64");
  CHECK_CONTAINS(input_error([&] { file.read_f32("absent"); }), "no tensor 'absent'");
  CHECK(file.find("absent") == nullptr);
  std::vector<float> wrong_size(3);
  CHECK_THROWS_AS(file.read_f32("half", wrong_size), Error);
}

TEST_CASE("views survive a move") {
  const TempFolder folder;
  const std::vector<float> values{1, 2, 3};
  const TensorToWrite tensors[] = {{"v", {3}, values}};
  write_safetensors(folder / "f", tensors, {});
  WeightFile first(folder / "f");
  const std::byte* address = first.at("v").bytes.data();
  WeightFile second(std::move(first));
  CHECK(second.at("v").bytes.data() == address);
  WeightFile third(folder / "f");
  third = std::move(second);
  CHECK(third.read_f32("v") == values);
}

TEST_CASE("data at odd addresses is read correctly") {
  const TempFolder folder;
  const std::vector<float> values{1.5f, -2.5f};
  std::string file = safetensors_bytes(
      R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"v":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})",
      9);
  std::memcpy(file.data() + file.size() - 8, values.data(), 8);
  write_text(folder / "odd", file);
  CHECK(WeightFile(folder / "odd").read_f32("v") == values);
}

TEST_CASE("files that cannot be opened") {
  const TempFolder folder;
  CHECK_CONTAINS(input_error([&] { WeightFile file(folder / "absent"); }), "cannot open");
  CHECK_CONTAINS(input_error([&] { WeightFile file(folder.path()); }), "not a regular file");
  CHECK_CONTAINS(input_error([&] { WeightFile file("/dev/null"); }), "not a regular file");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_CONTAINS(input_error([&] { WeightFile file(folder / "pipe"); }), "not a regular file");
  write_text(folder / "empty", "");
  CHECK_CONTAINS(input_error([&] { WeightFile file(folder / "empty"); }), "is empty");
}

TEST_CASE("what the writer refuses") {
  const TempFolder folder;
  const std::vector<float> two{1, 2};
  const auto write = [&](std::vector<TensorToWrite> tensors,
                         std::map<std::string, std::string> metadata) {
    write_safetensors(folder / "out", tensors, metadata);
  };
  CHECK_THROWS_AS(write({{"a", {3}, two}}, {}), Error);
  CHECK_THROWS_AS(write({{"a", {-2}, two}}, {}), Error);
  CHECK_THROWS_AS(write({{"a", {2}, two}, {"a", {2}, two}}, {}), Error);
  CHECK_THROWS_AS(write({{"__metadata__", {2}, two}}, {}), Error);
  CHECK_CONTAINS(input_error([&] { write({{"a", {2}, two}}, {{"k", "\xff"}}); }), "UTF-8");
  CHECK_CONTAINS(input_error([&] { write_safetensors(folder / "no/folder/out", {}, {}); }),
                 "create the folder");
  CHECK(folder.names().empty());
}

}  // namespace
}  // namespace verace::weights::safetensors_test
