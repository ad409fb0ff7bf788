// The stack machine of pickles.
#include "weights/torch/pickle.h"

#include <algorithm>
#include <bit>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/torch/little_endian.h"

namespace verace::weights {
namespace {

constexpr const char* kAgain = "fetch or save the file again";
constexpr const char* kStateDict = "save it again with torch.save(model.state_dict(), FILE)";

// Opcodes of protocols 0 to 2 that state dicts hold; Python's pickletools.py explains each.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kLong1 = 0x8a,
  kBinFloat = 'G',
  kNone = 'N',
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kBinUnicode = 'X',
  kBinString = 'T',       // Python 2
  kShortBinString = 'U',  // Python 2
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kEmptySet = 0x8f,
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kGlobal = 'c',
  kReduce = 'R',
  kNewObj = 0x81,
  kBuild = 'b',
  kBinPersId = 'Q',
  kProto = 0x80,
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& where)
      : bytes_(bytes), where_(where) {}

  Pickle run();

 private:
  [[noreturn]] void fail(const std::string& what, const char* advice = kAgain) const {
    fail_input(text::format("{}, byte {}: {}: {}", where_, operation_, what, advice));
  }

  std::span<const std::byte> take(size_t count);
  std::string_view take_text(size_t count);
  std::string_view take_line();
  uint64_t number(size_t count) { return little_endian(take(count)); }

  void push(PickleId id) { stack_.push_back(id); }
  PickleId add(const PickleValue& value);
  void push_value(const PickleValue& value) { push(add(value)); }
  void expect(size_t count) const;  // so many values since the last mark
  PickleId pop();
  PickleId top() const;
  size_t pop_mark();  // the stack's height at the last mark
  uint32_t new_contents();

  // Each handles some of the opcodes; false: not one of its own.
  bool run_number(uint8_t opcode);
  bool run_text(uint8_t opcode);
  bool run_container(uint8_t opcode);
  bool run_memo(uint8_t opcode);
  bool run_call(uint8_t opcode);

  void long_number();
  void text_of(size_t bytes);
  void tuple_from(size_t height);
  void append_from(size_t height);
  void set_from(size_t height);
  void put(uint64_t number);
  void fetch(uint64_t number);
  void global();
  void call();
  void build();
  [[noreturn]] void refuse(uint8_t opcode) const;

  std::span<const std::byte> bytes_;
  const std::string& where_;
  size_t position_ = 0;
  size_t operation_ = 0;  // where the current one began
  Pickle pickle_;
  std::vector<PickleId> stack_;
  std::vector<size_t> marks_;
  std::vector<PickleId> memo_;  // kNoPickleId where nothing was put
};

std::span<const std::byte> Machine::take(size_t count) {
  if (count > bytes_.size() - position_) fail("the pickle ends in the midst of a value");
  position_ += count;
  return bytes_.subspan(position_ - count, count);
}

std::string_view Machine::take_text(size_t count) {
  const std::span<const std::byte> taken = take(count);
  return {reinterpret_cast<const char*>(taken.data()), taken.size()};
}

std::string_view Machine::take_line() {
  const std::span<const std::byte> rest = bytes_.subspan(position_);
  const auto window = rest.first(std::min(rest.size(), kMaxPickleName + 1));
  const auto end = std::find(window.begin(), window.end(), std::byte{'\n'});
  if (end == window.end()) fail("a name is cut, or longer than any of PyTorch's");
  const std::string_view line = take_text(static_cast<size_t>(end - window.begin()));
  take(1);
  return line;
}

PickleId Machine::add(const PickleValue& value) {
  if (pickle_.values.size() == kMaxPickleValues) {
    fail(text::format("more than {} values: not the pickle of a state dict", kMaxPickleValues),
         kStateDict);
  }
  pickle_.values.push_back(value);
  return static_cast<PickleId>(pickle_.values.size() - 1);
}

void Machine::expect(size_t count) const {
  const size_t floor = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() < floor + count) fail("wants a value that the pickle never made");
}

PickleId Machine::pop() {
  const PickleId id = top();
  stack_.pop_back();
  return id;
}

PickleId Machine::top() const {
  expect(1);
  return stack_.back();
}

size_t Machine::pop_mark() {
  if (marks_.empty()) fail("closes a group that the pickle never opened");
  const size_t height = marks_.back();
  marks_.pop_back();
  return height;
}

