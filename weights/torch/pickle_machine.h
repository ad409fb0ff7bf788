// The stack machine that reads pickles (private to pickle.cc and pickle_containers.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/torch/advice.h"
#include "weights/torch/little_endian.h"
#include "weights/torch/pickle.h"

namespace verace::weights::pickle_machine {

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
  [[noreturn]] void fail(const std::string& what, const char* advice = kAgain) const;
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

}  // namespace verace::weights::pickle_machine
