// Malformed safetensors files: each is refused with one line that names file, place and remedy.
#include <ctime>
#include <limits>
#include <random>

#include "kernels/format.h"
#include "tests/support/sanitized.h"
#include "tests/weights/support.h"
#include "weights/safetensors_header.h"

namespace verace::weights::safetensors_malformed_test {
namespace {

constexpr const char* kName = "bad.safetensors";
const std::string kEmptyTensor = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";

TensorTable parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file)), kName);
}

std::string refusal(const std::string& file) {
  const std::string message = input_error([&] { parse(file); });
  CHECK_CONTAINS(message, kName);
  return message;
}

struct Case {
  const char* what;
  std::string header;
  size_t data_bytes;
  const char* message;
};

const std::vector<Case>& malformed_headers() {  // NOLINT(function-length): a table
  static const std::vector<Case> cases{
      {"unknown dtype", R"({"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}})", 4,
       "unknown dtype 'F31'"},
      {"lower-case dtype", R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", 4,
       "unknown dtype"},
      {"dtype is a number", R"({"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}})", 4, "a number"},
      {"negative extent", R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
       "negative"},
      {"two negative extents", R"({"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}})", 4,
       "shape"},
      {"fractional extent", R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4,
       "1.0"},
      {"extent 2^63", R"({"a":{"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]}})",
       4, "2^63"},
      {"extent 2^64",
       R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}})", 4, "64-bit"},
      {"2^62 elements of 4 bytes wrap to 0",
       R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0,
       "larger than 2^63"},
      {"product wraps to 4 bytes",
       R"({"a":{"dtype":"U8","shape":[4294967296,4294967297],"data_offsets":[0,4294967296]}})", 4,
       "larger than"},
      {"overflow before a zero",
       R"({"a":{"dtype":"F32","shape":[4611686018427387904,4,0],"data_offsets":[0,0]}})", 0,
       "larger than"},
      {"extent is a string", R"({"a":{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}})", 4,
       "a string"},
      {"shape is no list", R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})", 4,
       "a number"},
      {"shape is nested", R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4,
       "a list"},
      {"shape of 33 extents", "", 4, "too many"},
      {"offsets end before they begin", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
       4, "before it begins"},
      {"three offsets", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4,
       "too many"},
      {"one offset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4,
       "fewer than two"},
      {"negative offset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 4,
       "negative"},
      {"offset 2^63", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775808]}})",
       4, "2^63"},
      {"too few bytes", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
       "needs 8 bytes"},
      {"too many bytes", R"({"a":{"dtype":"F16","shape":[1],"data_offsets":[0,4]}})", 4,
       "needs 2 bytes"},
      {"hole at the start", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8,
       "a hole"},
      {"hole between",
       R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
       4, "'b' begins at byte 3 of the data, but 'a' ends at 2 (a hole)"},
      {"overlap",
       R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       4, "an overlap"},
      {"same bytes twice",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, "an overlap"},
      {"empty tensor inside another",
       R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
       4, "an overlap"},
      {"trailing bytes", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 7,
       "3 bytes after its last"},
      {"data without tensors", "{}", 1, "1 bytes after"},
      {"truncated data", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 9,
       "truncated: holds 72 bytes, but its header announces 79"},
      {"duplicate name",
       R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       4, "names 'a' twice"},
      {"duplicate name by escape",
       R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"\u0061":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       4, "twice"},
      {"duplicate field", R"({"a":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}})",
       4, "'dtype' twice"},
      {"duplicate metadata", R"({"__metadata__":{"k":"1","k":"2"}})", 0, "'k' twice"},
      {"second metadata", R"({"__metadata__":{},"__metadata__":{}})", 0, "twice"},
      {"metadata number", R"({"__metadata__":{"k":1}})", 0, "strings to strings"},
      {"metadata object", R"({"__metadata__":{"k":{}}})", 0, "strings to strings"},
      {"metadata list", R"({"__metadata__":["k"]})", 0, "'__metadata__'"},
      {"metadata null", R"({"__metadata__":null})", 0, "null"},
      {"missing shape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "lacks"},
      {"empty entry", R"({"a":{}})", 0, "lacks"},
      {"unknown field", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", 4,
       "unknown key 'x'"},
      {"entry is a number", R"({"a":1})", 0, "a number as the entry 'a'"},
      {"entry is true", R"({"a":true})", 0, "a boolean"},
      {"entry is a list", R"({"a":[0]})", 0, "a list"},
      {"not JSON", "{nonsense", 0, "not valid JSON"},
      {"cut JSON", R"({"a":{"dtype":"F32")", 0, "not valid JSON"},
      {"two JSON texts", "{}{}", 0, "not valid JSON"},
      {"trailing comma", R"({"a":{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}})", 4,
       "not valid JSON"},
      {"NaN", R"({"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}})", 4, "not valid JSON"},
      {"comment", "{/*x*/}", 0, "not valid JSON"},
      {"invalid UTF-8", "{\"\xff\":{}}", 0, "not valid JSON"},
      {"control character in a name", "{\"a\nb\":{}}", 0, "not valid JSON"},
      {"escaped newline in a name", R"({"a\nb":{}})", 0, "'a?b'"},
      {"text behind a NUL", std::string("{}\0garbage", 10), 0, "NUL"},
      {"a list", "[]", 0, "is none of the weight files"},
      {"leading blank", " {}", 0, "is none of the weight files"},
      {"byte-order mark", "\xef\xbb\xbf{}", 0, "is none of the weight files"},
      {"empty header", "", 0, "is none of the weight files"},
  };
  return cases;
}

