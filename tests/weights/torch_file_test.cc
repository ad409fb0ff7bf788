// Both containers of PyTorch put together by hand: good ones, and each way to be malformed.
#include <cmath>
#include <random>

#include "tests/weights/torch_support.h"
#include "weights/torch/state_dict.h"
#include "weights/torch/torch_file.h"

namespace verace::weights::torch_file_test {
namespace {

constexpr const char* kName = "bad.pth";

TensorTable parse_zip(const std::string& file) { return parse_torch_zip(bytes_of(file), kName); }
TensorTable parse_stream(const std::string& file) {
  return parse_torch_stream(bytes_of(file), kName);
}

std::string refusal(const std::string& file) {
  const std::string message = input_error([&] { parse_zip(file); });
  CHECK_CONTAINS(message, std::string(kName) + ": ");
  return message;
}
std::string stream_refusal(const std::string& file) {
  const std::string message = input_error([&] { parse_stream(file); });
  CHECK_CONTAINS(message, std::string(kName) + ": ");
  return message;
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using Shape = std::vector<int64_t>;

// A state dict with one tensor "w" on a storage of 6 floats.
std::string one_tensor(int64_t offset, const Shape& size, const Shape& stride) {
  return torch_zip(op::ordered({{"w", op::tensor(op::storage("0", 6), offset, size, stride)}}),
                   {{"0", floats({0, 1, 2, 3, 4, 5})}});
}

TEST_CASE("a zip's tensors, names, order and numbers") {
  const std::string file = torch_zip(
      op::ordered({{"module.conv.weight", op::tensor(op::storage("0", 6), 0, {2, 3}, {3, 1})},
                   {"epoch", "K\x03"},
                   {"n", op::tensor(op::storage("10", 1, "LongStorage"), 0, {}, {})},
                   {"half", op::tensor(op::storage("2", 3, "HalfStorage"), 1, {2}, {1})}}),
      {{"0", floats({0, 1, 2, 3, 4, 5})}, {"10", number(7, 8)}, {"2", "aabbcc"}});
  const TensorTable table = parse_zip(file);
  REQUIRE(table.tensors.size() == 3);
  CHECK(table.tensors[0].name == "module.conv.weight");
  CHECK(table.tensors[0].stored_name.empty());
  CHECK(table.tensors[0].dtype == Dtype::kF32);
  CHECK(table.tensors[0].shape == Shape{2, 3});
  CHECK(table.tensors[0].is_dense());
  CHECK(text_of(table.tensors[0].bytes) == floats({0, 1, 2, 3, 4, 5}));
  CHECK(table.tensors[1].name == "n");
  CHECK(table.tensors[1].dtype == Dtype::kI64);
  CHECK(table.tensors[1].shape.empty());
  CHECK(table.tensors[1].element_count() == 1);
  CHECK(text_of(table.tensors[1].bytes) == number(7, 8));
  CHECK(table.tensors[2].dtype == Dtype::kF16);
  CHECK(text_of(table.tensors[2].bytes) == "bbcc");
  CHECK(table.metadata == std::map<std::string, std::string>{{"torch.format", "zip"}});
}

TEST_CASE("strides: dense where they are row-major, else kept with the bytes that they reach") {
  const auto tensor = [](int64_t offset, const Shape& size, const Shape& stride) {
    static std::string file;  // the view points into it
    file = one_tensor(offset, size, stride);
    return parse_zip(file).tensors.at(0);
  };
  CHECK(tensor(0, {2, 3}, {3, 1}).is_dense());
  CHECK(tensor(0, {1, 2, 1, 3}, {77, 3, 99, 1})
            .is_dense());  // extents of 1 have no stride to speak of
  CHECK(tensor(5, {1}, {1}).bytes.size() == 4);
  const TensorView transposed = tensor(0, {3, 2}, {1, 3});
  CHECK(transposed.strides == Shape{1, 3});
  CHECK(transposed.bytes.size() == 24);
  CHECK(transposed.element_count() == 6);
  const TensorView column = tensor(1, {2}, {3});
  CHECK(column.strides == Shape{3});
  CHECK(text_of(column.bytes) == floats({1, 2, 3, 4}));
  const TensorView expanded = tensor(2, {4, 3}, {0, 1});
  CHECK(expanded.strides == Shape{0, 1});
  CHECK(expanded.element_count() == 12);
  CHECK(text_of(expanded.bytes) == floats({2, 3, 4}));
  const TensorView empty = tensor(0, {0, 7}, {7, 1});
  CHECK(empty.is_dense());
  CHECK(empty.element_count() == 0);
  CHECK(empty.bytes.empty());
  const TensorView scalar = tensor(3, {}, {});
  CHECK(scalar.is_dense());
  CHECK(text_of(scalar.bytes) == floats({3}));
}

TEST_CASE("tensors may share a storage, and hold NaN") {
  const float nan = std::nanf("");
  const std::string file =
      torch_zip(op::ordered({{"a", op::tensor(op::storage("0", 4), 0, {4}, {1})},
                             {"b", op::tensor(op::storage("0", 4), 1, {3}, {1})}}),
                {{"0", floats({nan, INFINITY, 2, 3})}});
  const TensorTable table = parse_zip(file);
  CHECK(table.tensors[0].bytes.data() + 4 == table.tensors[1].bytes.data());
  CHECK(text_of(table.tensors[0].bytes) == floats({nan, INFINITY, 2, 3}));
}

TEST_CASE("every way that PyTorch builds a tensor") {
  const auto integers = [](const Shape& values) { return op::integers(values); };
  const std::string storage = op::storage("0", 6);
  const std::string plain = op::tensor(storage, 0, {2, 3}, {3, 1});
  const std::string arguments = op::tuple(
      {storage, op::integer(0), integers({2, 3}), integers({3, 1}), "\x89", op::ordered({})});
  const std::pair<const char*, std::string> ways[] = {
      {"_rebuild_tensor", op::call(op::name("torch._utils", "_rebuild_tensor"),
                                   {storage, op::integer(0), integers({2, 3}), integers({3, 1})})},
      {"_rebuild_parameter",
       op::call(op::name("torch._utils", "_rebuild_parameter"), {plain, "\x88", op::ordered({})})},
      {"Parameter made by NEWOBJ",
       op::name("torch.nn.parameter", "Parameter") + op::tuple({plain}) + "\x81"},
      {"_rebuild_from_type_v2", op::call(op::name("torch._tensor", "_rebuild_from_type_v2"),
                                         {op::name("torch._utils", "_rebuild_tensor_v2"),
                                          op::name("torch", "Tensor"), arguments, op::dict({})})},
      {"a parameter of _rebuild_from_type_v2",
       op::call(op::name("torch._tensor", "_rebuild_from_type_v2"),
                {op::name("torch._utils", "_rebuild_parameter"),
                 op::name("torch.nn.parameter", "Parameter"),
                 op::tuple({plain, "\x88", op::ordered({})}), op::dict({})})},
      {"torch.FloatTensor with a state",
       op::call(op::name("torch", "FloatTensor"), {}) +
           op::tuple({storage, op::integer(0), integers({2, 3}), integers({3, 1})}) + "b"},
      {"_rebuild_tensor_v3",
       op::call(op::name("torch._utils", "_rebuild_tensor_v3"),
                {op::tuple({op::text("storage"), op::name("torch.storage", "UntypedStorage"),
                            op::text("0"), op::text("cpu"), op::integer(24)}) +
                     "Q",
                 op::integer(0), integers({2, 3}), integers({3, 1}), "\x89", op::ordered({}),
                 op::name("torch", "float32")})},
  };
  for (const auto& [what, opcodes] : ways) {
    CAPTURE(std::string(what));
    const std::string file =
        torch_zip(op::dict({{"w", opcodes}}), {{"0", floats({0, 1, 2, 3, 4, 5})}});
    const TensorTable table = parse_zip(file);
    REQUIRE(table.tensors.size() == 1);
    CHECK(table.tensors[0].shape == Shape{2, 3});
    CHECK(table.tensors[0].dtype == Dtype::kF32);
    CHECK(text_of(table.tensors[0].bytes) == floats({0, 1, 2, 3, 4, 5}));
  }
}

TEST_CASE("wrappers are taken off and named") {
  const std::string tensor = op::tensor(op::storage("0", 1), 0, {1}, {1});
  const std::string inner = op::ordered({{"module.w", tensor}});
  const std::string other = op::ordered({{"other", tensor}});
  const std::string empty = op::dict({{"lr", "K\x01"}});
  const struct {
    std::string root;
    const char* name;
    const char* wrapper;
  } cases[] = {
      {inner, "module.w", ""},
      {op::dict({{"epoch", "K\x01"}, {"state_dict", inner}}), "module.w", "state_dict"},
      {op::dict({{"best_acc1", tensor}, {"state_dict", inner}}), "module.w", "state_dict"},
      {op::dict({{"model", inner}}), "module.w", "model"},
      {op::dict({{"model", op::dict({{"state_dict", inner}})}}), "module.w", "model.state_dict"},
      {op::dict({{"model", other}, {"state_dict", inner}}), "module.w", "state_dict"},
      {op::dict({{"state_dict", empty}, {"model", inner}}), "module.w", "model"},
      {op::dict({{"optimizer", other}, {"params", inner}}), "module.w", "params"},
      {op::dict({{"state_dict", tensor}, {"w", tensor}}), "state_dict", ""},
      // Python 2 gives the pairs as a list of lists.
      {op::call(op::name("collections", "OrderedDict"),
                {"](](" + op::text("module.w") + tensor + "ee"}),
       "module.w", ""},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.wrapper));
    const std::string file = torch_zip(c.root, {{"0", floats({1})}});
    const TensorTable table = parse_zip(file);
    CHECK(table.tensors.at(0).name == c.name);
    const auto wrapper = table.metadata.find("torch.wrapper");
    CHECK((wrapper == table.metadata.end() ? "" : wrapper->second) == c.wrapper);
  }
}

TEST_CASE("metadata that write_torch_zip stores as the state dict's attribute") {
  const std::string tensor = op::tensor(op::storage("0", 1), 0, {1}, {1});
  const std::string file = torch_zip(
      op::ordered({{"w", tensor}}) +
          op::dict(
              {{"_metadata", op::dict({{"", "K\x01"}})},
               {"verace_metadata", op::dict({{"variant", op::text("v1.5")}, {"n", "K\x01"}})}}) +
          "b",
      {{"0", floats({1})}});
  CHECK(parse_zip(file).metadata ==
        std::map<std::string, std::string>{{"torch.format", "zip"}, {"variant", "v1.5"}});
}

TEST_CASE("malformed tensors are refused by name") {
  constexpr int64_t kHuge = int64_t{1} << 62;
  const struct {
    const char* what;
    int64_t offset;
    Shape size, stride;
    const char* message;
  } cases[] = {
      {"one too many", 0, {7}, {1}, "reaches beyond its storage of 6 elements"},
      {"offset at the end", 6, {1}, {1}, "reaches beyond"},
      {"offset and shape",
       1,
       {2, 3},
       {3, 1},
       "of shape [2, 3], strides [3, 1] and offset 1 reaches beyond"},
      {"strides", 0, {2, 3}, {4, 1}, "reaches beyond"},
      {"a scalar beyond", 6, {}, {}, "reaches beyond"},
      {"negative offset", -1, {1}, {1}, "offset that is no number"},
      {"offset 2^63 - 1", std::numeric_limits<int64_t>::max(), {2}, {1}, "reaches beyond"},
      {"offset + reach wraps", std::numeric_limits<int64_t>::max() - 1, {2}, {2}, "reaches beyond"},
      {"negative extent", 0, {-1}, {1}, "a size with something other than numbers from 0"},
      {"two negative extents", 0, {-2, -3}, {3, 1}, "a size with"},
      {"negative stride", 5, {6}, {-1}, "a stride with something other"},
      {"2^62 floats wrap to 0 bytes", 0, {kHuge}, {0}, "larger than 2^63 bytes"},
      {"2^63 elements", 0, {kHuge, 2}, {0, 0}, "larger than 2^63 bytes"},
      {"overflow before a zero", 0, {kHuge, 4, 0}, {0, 0, 1}, "larger than 2^63 bytes"},
      {"2^32 x 2^32", 0, {int64_t{1} << 32, int64_t{1} << 32}, {0, 0}, "larger than 2^63 bytes"},
      {"stride 2^62", 0, {3}, {kHuge}, "reaches beyond"},
      {"strides wrap to 0", 0, {2, 2, 2, 2}, {kHuge, kHuge, kHuge, kHuge}, "reaches beyond"},
      {"more extents than strides", 0, {2, 3}, {1}, "has 2 extents, but 1 strides"},
      {"33 extents", 0, Shape(33, 1), Shape(33, 1), "a size of 33 numbers"},
      {"a bomb of one number", 0, {int64_t{1} << 40}, {0}, "more than 8 times the file's size"},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.what));
    const std::string message = refusal(one_tensor(c.offset, c.size, c.stride));
    CHECK_CONTAINS(message, c.message);
    if (message.find("8 times") == std::string::npos) CHECK_CONTAINS(message, "tensor 'w' ");
  }
  CHECK(parse_zip(one_tensor(0, Shape(32, 1), Shape(32, 1))).tensors.size() == 1);
}

