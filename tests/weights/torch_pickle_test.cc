// The pickle machine: what it reads, what it refuses, and that nothing makes it large or slow.
#include <random>

#include "tests/weights/torch_support.h"
#include "weights/torch/pickle.h"

namespace verace::weights::torch_pickle_test {
namespace {

Pickle parse(const std::string& bytes) { return read_pickle(bytes_of(bytes), "x.pth: data.pkl"); }

std::string refusal(const std::string& bytes) {
  const std::string message = input_error([&] { parse(bytes); });
  CHECK_CONTAINS(message, "x.pth: data.pkl, byte ");
  return message;
}

// The root's value, which must be a T.
template <typename T>
T value(const std::string& opcodes) {
  const Pickle pickle = parse(op::pickle(opcodes));
  const T* found = pickle.get<T>(pickle.root);
  REQUIRE_MESSAGE(found != nullptr, opcodes);
  return *found;
}

std::string le(int64_t value, size_t bytes) { return number(static_cast<uint64_t>(value), bytes); }

TEST_CASE("numbers and texts in every spelling") {
  CHECK(value<int64_t>("K\xff") == 255);
  CHECK(value<int64_t>("M\xff\xfe") == 0xfeff);
  CHECK(value<int64_t>("J" + le(-2, 4)) == -2);
  CHECK(value<int64_t>("J" + le(0x7fffffff, 4)) == 0x7fffffff);
  CHECK(value<int64_t>(std::string("\x8a\x00", 2)) == 0);
  CHECK(value<int64_t>("\x8a\x01\xff") == -1);
  CHECK(value<int64_t>("\x8a\x02\xff\x7f") == 0x7fff);
  CHECK(value<int64_t>("\x8a\x05" + le(-(int64_t{1} << 39), 5)) == -(int64_t{1} << 39));
  CHECK(value<int64_t>("\x8a\x07" + le(-(int64_t{1} << 50), 7)) == -(int64_t{1} << 50));
  CHECK(value<int64_t>("\x8a\x08" + le(std::numeric_limits<int64_t>::min(), 8)) ==
        std::numeric_limits<int64_t>::min());
  // 2^63 takes nine bytes; so do padded small numbers, which nobody writes.
  CHECK(parse(op::pickle("\x8a\x09" + std::string(7, '\0') + "\x80" + std::string(1, '\0')))
            .get<PickleLong>(0) != nullptr);
  CHECK(value<double>("G\x3f\xf8" + std::string(6, '\0')) == 1.5);
  CHECK(value<double>("G\xbf\xf0" + std::string(6, '\0')) == -1);
  CHECK(value<bool>("\x88"));
  CHECK_FALSE(value<bool>("\x89"));
  value<PickleNone>("N");
  for (const std::string& text : {op::text("conv1"),
                                  std::string("U\x05"
                                              "conv1"),
                                  "T" + le(5, 4) + "conv1"}) {
    const std::string bytes = op::pickle(text);
    const Pickle pickle = parse(bytes);
    CHECK(pickle.get<PickleText>(pickle.root)->bytes == "conv1");
  }
}

TEST_CASE("containers keep their items in order, and share what the memo repeats") {
  // [1, (2,), (1,2), {"k": same list}]; the list is put as number 0, and 300 by the long form.
  const std::string bytes =
      op::pickle("]q" + le(0, 1) + "r" + le(300, 4) + "(K\x01K\x02\x85K\x01K\x02\x86}" +
                 op::text("k") + "h" + le(0, 1) + "s" + "j" + le(300, 4) + "e" + "NNN\x87" + "a");
  const Pickle pickle = parse(bytes);
  const auto list = pickle.items(*pickle.get<PickleList>(pickle.root));
  REQUIRE(list.size() == 6);
  CHECK(*pickle.get<int64_t>(list[0]) == 1);
  const auto one = pickle.items(*pickle.get<PickleTuple>(list[1]));
  REQUIRE(one.size() == 1);
  CHECK(*pickle.get<int64_t>(one[0]) == 2);
  const auto two = pickle.items(*pickle.get<PickleTuple>(list[2]));
  REQUIRE(two.size() == 2);
  CHECK(*pickle.get<int64_t>(two[0]) == 1);
  CHECK(*pickle.get<int64_t>(two[1]) == 2);
  const auto& dict = pickle.contents[pickle.get<PickleDict>(list[3])->contents];
  REQUIRE(dict.size() == 2);
  CHECK(pickle.get<PickleText>(dict[0])->bytes == "k");
  CHECK(dict[1] == pickle.root);  // a value that contains itself
  CHECK(list[4] == pickle.root);
  CHECK(pickle.items(*pickle.get<PickleTuple>(list[5])).size() == 3);
  CHECK(pickle.bytes == bytes.size());
}

TEST_CASE("calls are noted down, with what is put into them and their state") {
  const std::string bytes = op::pickle(op::ordered({{"a", "K\x07"}}) + op::dict({}) + "b");
  const Pickle pickle = parse(bytes);
  const auto* call = pickle.get<PickleCall>(pickle.root);
  REQUIRE(call != nullptr);
  CHECK(pickle.get<TorchGlobal>(call->function)->kind == GlobalKind::kOrderedDict);
  CHECK(pickle.get<PickleTuple>(call->arguments)->count == 0);
  REQUIRE(pickle.contents[call->contents].size() == 2);
  CHECK(*pickle.get<int64_t>(pickle.contents[call->contents][1]) == 7);
  REQUIRE(call->state != kNoPickleId);
  CHECK(pickle.get<PickleDict>(call->state) != nullptr);
  const Pickle bare = parse(op::pickle(op::ordered({})));
  CHECK(bare.get<PickleCall>(bare.root)->state == kNoPickleId);
  // Two objects that are filled in turn keep their items apart.
  const std::string two =
      op::pickle(op::ordered({{"a", "N"}}) + op::ordered({{"b", "N"}}) + "\x86");
  const Pickle both = parse(two);
  const auto items = both.items(*both.get<PickleTuple>(both.root));
  CHECK(both.contents[both.get<PickleCall>(items[0])->contents].size() == 2);
  CHECK(both.contents[both.get<PickleCall>(items[1])->contents].size() == 2);
}

TEST_CASE("what follows the end mark is left alone") {
  const Pickle pickle = parse(op::pickle("N") + "anything");
  CHECK(pickle.bytes == 4);
}

TEST_CASE("names of element types") {
  const auto dtype = [](const char* module, const char* name) {
    const std::optional<TorchGlobal> found = find_torch_global(module, name);
    REQUIRE_MESSAGE(found.has_value(), name);
    return found->dtype;
  };
  CHECK(dtype("torch", "FloatStorage") == Dtype::kF32);
  CHECK(dtype("torch", "HalfStorage") == Dtype::kF16);
  CHECK(dtype("torch", "BFloat16Storage") == Dtype::kBF16);
  CHECK(dtype("torch", "DoubleStorage") == Dtype::kF64);
  CHECK(dtype("torch", "LongStorage") == Dtype::kI64);
  CHECK(dtype("torch", "IntStorage") == Dtype::kI32);
  CHECK(dtype("torch", "ShortStorage") == Dtype::kI16);
  CHECK(dtype("torch", "CharStorage") == Dtype::kI8);
  CHECK(dtype("torch", "ByteStorage") == Dtype::kU8);
  CHECK(dtype("torch", "BoolStorage") == Dtype::kBool);
  CHECK(dtype("torch", "ComplexFloatStorage") == Dtype::kC64);
  CHECK(dtype("torch.cuda", "FloatStorage") == Dtype::kF32);
  CHECK(dtype("torch", "float8_e4m3fn") == Dtype::kF8E4M3);
  CHECK(dtype("torch", "ComplexDoubleStorage") == std::nullopt);
  CHECK(dtype("torch", "QInt8Storage") == std::nullopt);
  for (const char* name :
       {"Storage", "Tensorx", "FloatStorageX", "Float", "FloatxStorage", "load", "", "hub"}) {
    CHECK_FALSE(find_torch_global("torch", name).has_value());
  }
  CHECK_FALSE(find_torch_global("torch.cuda", "float32").has_value());
  CHECK_FALSE(find_torch_global("", "OrderedDict").has_value());
}

TEST_CASE("pickles that run code are refused by the name they ask for") {
  const std::pair<const char*, const char*> names[] = {{"os", "system"},
                                                       {"posix", "system"},
                                                       {"builtins", "eval"},
                                                       {"__builtin__", "exec"},
                                                       {"subprocess", "Popen"},
                                                       {"torch", "load"},
                                                       {"torch.hub", "load"},
                                                       {"collections", "deque"},
                                                       {"torch._utils", "_import_dotted_name"},
                                                       {"__main__", "Net"},
                                                       {"torch.nn.modules", "Module"}};
  for (const auto& [module, name] : names) {
    const std::string message =
        refusal(op::pickle(op::call(op::name(module, name), {op::text("echo")})));
    CHECK_CONTAINS(message, std::string("asks for ") + module + "." + name +
                                ": a pickle that runs code; refused: ");
  }
  // Through a name that is allowed, deep inside, or never used: refused all the same.
  CHECK_CONTAINS(refusal(op::pickle(op::dict({{"a", op::tuple({op::name("os", "system")})}}))),
                 "asks for os.system");
  CHECK_CONTAINS(refusal(op::pickle(op::name("os", "system") + "0N")), "asks for os.system");
}

TEST_CASE("opcodes that state dicts do not need are refused") {
  int refused = 0;
  const std::string known = "(.JKMGNXTU)t]ae}suqrhjcRbQ\x80\x81\x85\x86\x87\x88\x89\x8a\x8f";
  for (int opcode = 0; opcode < 256; ++opcode) {
    if (known.find(static_cast<char>(opcode)) != std::string::npos) continue;
    CHECK_CONTAINS(refusal("\x80\x02N" + std::string(1, static_cast<char>(opcode))),
                   "is none that a state dict needs");
    ++refused;
  }
  CHECK(refused == 256 - 35);
  CHECK_CONTAINS(refusal("\x80\x04\x95"), "pickle protocol 4");
}

TEST_CASE("broken pickles") {
  const std::pair<std::string, const char*> cases[] = {
      {"", "without its end mark"},
      {"N", "without its end mark"},
      {".", "wants a value"},
      {"NN.", "values left over"},
      {"(N.", "values left over"},
      {"N(.", "wants a value"},
      {"t.", "never opened"},
      {"u.", "never opened"},
      {"e.", "never opened"},
      {"(u.", "puts items into nothing"},
      {"(e.", "appends to what is no list"},
      {"N(K\x01"
       "e.",
       "appends to what is no list"},
      {"Na.", "wants a value"},
      {"](Na.", "wants a value"},
      {"}(NNs.", "wants a value"},
      {"}Ns.", "wants a value"},
      {"N(NNu.", "no dictionary"},
      {"}(Nu.", "a key without a value"},
      {"\x85.", "wants a value"},
      {"N\x86.", "wants a value"},
      {"N(N\x86.", "wants a value"},
      {"NN\x87.", "wants a value"},
      {"h\x05.", "memo number 5, which was never put"},
      {"Nq\x03h\x02.", "memo number 2, which was never put"},
      {"q\x01.", "wants a value"},
      {"N)R.", "calls what is no function's name"},
      {op::name("torch", "Size") + "NR.", "calls with what is no tuple"},
      {op::name("torch", "Size") + "R.", "wants a value"},
      {"NNb.", "gives a state to what is no object"},
      {"NQ.", "names a storage by what is no tuple"},
      {"K", "in the midst of a value"},
      {"J\x01\x02\x03", "in the midst of a value"},
      {"X" + number(6, 4) + "conv1", "in the midst of a value"},
      {"\x8a\xff" + std::string(254, 'x'), "in the midst of a value"},
      {"ctorch", "a name is cut"},
      {"ctorch\nSize", "a name is cut"},
      {"c" + std::string(1000, 'x') + "\ny\n.", "a name is cut, or longer"},
      {"X" + number(0xffffffff, 4), "a text of 4294967295 bytes"},
      {"X" + number(kMaxPickleText + 1, 4) + std::string(kMaxPickleText + 1, 'x') + ".",
       "a text of 1048577 bytes"},
  };
  for (const auto& [bytes, message] : cases) {
    CAPTURE(bytes.substr(0, 40));
    CHECK_CONTAINS(refusal(bytes), message);
  }
  CHECK_CONTAINS(refusal("NK\x01t"), "byte 3: ");  // the opcode's place
  CHECK_CONTAINS(refusal("NK"), "byte 1: the pickle ends in the midst");
  parse("X" + number(kMaxPickleText, 4) + std::string(kMaxPickleText, 'x') + ".");
}

std::string repeated(const std::string& part, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += part;
  return out;
}

TEST_CASE("hostile pickles cost neither memory nor time") {
  const double begin = processor_seconds();
  // Memo numbers far apart; a million values; a million openings; ten million operations.
  CHECK_CONTAINS(refusal("Nr" + number(0xffffffff, 4) + "."), "memo number 4294967295");
  CHECK_CONTAINS(refusal("Nr" + number(kMaxPickleMemo, 4) + "."), "memo number");
  CHECK(parse("Nr" + number(kMaxPickleMemo - 1, 4) + ".").values.size() == 1);
  CHECK_CONTAINS(refusal(repeated("]", 3'000'000)), "more than 1048576 values");
  CHECK_CONTAINS(refusal(repeated("(", 3'000'000)), "more than 4096 groups");
  CHECK_CONTAINS(refusal("Nq" + number(0, 1) + repeated("h" + number(0, 1), 10'000'000)),
                 "more than 4194304 operations");
  // Nested a million deep, as tuples and as lists: read and freed without recursion.
  CHECK(parse("N" + repeated("\x85", 1'000'000) + ".").values.size() == 1'000'001);
  CHECK(parse(repeated("]", 1'000'000) + repeated("a", 999'999) + ".").values.size() == 1'000'000);
  // Each tuple holds the one before twice: 2^900000 leaves, if anyone walked them.
  CHECK(parse("Nq" + number(0, 1) + repeated("h" + number(0, 1) + "\x86q" + number(0, 1), 900'000) +
              ".")
            .values.size() == 900'001);
  // A list that holds itself a million times.
  const Pickle itself =
      parse("]q" + number(0, 1) + "(" + repeated("h" + number(0, 1), 1'000'000) + "e.");
  CHECK(itself.contents.back().size() == 1'000'000);
  // Some seconds (half a minute under the sanitizers); quadratic work would take hours.
  CHECK(processor_seconds() - begin < 100);
}

TEST_CASE("a good pickle cut or changed at any byte is read or refused, never anything else") {
  const std::string good =
      op::pickle(op::ordered({{"conv.weight", op::tensor(op::storage("0", 6), 0, {2, 3}, {3, 1})},
                              {"n", op::tensor(op::storage("1", 1, "LongStorage"), 0, {}, {})},
                              {"list",
                               "](K\x01K\x02"
                               "e"}}));
  parse(good);
  for (size_t size = 0; size < good.size(); ++size) refusal(good.substr(0, size));
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = good;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    try {
      parse(bytes);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) FAIL_CHECK(error.what());
      ++refused;
    }
  }
  CHECK(refused > 8000);
}

}  // namespace
}  // namespace verace::weights::torch_pickle_test
