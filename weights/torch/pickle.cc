// The stack machine of pickles: bytes, stack, memo, numbers and texts.
#include "weights/torch/pickle.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/torch/pickle_machine.h"

namespace verace::weights {
namespace pickle_machine {

void Machine::fail(const std::string& what, const char* advice) const {
  fail_input(text::format("{}, byte {}: {}: {}", where_, operation_, what, advice));
}

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

}  // namespace pickle_machine

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where) {
  return pickle_machine::Machine(bytes, where).run();
}

}  // namespace verace::weights
