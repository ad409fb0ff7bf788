// Keras archives (.keras): the weights of the HDF5 member, the configuration beside it.
#include "weights/hdf5/keras_archive.h"
#include "kernels/hash.h"
#include "tests/weights/keras_files.h"
#include "tests/weights/torch_support.h"
#include "weights/weight_file.h"

namespace verace::weights::keras_archive_test {
namespace {

Member checked(const std::string& name, const std::string& data) {
  return {.name = name, .data = data, .crc = crc32(std::as_bytes(std::span(data)))};
}

TensorTable parse_archive(const std::string& file) {
  return parse_keras_archive(std::as_bytes(std::span(file)), "net.keras");
}

bool is_archive(const std::string& file) {
  return is_keras_archive(std::as_bytes(std::span(file)));
}

std::string refusal(const std::string& file) {
  return input_error([&] { parse_archive(file); });
}

TEST_CASE("an archive that Keras wrote") {
  const std::string file = keras_file("keras3_nested.keras");
  CHECK(is_archive(file));
  const TensorTable table = parse_archive(file);
  CHECK(table.tensors.size() == 5 * (2 + 4) + 2);
  for (const TensorView& tensor : table.tensors) {
    CHECK_MESSAGE(wrong_elements(tensor) == 0, tensor.name);
    CHECK(tensor.bytes.data() >= std::as_bytes(std::span(file)).data());
    CHECK(tensor.bytes.data() < std::as_bytes(std::span(file)).data() + file.size());
  }
  CHECK(table.metadata.at("keras.version").starts_with("3."));
  CHECK(table.metadata.at("keras.root") == "/layers");
  const std::string& config = table.metadata.at("keras.model_config");
  CHECK(config.starts_with("{\"module\": \"keras\", \"class_name\": \"Sequential\""));
  CHECK(config.ends_with("}"));
  // Through its name, which says nothing: the content decides.
  const TempFolder folder;
  write_text(folder / "weights.pth", file);
  const WeightFile opened((folder / "weights.pth").string());
  CHECK(opened.format() == Format::kKerasArchive);
  CHECK(to_string(opened.format()) == "Keras archive");
  CHECK(opened.tensors().size() == table.tensors.size());
}

TEST_CASE("archives without a configuration, and what is wrong with others") {
  const std::string weights = keras_file("keras3_nested.weights.h5");
  const Member h5 = checked("model.weights.h5", weights);
  const TensorTable bare = parse_archive(zip_bytes({h5}));
  CHECK(bare.tensors.size() == 32);
  CHECK(bare.metadata.count("keras.model_config") == 0);
  CHECK(bare.metadata.count("keras.version") == 0);
  for (const char* about : {"", "nonsense", "[]", "{\"keras_version\": 3}"}) {
    const TensorTable table = parse_archive(zip_bytes({checked("metadata.json", about), h5}));
    CHECK(table.metadata.count("keras.version") == 0);
  }
  const std::string good = zip_bytes({checked("config.json", "{}"), h5});
  CHECK(parse_archive(good).metadata.at("keras.model_config") == "{}");
  Member wrong = checked("config.json", "{}");
  wrong.crc ^= 1;
  CHECK_CONTAINS(refusal(zip_bytes({wrong, h5})),
                 "net.keras: config.json does not have the checksum that the file states");
  CHECK_CONTAINS(refusal(zip_bytes({checked("metadata.json", std::string(4097, ' ')), h5})),
                 "metadata.json has 4097 bytes, at most 4096 are read");
  CHECK(parse_archive(zip_bytes({checked("metadata.json", std::string(4096, ' ')), h5}))
            .tensors.size() == 32);
  CHECK_CONTAINS(refusal(zip_bytes({checked("config.json", std::string((16 << 20) + 1, ' ')), h5})),
                 "config.json has 16777217 bytes, at most 16777216 are read");
  CHECK_CONTAINS(refusal(zip_bytes({checked("model.weights.h5", weights.substr(0, 60000))})),
                 "net.keras: model.weights.h5: is truncated: holds 60000 bytes");
  CHECK_CONTAINS(refusal(zip_bytes({checked("other", "x")})), "without model.weights.h5");
}

TEST_CASE("what is no Keras archive") {
  const std::string weights = keras_file("keras3_nested.weights.h5");
  CHECK_FALSE(is_archive(""));
  CHECK_FALSE(is_archive(weights));
  CHECK_FALSE(is_archive(zip_bytes({checked("m/data.pkl", "x")})));
  CHECK_FALSE(is_archive(zip_bytes({checked("dir/model.weights.h5", weights)})));
  const std::string good = zip_bytes({checked("model.weights.h5", weights)});
  CHECK(is_archive(good));
  CHECK_FALSE(is_archive(good.substr(0, good.size() - 1)));
  Member packed = checked("model.weights.h5", weights);
  packed.method = packed.local_method = 8;
  CHECK(is_archive(zip_bytes({packed})));
  CHECK_CONTAINS(refusal(zip_bytes({packed})),
                 "is compressed (method 8): load and save it again with Keras");
}

}  // namespace
}  // namespace verace::weights::keras_archive_test