TEST_CASE("many names for one storage: a limit, not a bomb") {
  const auto shared = [](int times) {
    op::Items items;
    for (int i = 0; i < times; ++i) {
      items.emplace_back("w" + std::to_string(i),
                         op::tensor(op::storage("0", 60'000), 0, {60'000}, {1}));
    }
    return torch_zip(op::ordered(items), {{"0", std::string(240'000, '\0')}});
  };
  CHECK(parse_zip(shared(8)).tensors.size() == 8);
  CHECK_CONTAINS(refusal(shared(12)), "more than 8 times the file's size");

  // 70,000 names, one tensor.
  std::string items = "(";
  for (int i = 0; i < 70'000; ++i) items += op::text(std::to_string(i)) + "h" + number(0, 1);
  CHECK_CONTAINS(
      refusal(torch_zip(op::tensor(op::storage("0", 1), 0, {0}, {1}) + "q" + number(0, 1) +
                            op::dict({}) + "(K\x01" + op::text("x") + "u" + items + "u\x86",
                        {{"0", floats({1})}})),
      "is no dictionary");
  CHECK_CONTAINS(refusal(torch_zip("}" + std::string("(") + op::text("first") +
                                       op::tensor(op::storage("0", 1), 0, {0}, {1}) + "q" +
                                       number(0, 1) + items.substr(1) + "u",
                                   {{"0", floats({1})}})),
                 "more than 65536 tensors");
}

// A dictionary with one tensor of these opcodes.
std::string with(const std::string& opcodes) {
  return torch_zip(op::dict({{"w", opcodes}}), {{"0", floats({0, 1, 2, 3, 4, 5})}});
}

TEST_CASE("malformed state dicts") {
  const auto rebuild = [](const std::vector<std::string>& arguments,
                          const char* name = "_rebuild_tensor_v2") {
    return op::call(op::name("torch._utils", name), arguments);
  };
  const std::string one = op::integers({1});
  const std::string zero = op::integer(0);
  const std::string storage = op::storage("0", 6);
  const auto reference = [&](const std::vector<std::string>& items) {
    return rebuild({op::tuple(items) + "Q", zero, one, one});
  };
  const std::string kind = op::text("storage"), type = op::name("torch", "FloatStorage"),
                    key = op::text("0"), place = op::text("cpu"), six = op::integer(6);
  const std::pair<std::string, const char*> cases[] = {
      {rebuild({}), "tensor 'w' is built from too few values"},
      {rebuild({storage, zero, one}), "too few values"},
      {rebuild({storage, zero, one, one, "N", "N"}, "_rebuild_tensor_v3"), "too few values"},
      {rebuild({storage, zero, one, one, "N", "N", "N"}, "_rebuild_tensor_v3"),
       "element type that Verace"},
      {rebuild({storage, zero, one, one, "N", "N", op::name("torch", "complex128")},
               "_rebuild_tensor_v3"),
       "element type that Verace does not know"},
      {rebuild({"N", zero, one, one}), "has no storage"},
      {rebuild({storage, "N", one, one}), "an offset that is no number"},
      {rebuild({storage, op::text("0"), one, one}), "an offset that is no number"},
      {rebuild({storage, zero, "]", one}), "a size that is no tuple"},
      {rebuild({storage, zero, op::tuple({"N"}), one}), "a size with something other"},
      {rebuild({storage, zero, op::tuple({"G" + std::string(8, '\0')}), one}),
       "a size with something"},
      {rebuild({storage, zero,
                op::tuple({"\x8a\x09" + std::string(8, '\xff') + std::string(1, '\0')}), one}),
       "numbers from 0 to 2^63 - 1"},
      {rebuild({storage, zero, one, one}, "_rebuild_sparse_tensor"),
       "is sparse, quantised or without data"},
      {rebuild({}, "_rebuild_qtensor"), "is sparse, quantised"},
      {rebuild({}, "_rebuild_meta_tensor_no_storage"), "or without data"},
      {reference({}), "no storage"},
      {reference({op::text("module"), type, key, place, six}), "outside that is no storage"},
      {reference({kind, type, key, place}), "outside that is no storage"},
      {reference({kind, "N", key, place, six}), "malformed reference"},
      {reference({kind, op::name("torch", "float32"), key, place, six}), "malformed reference"},
      {reference({kind, type, "K\x01", place, six}), "malformed reference"},
      {reference({kind, type, key, place, "N"}), "malformed reference"},
      {reference({kind, type, key, place, op::integer(-1)}), "malformed reference"},
      {reference({kind, op::name("torch", "QInt8Storage"), key, place, six}),
       "elements of a type that Verace"},
      {reference({kind, type, key, place, op::integer(int64_t{1} << 61)}),
       "larger than 2^63 bytes"},
      {reference({kind, type, op::text("7"), place, six}), "its storage '7' is missing"},
      {reference({kind, type, op::text("../version"), place, six}),
       "its storage '../version' is missing"},
      {op::tensor(op::storage("0", 5), 0, {5}, {1}),
       "holds 24 bytes, but 5 elements of F32 need 20"},
      {op::tensor(op::storage("0", 7), 0, {6}, {1}),
       "holds 24 bytes, but 7 elements of F32 need 28"},
      {op::tensor(op::storage("0", 6, "DoubleStorage"), 0, {3}, {1}), "6 elements of F64 need 48"},
  };
  for (const auto& [opcodes, message] : cases) CHECK_CONTAINS(refusal(with(opcodes)), message);

  const std::string tensor = op::tensor(storage, 0, {6}, {1});
  const std::pair<std::string, const char*> roots[] = {
      {tensor,
       "is no dictionary of named tensors: save it again with torch.save(model.state_dict()"},
      {"](" + tensor + "e", "is no dictionary"},
      {"N", "is no dictionary"},
      {op::dict({}), "holds no tensors where a state dict has them (its names: none)"},
      {op::dict({{"epoch", "K\x01"}, {"G", op::dict({{"w", tensor}})}}),
       "(its names: 'epoch', 'G')"},
      {op::ordered({{"w", tensor}, {"v", tensor}, {"w", tensor}}), "the name 'w' stands twice"},
      {op::dict({{"state_dict", op::ordered({{"w", tensor}, {"w", tensor}})}}),
       "the name 'w' stands twice"},
      {op::dict({{"model", op::dict({{"w", tensor}})}, {"model", "N"}}),
       "the name 'model' stands twice"},
      {op::dict({{"\xff\xfe", tensor}}), "is not UTF-8"},
      {op::dict({{std::string(5000, 'x'), tensor}}), "longer than 4096 bytes"},
  };
  for (const auto& [root, message] : roots) {
    CHECK_CONTAINS(refusal(torch_zip(root, {{"0", floats({0, 1, 2, 3, 4, 5})}})), message);
  }
  const std::string line = refusal(torch_zip(op::dict({{"a\nb", op::tensor(storage, 9, {1}, {1})}}),
                                             {{"0", floats({0, 1, 2, 3, 4, 5})}}));
  CHECK_CONTAINS(line, "'a?b'");
}

TEST_CASE("pickles that run code, in both containers") {
  const std::string attack = op::call(op::name("os", "system"), {op::text("touch /tmp/owned")});
  CHECK_CONTAINS(refusal(with(attack)),
                 "data.pkl, byte 10: asks for os.system: a pickle that runs code");
  CHECK_CONTAINS(stream_refusal(torch_stream(op::dict({{"w", attack}}), {})),
                 "pickle of the state dict, byte 10: asks for os.system: a pickle that runs code");
  // In the other pickles of a stream too.
  CHECK_CONTAINS(stream_refusal(torch_stream("N", {}, attack)), "asks for os.system");
}

TEST_CASE("cyclic and enormous state dicts end at once") {
  const double begin = processor_seconds();
  const std::string tensor = op::tensor(op::storage("0", 1), 0, {1}, {1});
  // {"state_dict": itself, "model": itself, ...}: no tensor anywhere.
  std::string cyclic = "}q" + number(0, 1) + "(";
  for (const char* name : {"state_dict", "model_state_dict", "model", "net", "network"}) {
    cyclic += op::text(name) + "h" + number(0, 1);
  }
  std::string full = cyclic;
  CHECK_CONTAINS(refusal(torch_zip(cyclic + "u", {})), "holds no tensors");
  // The same with 300,000 other names, which each visit would have to pass.
  for (int i = 0; i < 300'000; ++i) full += op::text(std::to_string(i)) + "N";
  CHECK_CONTAINS(refusal(torch_zip(full + "u", {})), "holds no tensors");
  // A parameter of a parameter of a parameter ..., under 1,000 names.
  std::string deep = "}(" + op::text("p") + op::name("torch.nn.parameter", "Parameter") + "q" +
                     number(0, 1) + "(" + tensor + "tR" + "q" + number(1, 1);
  std::string chain = op::text("0") + "h" + number(1, 1);
  std::string names;
  for (int i = 0; i < 1000; ++i) {
    names += op::text("n" + std::to_string(i)) + "h" + number(0, 1) + "h" + number(1, 1) + "\x85R" +
             "q" + number(1, 1);
  }
  const std::string chained = torch_zip(deep + chain + names + "u", {{"0", floats({1})}});
  CHECK(parse_zip(chained).tensors.size() > 1);
  CHECK(parse_zip(chained).tensors.size() < 10);  // deeper ones are no tensors
  // Some seconds (half a minute under the sanitizers); quadratic work would take hours.
  CHECK(processor_seconds() - begin < 100);
}

TEST_CASE("zips that are not a state dict's") {
  const std::string pickle = op::pickle("N");
  const struct {
    std::vector<Member> members;
    const char* message;
  } cases[] = {
      {{}, "without data.pkl, so not from torch.save"},
      {{{.name = "net/data.pkl.txt", .data = pickle}}, "without data.pkl"},
      {{{.name = "a/b/data.pkl", .data = pickle}}, "without data.pkl"},
      {{{.name = "a/data.pkl", .data = pickle}, {.name = "b/data.pkl", .data = pickle}},
       "two pickles, 'a/data.pkl' and 'b/data.pkl'"},
      {{{.name = "m/data.pkl", .data = pickle}, {.name = "m/constants.pkl", .data = pickle}},
       "TorchScript"},
      {{{.name = "arr_0.npy", .data = "x"}}, "NumPy archive"},
      // Compressed ones too: what they are is said before how they are packed.
      {{{.name = "arr_0.npy", .data = "x", .method = 8}}, "NumPy archive"},
      {{{.name = "model.safetensors", .data = "x", .method = 8}},
       "unpack it, and name the file within"},
      {{{.name = "down/resnet50.pth", .data = "x"}}, "zip archive around a weight file"},
      {{{.name = "m/saved_model.pb", .data = "x", .method = 8}}, "SavedModel of TensorFlow"},
      {{{.name = "notes.txt", .data = "x", .method = 8}}, "without data.pkl"},
      {{{.name = "m/data.pkl", .data = pickle}, {.name = "m/data/0", .data = "x", .method = 8}},
       "its member 'm/data/0' is compressed (method 8): load and save it again with PyTorch"},
      {{{.name = "m/data.pkl", .data = pickle}, {.name = "m/byteorder", .data = "big"}},
       "byte order 'big'"},
      {{{.name = "m/data.pkl", .data = pickle}, {.name = "m/byteorder", .data = "mixed"}},
       "byte order 'mixed'"},
      {{{.name = "m/data.pkl", .data = pickle, .crc = 1}}, "data.pkl does not have the checksum"},
  };
  for (const auto& c : cases) CHECK_CONTAINS(refusal(zip_bytes(c.members)), c.message);
  // 0: PyTorch was told to compute no sums.
  const std::string root =
      op::pickle(op::dict({{"w", op::tensor(op::storage("0", 1), 0, {1}, {1})}}));
  CHECK(parse_zip(zip_bytes({{.name = "m/data.pkl", .data = root, .crc = 0},
                             {.name = "m/byteorder", .data = "little"},
                             {.name = "m/data/0", .data = floats({1})}}))
            .tensors.size() == 1);
  CHECK(parse_zip(zip_bytes({{.name = "data.pkl", .data = root},
                             {.name = "data/0", .data = floats({1})}}))
            .tensors.size() == 1);
}

std::string stream_storage(std::string_view key, int64_t elements, const std::string& view,
                           std::string_view type = "FloatStorage") {
  return op::tuple({op::text("storage"), op::name("torch", type), op::text(key), op::text("cpu"),
                    op::integer(elements), view}) +
         "Q";
}

TEST_CASE("a stream's tensors, with views into storages") {
  const std::string view = op::tuple({op::text("v"), op::integer(2), op::integer(3)});
  const std::string file = torch_stream(
      op::ordered({{"a", op::tensor(stream_storage("11", 6, "N"), 0, {6}, {1})},
                   {"b", op::tensor(stream_storage("11", 6, view), 1, {2}, {1})},
                   {"n", op::tensor(stream_storage("22", 1, "N", "LongStorage"), 0, {}, {})}}),
      {{"22", 1, number(9, 8)}, {"11", 6, floats({0, 1, 2, 3, 4, 5})}});
  CHECK(is_torch_stream(bytes_of(file)));
  CHECK_FALSE(is_torch_zip(bytes_of(file)));
  const TensorTable table = parse_stream(file);
  REQUIRE(table.tensors.size() == 3);
  CHECK(text_of(table.tensors[0].bytes) == floats({0, 1, 2, 3, 4, 5}));
  CHECK(text_of(table.tensors[1].bytes) == floats({3, 4}));
  CHECK(text_of(table.tensors[2].bytes) == number(9, 8));
  CHECK(table.metadata == std::map<std::string, std::string>{{"torch.format", "stream"}});
}

TEST_CASE("malformed streams") {
  const auto tensor = [](const std::string& storage, int64_t offset, int64_t size) {
    return op::ordered({{"w", op::tensor(storage, offset, {size}, {1})}});
  };
  const std::string good = tensor(stream_storage("0", 2, "N"), 0, 2);
  const std::string data = floats({1, 2});
  parse_stream(torch_stream(good, {{"0", 2, data}}));
  const auto view = [](int64_t offset, int64_t size) {
    return op::tuple({op::text("v"), op::integer(offset), op::integer(size)});
  };
  const std::pair<std::string, const char*> cases[] = {
      {torch_stream(good, {{"0", 2, data}}, "\x89"), "holds big-endian numbers"},
      {torch_stream(good, {{"0", 2, data}}, "N"), "holds big-endian numbers"},
      {torch_stream(good, {}), "its storage '0' is missing"},
      {torch_stream(good, {{"0", 2, data}, {"1", 0, ""}}), "storage '1', to which nothing refers"},
      {torch_stream(good, {{"0", 2, data}, {"0", 2, data}}), "storage '0' twice"},
      {torch_stream(good, {{"0", 1, floats({1})}}), "holds 4 bytes, but 2 elements of F32 need 8"},
      {torch_stream(good, {{"0", 3, floats({1, 2, 3})}}), "holds 12 bytes, but 2 elements"},
      {torch_stream(good, {{"0", 3, data}}),
       "is truncated: its storage '0' has 3 elements of 4 bytes, but 8"},
      {torch_stream(good, {{"0", uint64_t{1} << 62, data}}), "is truncated"},
      {torch_stream(good, {{"0", ~uint64_t{0}, data}}), "is truncated"},
      {torch_stream(good, {{"0", 2, data + "x"}}), "has 1 bytes after its last storage"},
      {torch_stream(tensor(stream_storage("0", 2, view(0, 1)), 0, 2), {{"0", 2, data}}),
       "reaches beyond its storage of 1 elements"},
      {torch_stream(tensor(stream_storage("0", 2, view(1, 2)), 0, 1), {{"0", 2, data}}),
       "a view that is not within"},
      {torch_stream(tensor(stream_storage("0", 2, view(3, 0)), 0, 1), {{"0", 2, data}}),
       "a view that is not within"},
      {torch_stream(tensor(stream_storage("0", 2, view(-1, 1)), 0, 1), {{"0", 2, data}}),
       "a view that is not"},
      {torch_stream(
           tensor(stream_storage("0", 2, view(std::numeric_limits<int64_t>::max(), 1)), 0, 1),
           {{"0", 2, data}}),
       "a view that is not"},
      {torch_stream(
           tensor(stream_storage("0", 2, view(1, std::numeric_limits<int64_t>::max())), 0, 1),
           {{"0", 2, data}}),
       "a view that is not"},
      {torch_stream(tensor(stream_storage("0", 2, "K\x01"), 0, 1), {{"0", 2, data}}),
       "a view that is not"},
      {torch_stream(op::ordered({{"a", op::tensor(stream_storage("0", 2, "N"), 0, {1}, {1})},
                                 {"b", op::tensor(stream_storage("0", 1, "N", "DoubleStorage"), 0,
                                                  {1}, {1})}}),
                    {{"0", 2, data}}),
       "elements of different sizes"},
      {"\x80\x02]q" + number(1, 1) + ".", "does not begin as PyTorch's stream format does"},
      {op::pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") + op::pickle("K\x01"),
       "another protocol number than 1001"},
      {op::pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") +
           op::pickle("M" + number(1001, 2)) + op::pickle("}"),
       "in which byte order"},
      {op::pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") +
           op::pickle("M" + number(1001, 2)) + op::pickle("N"),
       "does not say which machine"},
  };
  for (const auto& [file, message] : cases) CHECK_CONTAINS(stream_refusal(file), message);
}

TEST_CASE(
    "files cut at any byte are refused; changed bytes give views within the file or an error") {
  const std::string root =
      op::ordered({{"conv.weight", op::tensor(op::storage("0", 6), 0, {2, 3}, {3, 1})},
                   {"n", op::tensor(op::storage("1", 1, "LongStorage"), 0, {}, {})}});
  const std::string files[] = {
      torch_zip(root, {{"0", floats({0, 1, 2, 3, 4, 5})}, {"1", number(3, 8)}}),
      torch_stream(root, {{"0", 6, floats({0, 1, 2, 3, 4, 5})}, {"1", 1, number(3, 8)}})};
  for (const std::string& good : files) {
    const auto parse = [](const std::string& file) {
      return is_torch_zip(bytes_of(file)) ? parse_zip(file) : parse_stream(file);
    };
    parse(good);
    for (size_t size = 0; size < good.size(); ++size) {
      CHECK(input_error([&] { parse(good.substr(0, size)); }) != "");
    }
    std::mt19937 random(1);
    int refused = 0;
    for (int round = 0; round < 20000; ++round) {
      std::string file = good;
      // The pickle's checksum would hide what lies behind it from half of the changes.
      if (const size_t crc = file.find("PK\x01\x02"); crc != std::string::npos && round % 2 == 0) {
        for (size_t i = 16; i < 20; ++i) file[crc + i] = 0;
      }
      for (auto changes = 1 + random() % 3; changes > 0; --changes) {
        file[random() % file.size()] = static_cast<char>(random());
      }
      try {
        for (const TensorView& tensor : parse(file).tensors) {
          CHECK(tensor.bytes.size() <= file.size());
          if (tensor.bytes.empty()) continue;
          CHECK(tensor.bytes.data() >= bytes_of(file).data());
          CHECK(tensor.bytes.data() + tensor.bytes.size() <= bytes_of(file).data() + file.size());
        }
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kInput) FAIL_CHECK(error.what());
        ++refused;
      }
    }
    CHECK(refused > 5000);
    CHECK(refused < 19900);
  }
}

}  // namespace
}  // namespace verace::weights::torch_file_test