TEST_CASE("malformed headers are refused with a message that fits") {
  for (Case one : malformed_headers()) {
    if (std::string(one.what) == "shape of 33 extents") {
      std::string ones = "1";
      for (int i = 0; i < 32; ++i) ones += ",1";
      one.header = R"({"a":{"dtype":"F32","shape":[)" + ones + R"(],"data_offsets":[0,4]}})";
    }
    CAPTURE(one.what);
    CHECK_CONTAINS(refusal(safetensors_bytes(one.header, one.data_bytes)), one.message);
  }
  CHECK(malformed_headers().size() >= 20);
}

TEST_CASE("deep nesting is refused at once") {
  for (const char open : {'[', '{'}) {
    std::string header = R"({"a":{"dtype":"F32","shape":)";
    for (int i = 0; i < 1'000'000; ++i) header += open == '[' ? "[" : R"({"x":)";
    CHECK_CONTAINS(refusal(safetensors_bytes(header, 4)), "tensor 'a'");
  }
}

TEST_CASE("many metadata and many tensors take no more time together than each alone") {
  if (test::skip_if_sanitized("weights/safetensors_malformed_test", "large headers")) return;
  std::string metadata = R"("__metadata__":{"k":"v")", tensors = "\"t\":" + kEmptyTensor;
  for (int i = 0; i < 600'000; ++i) metadata += text::format(R"(,"{}":"")", i);
  metadata += "}";
  for (int i = 0; i < 200'000; ++i) tensors += text::format(R"(,"{}":{})", i, kEmptyTensor);
  const auto seconds = [](const std::string& header) {
    const std::string file = safetensors_bytes("{" + header + "}", 0);
    const std::clock_t begin = std::clock();
    parse(file);
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  };
  const double alone = seconds(metadata) + seconds(tensors);
  CHECK(seconds(metadata + "," + tensors) < 3 * alone);  // 9 s more, were a set of keys emptied
}

TEST_CASE("lengths: prefix cut, beyond the end, beyond the limit") {
  CHECK_CONTAINS(refusal(""), "is empty: fetch or export it again");
  for (size_t size = 1; size < 8; ++size) {
    CHECK_CONTAINS(refusal(std::string(size, '\x01')), "too few");
  }
  std::string file = safetensors_bytes("{}", 0);
  file[0] = 3;
  CHECK_CONTAINS(refusal(file), "truncated: holds 10 bytes, but its header alone needs 11");
  for (const uint64_t length :
       {uint64_t{100'000'001}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max(),
        std::numeric_limits<uint64_t>::max() - 7}) {
    std::memcpy(file.data(), &length, sizeof(length));
    CHECK_CONTAINS(refusal(file), "not a safetensors file");
  }
}

const std::string& good_file() {
  static const std::string file = safetensors_bytes(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"F16","shape":[],"data_offsets":[24,26]},"c":{"dtype":"I64","shape":[0,5],"data_offsets":[26,26]}})",
      26);
  return file;
}

TEST_CASE("a good file cut at any byte is refused") {
  CHECK(parse(good_file()).tensors.size() == 3);
  for (size_t size = 0; size < good_file().size(); ++size) {
    CAPTURE(size);
    const std::string message = refusal(good_file().substr(0, size));
    if (size >= 9) CHECK_CONTAINS(message, "truncated: holds " + std::to_string(size));
  }
}