uint32_t Machine::new_contents() {
  pickle_.contents.emplace_back();
  return static_cast<uint32_t>(pickle_.contents.size() - 1);
}

bool Machine::run_number(uint8_t opcode) {
  switch (opcode) {
    case kNone:
      push_value(PickleNone{});
      return true;
    case kNewTrue:
    case kNewFalse:
      push_value(opcode == kNewTrue);
      return true;
    case kBinInt:
      push_value(int64_t{static_cast<int32_t>(number(4))});
      return true;
    case kBinInt1:
      push_value(static_cast<int64_t>(number(1)));
      return true;
    case kBinInt2:
      push_value(static_cast<int64_t>(number(2)));
      return true;
    case kLong1:
      long_number();
      return true;
    case kBinFloat: {  // the one big-endian number
      uint64_t bits = 0;
      for (const std::byte b : take(8)) bits = bits << 8 | std::to_integer<uint64_t>(b);
      push_value(std::bit_cast<double>(bits));
      return true;
    }
    default:
      return false;
  }
}

void Machine::long_number() {
  const size_t count = number(1);
  if (count > 8) {
    push_value(PickleLong{take_text(count)});
    return;
  }
  uint64_t bits = number(count);
  const bool negative = count > 0 && (bits >> (8 * count - 1) & 1) != 0;
  if (negative && count < 8) bits |= ~uint64_t{0} << (8 * count);
  push_value(static_cast<int64_t>(bits));
}

bool Machine::run_text(uint8_t opcode) {
  switch (opcode) {
    case kShortBinString:
      text_of(number(1));
      return true;
    case kBinString:
    case kBinUnicode:
      text_of(number(4));
      return true;
    default:
      return false;
  }
}

void Machine::text_of(size_t bytes) {
  if (bytes > kMaxPickleText) {
    fail(text::format("a text of {} bytes (at most {}): not the pickle of a state dict", bytes,
                      kMaxPickleText),
         kStateDict);
  }
  push_value(PickleText{take_text(bytes)});
}

bool Machine::run_container(uint8_t opcode) {
  switch (opcode) {
    case kMark:
      if (marks_.size() == kMaxPickleMarks) {
        fail(text::format("more than {} groups in each other", kMaxPickleMarks), kStateDict);
      }
      marks_.push_back(stack_.size());
      return true;
    case kEmptyTuple:
      tuple_from(stack_.size());
      return true;
    case kTuple:
      tuple_from(pop_mark());
      return true;
    case kTuple1:
    case kTuple2:
    case kTuple3: {
      const size_t count = size_t{opcode} - kTuple1 + 1;
      expect(count);
      tuple_from(stack_.size() - count);
      return true;
    }
    case kEmptyList:
    case kEmptySet:
      push_value(PickleList{new_contents()});
      return true;
    case kEmptyDict:
      push_value(PickleDict{new_contents()});
      return true;
    case kAppend:
      expect(2);
      append_from(stack_.size() - 1);
      return true;
    case kAppends:
      append_from(pop_mark());
      return true;
    case kSetItem:
      expect(3);
      set_from(stack_.size() - 2);
      return true;
    case kSetItems:
      set_from(pop_mark());
      return true;
    default:
      return false;
  }
}

void Machine::tuple_from(size_t height) {
  const PickleTuple tuple{static_cast<uint32_t>(pickle_.tuple_items.size()),
                          static_cast<uint32_t>(stack_.size() - height)};
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(height);
  pickle_.tuple_items.insert(pickle_.tuple_items.end(), begin, stack_.end());
  stack_.erase(begin, stack_.end());
  push_value(tuple);
}

void Machine::append_from(size_t height) {
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(height);
  const PickleList* list = height > 0 ? pickle_.get<PickleList>(stack_[height - 1]) : nullptr;
  if (list == nullptr) fail("appends to what is no list");
  std::vector<PickleId>& items = pickle_.contents[list->contents];
  items.insert(items.end(), begin, stack_.end());
  stack_.erase(begin, stack_.end());
}

