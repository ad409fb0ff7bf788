// The pickle machine's tuples, lists, dictionaries, names and calls.
#include <optional>

#include "kernels/format.h"
#include "weights/torch/pickle_machine.h"

namespace verace::weights::pickle_machine {

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

}  // namespace verace::weights::pickle_machine
