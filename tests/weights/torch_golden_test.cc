// Files that PyTorch wrote (tests/goldens/make_pth.py): all names, shapes and numbers, bit for bit.
#include <complex>
#include <filesystem>

#include "tests/weights/torch_support.h"
#include "weights/torch/torch_file.h"
#include "weights/weight_file.h"

namespace verace::weights::torch_golden_test {
namespace {

struct Golden {
  std::string bytes;
  TensorTable table;

  explicit Golden(const std::string& name)
      : bytes(read_text(std::string(VERACE_GOLDENS) + "/" + name)) {
    REQUIRE_MESSAGE(!bytes.empty(), name);
    REQUIRE(is_torch_zip(bytes_of(bytes)) != is_torch_stream(bytes_of(bytes)));
    table = is_torch_zip(bytes_of(bytes)) ? parse_torch_zip(bytes_of(bytes), name)
                                          : parse_torch_stream(bytes_of(bytes), name);
  }

  const TensorView& at(const std::string& name) const {
    for (const TensorView& tensor : table.tensors) {
      if (tensor.name == name) return tensor;
    }
    FAIL(name);
    throw std::out_of_range(name);
  }
};

// The elements in row-major order, gathered by the strides.
template <typename T>
std::vector<T> gather(const TensorView& tensor) {
  REQUIRE(size_of(tensor.dtype) == sizeof(T));
  std::vector<int64_t> strides = tensor.strides;
  if (tensor.is_dense()) {
    strides.assign(tensor.shape.size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
  }
  std::vector<T> out;
  for (int64_t index = 0; index < tensor.element_count(); ++index) {
    int64_t rest = index, place = 0;
    for (size_t i = tensor.shape.size(); i-- > 0;) {
      place += rest % tensor.shape[i] * strides[i];
      rest /= tensor.shape[i];
    }
    REQUIRE(static_cast<size_t>(place + 1) * sizeof(T) <= tensor.bytes.size());
    T value;
    std::memcpy(&value, tensor.bytes.data() + static_cast<size_t>(place) * sizeof(T), sizeof(T));
    out.push_back(value);
  }
  return out;
}

using Shape = std::vector<int64_t>;

// Value i of tensor t, as make_pth.py fills the network.
void check_network(const Golden& golden, const std::string& prefix) {
  const auto& tensors = golden.table.tensors;
  REQUIRE(tensors.size() == 320);
  int64_t wrong = 0, floats = 0, integers = 0;
  for (size_t t = 0; t < tensors.size(); ++t) {
    CHECK(tensors[t].name.starts_with(prefix));
    CHECK(tensors[t].is_dense());
    const auto index = static_cast<int64_t>(t);
    if (tensors[t].dtype == Dtype::kI64) {
      CHECK(tensors[t].shape.empty());
      CHECK(tensors[t].name.ends_with(".num_batches_tracked"));
      wrong += gather<int64_t>(tensors[t]).at(0) != 5 * index;
      ++integers;
      continue;
    }
    CHECK(tensors[t].dtype == Dtype::kF32);
    const std::vector<float> values = gather<float>(tensors[t]);
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t units = (31 * index + 17 * static_cast<int64_t>(i)) % 257 - 128;
      wrong += !(values[i] == static_cast<float>(units) / 64);
      ++floats;
    }
  }
  CHECK(wrong == 0);
  CHECK(integers == 53);
  CHECK(floats == 26'640);
  // The complete list of names and shapes, by the expectation that serves safetensors files.
  TinyNetwork network;
  size_t found = 0;
  for (const ExpectedTensor& expected : network.tensors) {
    CHECK(golden.at(prefix + expected.name).shape == expected.shape);
    ++found;
  }
  CHECK(found == 320 - 53);
}

TEST_CASE("a whole network in the zip container") {
  const Golden golden("pth_narrow_zip.pth");
  CHECK(golden.table.metadata == std::map<std::string, std::string>{{"torch.format", "zip"}});
  CHECK(golden.table.tensors.front().name == "conv1.weight");
  CHECK(golden.table.tensors.back().name == "fc.bias");
  check_network(golden, "");
}

TEST_CASE("a training program's checkpoint in the stream container") {
  const Golden golden("pth_narrow_stream.pth");
  CHECK(golden.table.metadata == std::map<std::string, std::string>{
                                     {"torch.format", "stream"}, {"torch.wrapper", "state_dict"}});
  check_network(golden, "module.");
}

template <typename T>
void check_count_up(const Golden& golden, const std::string& name, Dtype dtype) {
  CAPTURE(name);
  CHECK(golden.at(name).dtype == dtype);
  CHECK(gather<T>(golden.at(name)) == std::vector<T>{T(0), T(1), T(2), T(3), T(4)});
}

void check_kinds(const Golden& golden) {
  check_count_up<float>(golden, "float32", Dtype::kF32);
  check_count_up<double>(golden, "float64", Dtype::kF64);
  check_count_up<int64_t>(golden, "int64", Dtype::kI64);
  check_count_up<int32_t>(golden, "int32", Dtype::kI32);
  check_count_up<int16_t>(golden, "int16", Dtype::kI16);
  check_count_up<int8_t>(golden, "int8", Dtype::kI8);
  check_count_up<uint8_t>(golden, "uint8", Dtype::kU8);
  CHECK(golden.at("float16").dtype == Dtype::kF16);
  CHECK(gather<uint16_t>(golden.at("float16")) ==
        std::vector<uint16_t>{0, 0x3c00, 0x4000, 0x4200, 0x4400});
  CHECK(golden.at("bfloat16").dtype == Dtype::kBF16);
  CHECK(gather<uint16_t>(golden.at("bfloat16")) ==
        std::vector<uint16_t>{0, 0x3f80, 0x4000, 0x4040, 0x4080});
  CHECK(golden.at("bool").dtype == Dtype::kBool);
  CHECK(gather<uint8_t>(golden.at("bool")) == std::vector<uint8_t>{1, 0, 1});
  CHECK(golden.at("complex64").dtype == Dtype::kC64);
  CHECK(gather<std::complex<float>>(golden.at("complex64")) ==
        std::vector<std::complex<float>>{{1, 2}, {3, -4}});
  CHECK(golden.at("scalar").shape.empty());
  CHECK(gather<float>(golden.at("scalar")) == std::vector<float>{2.5f});
  CHECK(golden.at("empty").shape == Shape{0, 7});
  CHECK(gather<float>(golden.at("empty")).empty());

  const std::vector<float> base = gather<float>(golden.at("base"));
  CHECK(golden.at("base").shape == Shape{2, 3, 4});
  for (size_t i = 0; i < 24; ++i) CHECK(base.at(i) == static_cast<float>(i));
  const TensorView& transposed = golden.at("transposed");
  CHECK(transposed.shape == Shape{4, 2, 3});
  CHECK(transposed.strides == Shape{1, 12, 4});
  CHECK(transposed.bytes.data() == golden.at("base").bytes.data());  // one storage
  const std::vector<float> moved = gather<float>(transposed);
  for (size_t i = 0; i < 24; ++i) CHECK(moved.at(i) == base.at(i / 6 + 4 * (i % 6)));
  CHECK(golden.at("slice").shape == Shape{3, 2});
  CHECK(gather<float>(golden.at("slice")) == std::vector<float>{13, 14, 17, 18, 21, 22});
  CHECK(golden.at("expanded").strides == Shape{0, 0});
  CHECK(gather<float>(golden.at("expanded")) == std::vector<float>(12, 0.0f));
  CHECK(golden.at("channels_last").strides == Shape{24, 1, 12, 3});
  const std::vector<float> channels = gather<float>(golden.at("channels_last"));
  for (size_t i = 0; i < 48; ++i) CHECK(channels.at(i) == static_cast<float>(i));

  CHECK(gather<float>(golden.at("parameter")) == std::vector<float>{0.5f, -0.5f});
  CHECK(golden.at("tied").bytes.data() == golden.at("parameter").bytes.data());
  CHECK(gather<uint32_t>(golden.at("special")) ==
        std::vector<uint32_t>{0x7fc00000, 0x7f800000, 0xff800000, 0x80000000});
  CHECK(gather<float>(golden.at("päth.weight")) == std::vector<float>{1});
}

TEST_CASE("every element type and layout, by PyTorch 1.13") {
  for (const char* name : {"pth_kinds_zip.pth", "pth_kinds_stream.pth"}) {
    CAPTURE(std::string(name));
    const Golden golden(name);
    CHECK(golden.table.tensors.size() == 22);
    check_kinds(golden);
  }
}

TEST_CASE("every element type and layout, by PyTorch 2") {
  const Golden golden("pth_kinds_torch2.pth");
  CHECK(golden.table.tensors.size() == 28);
  check_kinds(golden);
  check_count_up<uint16_t>(golden, "uint16", Dtype::kU16);
  check_count_up<uint32_t>(golden, "uint32", Dtype::kU32);
  check_count_up<uint64_t>(golden, "uint64", Dtype::kU64);
  CHECK(gather<uint16_t>(golden.at("uint16_slice")) == std::vector<uint16_t>{2, 3, 4});
  CHECK(golden.at("float8_e4m3fn").dtype == Dtype::kF8E4M3);
  CHECK(gather<uint8_t>(golden.at("float8_e4m3fn")) ==
        std::vector<uint8_t>{0, 0x38, 0x40, 0x44, 0x48});
  CHECK(golden.at("float8_e5m2").dtype == Dtype::kF8E5M2);
  CHECK(gather<uint8_t>(golden.at("float8_e5m2")) ==
        std::vector<uint8_t>{0, 0x3c, 0x40, 0x42, 0x44});
}

TEST_CASE("weight files of PyTorch are opened by their content") {
  const TempFolder folder;
  const std::string source = std::string(VERACE_GOLDENS) + "/pth_narrow_";
  std::filesystem::copy(source + "zip.pth", folder / "weights.safetensors");  // a wrong ending
  const WeightFile zip(folder / "weights.safetensors");
  CHECK(zip.format() == Format::kTorchZip);
  CHECK(to_string(zip.format()) == "PyTorch zip");
  CHECK(zip.tensors().size() == 320);
  const std::vector<float> stem = zip.read_f32("conv1.weight");
  REQUIRE(stem.size() == 2 * 3 * 7 * 7);
  for (size_t i = 0; i < stem.size(); ++i) {
    CHECK(stem[i] == static_cast<float>(17 * static_cast<int64_t>(i) % 257 - 128) / 64);
  }
  const WeightFile stream(source + "stream.pth");
  CHECK(stream.format() == Format::kTorchStream);
  CHECK(to_string(stream.format()) == "PyTorch stream");
  CHECK(stream.tensors().size() == 320);
}

TEST_CASE("without checksums, by PyTorch 2") {
  const Golden golden("pth_no_crc_torch2.pth");
  CHECK(gather<int64_t>(golden.at("a")) == std::vector<int64_t>{0, 1, 2, 3});
}

}  // namespace
}  // namespace verace::weights::torch_golden_test