void Machine::set_from(size_t height) {
  const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(height);
  if (height == 0) fail("puts items into nothing");
  PickleValue& target = pickle_.values[stack_[height - 1]];
  uint32_t contents = 0;
  if (const auto* dict = std::get_if<PickleDict>(&target)) {
    contents = dict->contents;
  } else if (auto* made = std::get_if<PickleCall>(&target)) {
    if (made->contents == 0) made->contents = new_contents();
    contents = made->contents;
  } else {
    fail("puts items into what is no dictionary");
  }
  if ((stack_.size() - height) % 2 != 0) fail("a dictionary has a key without a value");
  std::vector<PickleId>& items = pickle_.contents[contents];
  items.insert(items.end(), begin, stack_.end());
  stack_.erase(begin, stack_.end());
}

bool Machine::run_memo(uint8_t opcode) {
  switch (opcode) {
    case kBinPut:
      put(number(1));
      return true;
    case kLongBinPut:
      put(number(4));
      return true;
    case kBinGet:
      fetch(number(1));
      return true;
    case kLongBinGet:
      fetch(number(4));
      return true;
    default:
      return false;
  }
}

void Machine::put(uint64_t number) {
  if (number >= kMaxPickleMemo) {
    fail(text::format("memo number {} (at most {}): not the pickle of a state dict", number,
                      kMaxPickleMemo - 1),
         kStateDict);
  }
  if (number >= memo_.size()) memo_.resize(number + 1, kNoPickleId);
  memo_[number] = top();
}

void Machine::fetch(uint64_t number) {
  if (number >= memo_.size() || memo_[number] == kNoPickleId) {
    fail(text::format("wants memo number {}, which was never put", number));
  }
  push(memo_[number]);
}

bool Machine::run_call(uint8_t opcode) {
  switch (opcode) {
    case kGlobal:
      global();
      return true;
    case kReduce:
    case kNewObj:
      call();
      return true;
    case kBuild:
      build();
      return true;
    case kBinPersId: {
      const PickleId id = pop();
      if (pickle_.get<PickleTuple>(id) == nullptr) fail("names a storage by what is no tuple");
      push_value(PicklePersistent{id});
      return true;
    }
    default:
      return false;
  }
}

void Machine::global() {
  const std::string_view module = take_line();
  const std::string_view name = take_line();
  const std::optional<TorchGlobal> known = find_torch_global(module, name);
  if (!known) {
    fail(text::format("asks for {}.{}: a pickle that runs code; refused", module, name),
         "if you trust the file, load it in Python and save only its state_dict()");
  }
  push_value(*known);
}

void Machine::call() {
  const PickleId arguments = pop();
  const PickleId function = pop();
  if (pickle_.get<TorchGlobal>(function) == nullptr) fail("calls what is no function's name");
  if (pickle_.get<PickleTuple>(arguments) == nullptr) fail("calls with what is no tuple");
  push_value(PickleCall{function, arguments});
}

void Machine::build() {
  const PickleId state = pop();
  PickleCall* made = std::get_if<PickleCall>(&pickle_.values[top()]);
  if (made == nullptr) fail("gives a state to what is no object");
  made->state = state;
}

void Machine::refuse(uint8_t opcode) const {
  fail(text::format("opcode 0x{:02x} is none that a state dict needs; refused", unsigned{opcode}),
       kStateDict);
}

Pickle Machine::run() {
  for (size_t count = 0;; ++count) {
    operation_ = position_;
    if (count == kMaxPickleOperations) {
      fail(text::format("more than {} operations: not the pickle of a state dict", count),
           kStateDict);
    }
    if (position_ == bytes_.size()) fail("the pickle ends without its end mark");
    const auto opcode = static_cast<uint8_t>(number(1));
    if (opcode == kStop) break;
    if (opcode == kProto) {
      const uint64_t protocol = number(1);
      if (protocol > 2) {
        fail(text::format("pickle protocol {}; PyTorch writes 2 unless told otherwise", protocol),
             "save it again without pickle_protocol");
      }
      continue;
    }
    if (!run_memo(opcode) && !run_number(opcode) && !run_text(opcode) && !run_container(opcode) &&
        !run_call(opcode)) {
      refuse(opcode);
    }
  }
  pickle_.root = pop();
  if (!stack_.empty() || !marks_.empty()) fail("the pickle ends with values left over");
  pickle_.bytes = position_;
  return std::move(pickle_);
}

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return Machine(bytes, where).run();
}

}  // namespace verace::weights
