// Weight files by content: safetensors, and an index with its shards.
#include "weights/weight_file.h"

#include "tests/weights/support.h"
#include "tests/weights/torch_support.h"
#include "weights/safetensors_index.h"

namespace verace::weights::weight_file_test {
namespace {

// Two shards a and b with one tensor each, and their index.
struct Shards {
  TempFolder folder;
  std::vector<float> one{1, 2}, two{3};

  Shards() {
    write("m-1-of-2.safetensors", "a", one, {{"format", "pt"}});
    write("m-2-of-2.safetensors", "b", two, {{"format", "pt"}});
    index(R"({"a": "m-1-of-2.safetensors", "b": "m-2-of-2.safetensors"})");
  }
  void write(const std::string& file, const std::string& name, const std::vector<float>& values,
             const std::map<std::string, std::string>& metadata) const {
    const TensorToWrite tensors[] = {{name, {static_cast<int64_t>(values.size())}, values}};
    write_safetensors(folder / file, tensors, metadata);
  }
  void index(const std::string& map) const {
    write_text(folder / "m.index.json",
               "{\"metadata\": {\"total_size\": 12}, \"weight_map\": " + map + "}\n");
  }
  std::string error() const {
    return input_error([&] { WeightFile file(folder / "m.index.json"); });
  }
};

TEST_CASE("an index stands for the tensors of all its shards") {
  const Shards shards;
  WeightFile first(shards.folder / "m.index.json");
  const WeightFile file(std::move(first));
  CHECK(file.format() == Format::kSafetensorsShards);
  CHECK(to_string(file.format()) == "safetensors in shards");
  CHECK(file.tensors().size() == 2);
  CHECK(file.read_f32("a") == shards.one);
  CHECK(file.read_f32("b") == shards.two);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  int64_t bytes = 0;
  for (const char* name : {"m.index.json", "m-1-of-2.safetensors", "m-2-of-2.safetensors"})
    bytes += static_cast<int64_t>(std::filesystem::file_size(shards.folder / name));
  CHECK(file.file_bytes() == bytes);
  CHECK(WeightFile(shards.folder / "m-1-of-2.safetensors").format() == Format::kSafetensors);
}

TEST_CASE("an index and shards that do not fit are refused") {
  Shards s;
  s.index(R"({"a": "m-1-of-2.safetensors"})");
  CHECK(WeightFile(s.folder / "m.index.json").tensors().size() == 1);  // b's shard is not wanted
  s.index(R"({"a": "m-1-of-2.safetensors", "b": "m-1-of-2.safetensors"})");
  CHECK_CONTAINS(s.error(), "names 2 tensors, its shards hold 1");
  s.index(R"({"c": "m-1-of-2.safetensors"})");
  CHECK_CONTAINS(s.error(), "'m-1-of-2.safetensors' holds tensor 'a', which the index does not");
  s.index(R"({"a": "m-1-of-2.safetensors", "b": "m-3-of-2.safetensors"})");
  CHECK_CONTAINS(s.error(), "m-3-of-2.safetensors: cannot open");
  s.write("m-3-of-2.safetensors", "b", s.two, {{"format", "tf"}});
  CHECK_CONTAINS(s.error(), "contradict each other in the metadata 'format'");
  s.write("m-3-of-2.safetensors", "a", s.two, {});
  CHECK_CONTAINS(s.error(), "puts into 'm-1-of-2.safetensors'");
  write_text(s.folder / "m-3-of-2.safetensors", "{\"weight_map\": {\"b\": \"m.index.json\"}}");
  CHECK_CONTAINS(s.error(), "m-3-of-2.safetensors: is a text, not weights");
}

TEST_CASE("a strided tensor of a .pth is read through its strides") {
  const TempFolder folder;
  const std::string storage = op::storage("0", 6);
  write_text(folder / "f.pth",
             torch_zip(op::ordered({{"row", op::tensor(storage, 1, {2, 3}, {0, 1})},
                                    {"turned", op::tensor(storage, 0, {3, 2}, {1, 3})}}),
                       {{"0", floats({0, 1, 2, 3, 4, 5})}}));
  const WeightFile file(folder / "f.pth");
  CHECK(file.read_f32("row") == std::vector<float>{1, 2, 3, 1, 2, 3});
  CHECK(file.read_f32("turned") == std::vector<float>{0, 3, 1, 4, 2, 5});
}

TEST_CASE("nothing outside of the index's folder is opened") {
  Shards s;
  std::filesystem::create_directory(s.folder / "sub");
  std::filesystem::copy(s.folder / "m-1-of-2.safetensors", s.folder / "sub/x");
  for (const char* name :
       {"sub/x", "/etc/passwd", "..", "../x", "a\\\\b", ".hidden", "", "a\\u0000"}) {
    s.index("{\"a\": \"" + std::string(name) + "\"}");
    const std::string error = s.error();
    const bool named = contains(error, "not the name of a file beside the index");
    CHECK_MESSAGE((named || contains(error, "NUL")), error);
  }
}

TEST_CASE("what is not an index is refused in one line") {
  const auto error = [](const std::string& text) {
    const std::string message = input_error([&] {
      parse_safetensors_index(std::as_bytes(std::span(text.data(), text.size())), "i.json");
    });
    CHECK_CONTAINS(message, "i.json: ");
    CHECK_FALSE(contains(message, "\n"));
    return message;
  };
  CHECK_CONTAINS(error("{\"model_type\": \"resnet\"}"), "no weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": {}}"), "no weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": []}"), "no weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": 1}"), "a number as weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": 1}}"), "a number in weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": {}}}"), "an object in weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": [\"x\"]}}"), "a list");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}"), "names 'a' twice");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": \"x\"}, \"weight_map\": {\"b\": \"x\"}}"),
                 "twice");
  CHECK_CONTAINS(error("{\"metadata\": {\"weight_map\": {\"a\": \"x\"}}}"), "no weight_map");
  CHECK_CONTAINS(error("{\"weight_map\": {\"a\": \"x\""), "not valid JSON");
  CHECK_CONTAINS(error(std::string("{\"weight_map\"\0: 1}", 18)), "NUL");
  CHECK_CONTAINS(error("{\"metadata\": " + std::string(100'000, '[')), "nested too deep");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
  CHECK_CONTAINS(error(deep), "nested too deep");
  CHECK_CONTAINS(error(std::string(kMaxIndexBytes + 1, '{')), "at most 16000000");
  std::string many = "{\"weight_map\": {";
  for (size_t i = 0; i <= kMaxShards; ++i)
    many += (i == 0 ? "\"t" : ", \"t") + std::to_string(i) + "\": \"f" + std::to_string(i) + "\"";
  CHECK_CONTAINS(error(many + "}}"), "more than 1000 files");
}

}  // namespace
}  // namespace verace::weights::weight_file_test