TEST_CASE("changed bytes give a valid reading or a named error, never anything else") {
  const int rounds = test::is_sanitized() ? 4000 : 20000;
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    std::string file = good_file();
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    try {
      for (const TensorView& tensor : parse(file).tensors) {
        CHECK(tensor.bytes.data() + tensor.bytes.size() <=
              reinterpret_cast<const std::byte*>(file.data() + file.size()));
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) FAIL_CHECK(error.what());
      ++refused;
    }
  }
  CHECK(refused > rounds / 2);
}

TEST_CASE("other formats are recognised and named") {
  using namespace std::string_literals;
  const std::string onnx = "\x08\x07\x12\x07pytorch\x1a\x05" + std::string("1.9.0:\x0a"s);
  const std::string saved_model = "\x08\x01\x12\xf0\x9b\x01\x0a\x20"s + std::string(32, '\x0a');
  const std::string graph = "\x0a\x2b\x0a\x05input\x12\x0bPlaceholder\x2a\x0f"s;
  const std::pair<std::string, const char*> formats[] = {
      {"PK\x03\x04\x00\x00\x08\x08\x00\x00 a/b"s, "is a zip archive: unpack it"},
      {"PK\x05\x06"s + std::string(18, '\0'), "is an empty zip archive: fetch"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9 stream"s,
       "pickle, but not a file of torch.save: save"},
      {"\x80\x05]\x94."s, "pickle"},
      {"\x89HDF\r\n\x1a\n\x00\x00"s, "is HDF5"},
      {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"s, "gzip -d"},
      {"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6"s, "xz -d"},
      {"\x28\xb5\x2f\xfd\x04\x00\x00\x00\x00"s, "zstd -d"},
      {"BZh91AY&SY\x8e\x01"s, "bzip2 -d"},
      {"7z\xbc\xaf\x27\x1c\x00\x04"s, "7-Zip archive: unpack"},
      {"Rar!\x1a\x07\x01\x00"s, "RAR archive: unpack"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0"s, "git lfs pull"},
      {"GGUF\x03\x00\x00\x00\x23"s, "GGUF"},
      {"\x1c\x00\x00\x00TFL3\x14\x00"s, "TensorFlow Lite: take the Keras model"},
      {"\x12\x01\x00\x00\x00\x00\x00\x00\x00\x00"s, "MXNet: export"},
      {"MATLAB 5.0 MAT-file, Platform: GLNXA64"s, "MATLAB"},
      {"\x93NUMPY\x01\x00v\x00{"s, "NumPy array: export"},
      {"\x89PNG\r\n\x1a\n\x00\x00"s, "picture (PNG)"},
      {"\xff\xd8\xff\xe0\x00\x10JFIF"s, "picture (JPEG)"},
      {"%PDF-1.4\n%"s, "PDF"},
      {onnx, "is an ONNX model: export the weights as safetensors, .pth or .h5"},
      {saved_model, "is a SavedModel of TensorFlow: load it in Keras"},
      {graph, "is a graph of TensorFlow: take the Keras model"},
      {"<!DOCTYPE html><html>"s, "web page"},
      {"\n <HTML><head>"s, "web page"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied"s, "web page"},
      {"404: Not Found\n"s, "is a text, not weights: look into it"},
      {"resnet/\0\0\0\0"s + std::string(246, '\0') + "ustar\0 00"s, "tar archive"},
  };
  for (const auto& [bytes, message] : formats) CHECK_CONTAINS(refusal(bytes), message);
  for (const std::string& unknown :
       {"\x08\x01"s + std::string(30, '\xfe'), "\x0a\x05\x0a\x90"s + std::string(30, '\x01'),
        "\x08\x07\x12\x7f"s + std::string(4, '\x01'), std::string(600, '\xfe')}) {
    CHECK_CONTAINS(refusal(unknown),
                   "is none of the weight files that are read here (safetensors "
                   "or its index, PyTorch's .pth, Keras' .h5 or .keras)");
  }
}

TEST_CASE("a header length that looks like a magic number does not mislead") {
  // 0x0280 = 640 bytes: the first two bytes are those of a pickle.
  std::string header = "{}";
  header.resize(0x0280, ' ');
  CHECK(parse(safetensors_bytes(header, 0)).tensors.empty());
  CHECK_CONTAINS(refusal(safetensors_bytes(header, 0).substr(0, 300)), "truncated");
}

}  // namespace
}  // namespace verace::weights::safetensors_malformed_test
