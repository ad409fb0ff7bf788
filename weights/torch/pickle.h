// The values of a Python pickle as PyTorch writes them (protocol 2), read without executing
// anything.
//
// A pickle is a program for a small stack machine. Here its calls are only noted down: "call
// torch._utils._rebuild_tensor_v2 with these arguments" becomes a PickleCall, and state_dict.h says
// what it means. Names outside torch_globals.h are refused, and so are all opcodes but those that a
// state dict needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weights/torch/torch_globals.h"

namespace verace::weights {

// Limits that keep a hostile pickle harmless: whatever it says, it takes at most about 100 MB and a
// second. PyTorch's own need about 40 operations and 20 values per tensor, so 50,000 tensors fit.
// How deep values nest needs no limit: they are numbers into one table, and nothing here is
// recursive, neither the machine nor what reads or frees them; a value may contain itself.
inline constexpr size_t kMaxPickleOperations = size_t{1} << 22;  // also bounds the stack, all items
inline constexpr size_t kMaxPickleValues = size_t{1} << 20;
inline constexpr size_t kMaxPickleMarks = size_t{1} << 12;  // groups that are open at once
inline constexpr size_t kMaxPickleMemo = size_t{1} << 20;   // numbers in the memo
inline constexpr size_t kMaxPickleText = size_t{1} << 20;   // bytes of one string
inline constexpr size_t kMaxPickleName = 256;               // bytes of a module's or class's name

using PickleId = uint32_t;  // an index into Pickle::values
inline constexpr PickleId kNoPickleId = std::numeric_limits<PickleId>::max();

struct PickleNone {};
struct PickleLong {
  std::string_view bytes;  // an integer beyond 64 bits: two's complement, little-endian
};
struct PickleText {
  std::string_view bytes;  // UTF-8 where Python 3 wrote it; not checked
};
struct PickleTuple {
  uint32_t first;  // of Pickle::tuple_items
  uint32_t count;
};
struct PickleList {
  uint32_t contents;  // which of Pickle::contents: the items
};
struct PickleDict {
  uint32_t contents;  // key, value, key, value ... in the order of the pickle, doubles included
};
struct PickleCall {              // function(*arguments), then what was put into it
  PickleId function;             // a TorchGlobal
  PickleId arguments;            // a PickleTuple
  PickleId state = kNoPickleId;  // what BUILD gave it
  uint32_t contents = 0;         // as of a PickleDict (OrderedDict); 0: none
};
struct PicklePersistent {
  PickleId id;  // what stands outside the pickle: a storage, by this tuple
};

using PickleValue =
    std::variant<PickleNone, bool, int64_t, PickleLong, double, PickleText, TorchGlobal,
                 PickleTuple, PickleList, PickleDict, PickleCall, PicklePersistent>;

// Texts point into the bytes that were read.
struct Pickle {
  std::vector<PickleValue> values;
  std::vector<PickleId> tuple_items;
  std::vector<std::vector<PickleId>> contents{{}};  // the first stays empty
  PickleId root = 0;
  size_t bytes = 0;  // how many it took, STOP included

  // nullptr when the value is of another type.
  template <typename T>
  const T* get(PickleId id) const {
    return std::get_if<T>(&values[id]);
  }
  std::span<const PickleId> items(const PickleTuple& tuple) const {
    return std::span(tuple_items).subspan(tuple.first, tuple.count);
  }
  std::span<const PickleId> items(const PickleList& list) const { return contents[list.contents]; }
};

// Reads one pickle from the beginning of `bytes`; what follows it is left alone. `where` begins
// each message ("FILE: data.pkl"). Throws Error(kInput) for names, opcodes and protocols outside
// those of a state dict, for what is broken or cut, and beyond the limits above.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace verace::weights
