// Finding the state dict in a pickle, and its tensors.
#include "weights/torch/state_dict.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/tensor_table.h"
#include "weights/torch/advice.h"
#include "weights/torch/tensor_reading.h"
#include "weights/torch/utf8.h"

namespace verace::weights {
namespace {

// Where training programs put the state dict in their checkpoints; the first that holds tensors.
constexpr std::string_view kStateDictKeys[] = {"state_dict", "model_state_dict", "model",
                                               "net",        "network",          "net_state_dict",
                                               "params",     "weights"};
constexpr int kMaxNesting = 2;

using Entry = std::pair<std::string_view, PickleId>;  // a text key and its value

// Adds the pairs of a list or tuple of two; anything else is left out.
void add_pair(const Pickle& pickle, PickleId id, std::vector<PickleId>& flat) {
  std::span<const PickleId> items;
  if (const auto* tuple = pickle.get<PickleTuple>(id)) items = pickle.items(*tuple);
  if (const auto* list = pickle.get<PickleList>(id)) items = pickle.items(*list);
  if (items.size() == 2) flat.insert(flat.end(), items.begin(), items.end());
}

// Keys and values alternating. Nothing where the value is no dictionary.
std::optional<std::vector<PickleId>> flat_items(const Pickle& pickle, PickleId id) {
  if (const auto* dict = pickle.get<PickleDict>(id)) return pickle.contents[dict->contents];
  const auto* call = pickle.get<PickleCall>(id);
  if (call == nullptr ||
      pickle.get<TorchGlobal>(call->function)->kind != GlobalKind::kOrderedDict) {
    return std::nullopt;
  }
  std::vector<PickleId> flat;
  const auto arguments = pickle.items(*pickle.get<PickleTuple>(call->arguments));
  if (!arguments.empty()) {  // Python 2: OrderedDict([[key, value], ...])
    if (const auto* pairs = pickle.get<PickleList>(arguments[0])) {
      for (const PickleId pair : pickle.items(*pairs)) add_pair(pickle, pair, flat);
    }
  }
  const std::vector<PickleId>& later = pickle.contents[call->contents];
  flat.insert(flat.end(), later.begin(), later.end());
  return flat;
}

// The entries with a text as key.
std::optional<std::vector<Entry>> entries_of(const Pickle& pickle, PickleId id) {
  const std::optional<std::vector<PickleId>> flat = flat_items(pickle, id);
  if (!flat) return std::nullopt;
  std::vector<Entry> entries;
  for (size_t i = 0; i + 1 < flat->size(); i += 2) {
    if (const auto* key = pickle.get<PickleText>((*flat)[i])) {
      entries.emplace_back(key->bytes, (*flat)[i + 1]);
    }
  }
  return entries;
}

// Python would keep the last of two; a file that says two things is not trusted.
void check_unique(const std::vector<Entry>& entries, const std::string& where) {
  std::unordered_set<std::string_view> names;
  for (const auto& [name, id] : entries) {
    if (!names.insert(name).second) {
      fail_input(text::format("{}: the name {} stands twice: {}", where, quoted(name), kAgain));
    }
  }
}

bool has_tensor(const Pickle& pickle, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (find_tensor_call(pickle, entry.second)) return true;
  }
  return false;
}

struct Found {
  PickleId id;
  std::vector<Entry> entries;
  std::string wrapper;
};

// One level down, where a wrapper's name leads to a dictionary with tensors or with a wrapper. The
// depth is small so that wrappers that share one large dictionary cost little.
std::optional<Found> unwrap(const Pickle& pickle, const std::vector<Entry>& entries, int depth) {
  for (const std::string_view wrapper : kStateDictKeys) {
    // The first of that name: a name that stands often must not lead there often.
    const auto entry = std::ranges::find(entries, wrapper, &Entry::first);
    if (entry == entries.end()) continue;
    std::optional<std::vector<Entry>> inner = entries_of(pickle, entry->second);
    if (!inner) continue;
    if (depth < kMaxNesting) {
      if (std::optional<Found> deeper = unwrap(pickle, *inner, depth + 1)) {
        deeper->wrapper = std::string(wrapper) + "." + deeper->wrapper;
        return deeper;
      }
    }
    if (has_tensor(pickle, *inner)) {
      return Found{entry->second, std::move(*inner), std::string(wrapper)};
    }
  }
  return std::nullopt;
}

Found find_state_dict(const Pickle& pickle, const std::string& where) {
  std::optional<std::vector<Entry>> top = entries_of(pickle, pickle.root);
  if (!top) {
    fail_input(text::format("{}: is no dictionary of named tensors: {}", where, kStateDict));
  }
  check_unique(*top, where);
  if (std::optional<Found> inner = unwrap(pickle, *top, 1)) return std::move(*inner);
  if (!has_tensor(pickle, *top)) {
    std::vector<std::string> names;
    for (size_t i = 0; i < top->size() && i < 8; ++i) {
      names.push_back(quoted((*top)[i].first));
    }
    fail_input(text::format("{}: holds no tensors where a state dict has them (its names: {}): {}",
                            where, names.empty() ? "none" : text::join(names, ", "), kStateDict));
  }
  return {pickle.root, std::move(*top), ""};
}

// What write_torch_zip put beside the tensors.
void take_metadata(const Pickle& pickle, PickleId state_dict,
                   std::map<std::string, std::string>& metadata) {
  const auto* call = pickle.get<PickleCall>(state_dict);
  if (call == nullptr || call->state == kNoPickleId) return;
  PickleId stored = kNoPickleId;
  for (const auto& [key, id] : entries_of(pickle, call->state).value_or(std::vector<Entry>())) {
    if (key == kTorchMetadata) stored = id;
  }
  if (stored == kNoPickleId) return;
  for (const auto& [name, value] : entries_of(pickle, stored).value_or(std::vector<Entry>())) {
    const auto* text = pickle.get<PickleText>(value);
    if (text == nullptr || !is_utf8(name) || !is_utf8(text->bytes)) continue;
    metadata.emplace(name, text->bytes);
  }
}

std::string checked_name(std::string_view key, const std::string& where) {
  if (std::cmp_greater(key.size(), kMaxTensorNameBytes) || !is_utf8(key)) {
    fail_input(text::format("{}: the tensor's name {} is not UTF-8 or longer than {} bytes: {}",
                            where, quoted(key), kMaxTensorNameBytes, kAgain));
  }
  return std::string(key);
}

[[noreturn]] void refuse(const std::string& where, const std::string& what, const char* advice) {
  fail_input(text::format("{}: {}: {}", where, what, advice));
}

}  // namespace

TorchStorage read_storage(const Pickle& pickle, const PicklePersistent& reference,
                          const std::string& where) {
  const auto items = pickle.items(*pickle.get<PickleTuple>(reference.id));
  const auto* kind = items.empty() ? nullptr : pickle.get<PickleText>(items[0]);
  if (kind == nullptr || kind->bytes != "storage" || items.size() < 5) {
    refuse(where, "refers to something outside that is no storage", kStateDict);
  }
  const auto* type = pickle.get<TorchGlobal>(items[1]);
  const auto* key = pickle.get<PickleText>(items[2]);
  const auto* elements = pickle.get<int64_t>(items[4]);
  if (type == nullptr || type->kind != GlobalKind::kStorageClass || key == nullptr ||
      elements == nullptr || *elements < 0) {
    refuse(where, "has a malformed reference to a storage", kAgain);
  }
  const std::string name = quoted(key->bytes);
  if (!type->dtype) {
    refuse(where, "storage " + name + " holds elements of a type that Verace does not know",
           "save it as float32");
  }
  TorchStorage storage{key->bytes, *type->dtype, *elements, 0, *elements};
  int64_t bytes = 0;
  if (__builtin_mul_overflow(*elements, size_of(storage.dtype), &bytes)) {
    refuse(where, "storage " + name + " is larger than 2^63 bytes", kAgain);
  }
  if (items.size() > 5 && pickle.get<PickleNone>(items[5]) == nullptr) {
    const auto* view = pickle.get<PickleTuple>(items[5]);
    const auto parts = view == nullptr ? std::span<const PickleId>() : pickle.items(*view);
    const auto* offset = parts.size() == 3 ? pickle.get<int64_t>(parts[1]) : nullptr;
    const auto* size = parts.size() == 3 ? pickle.get<int64_t>(parts[2]) : nullptr;
    if (offset == nullptr || size == nullptr || *offset < 0 || *size < 0 || *offset > *elements ||
        *size > *elements - *offset) {
      refuse(where, "has a view that is not within its storage " + name, kAgain);
    }
    storage.view_offset = *offset;
    storage.view_elements = *size;
  }
  return storage;
}

TensorTable read_state_dict(const Pickle& pickle, const std::string& where, int64_t file_bytes,
                            const FindStorage& find_storage) {
  const Found found = find_state_dict(pickle, where);
  check_unique(found.entries, where);
  TensorTable table;
  take_metadata(pickle, found.id, table.metadata);
  if (!found.wrapper.empty()) table.metadata["torch.wrapper"] = found.wrapper;
  int64_t total = 0;
  for (const auto& [key, id] : found.entries) {
    const std::optional<TensorCall> call = find_tensor_call(pickle, id);
    if (!call) continue;
    if (table.tensors.size() == kMaxTensors) {
      fail_input(
          text::format("{}: holds more than {} tensors: {}", where, kMaxTensors, kStateDict));
    }
    table.tensors.push_back(
        read_tensor(pickle, *call, checked_name(key, where), where, find_storage));
    const TensorView& tensor = table.tensors.back();
    const int64_t bytes = tensor.element_count() * size_of(tensor.dtype);
    if (__builtin_add_overflow(total, bytes, &total) || total / kMaxSharing > file_bytes) {
      fail_input(
          text::format("{}: its tensors repeat the same numbers to more than {} times the "
                       "file's size: {}",
                       where, kMaxSharing, kAgain));
    }
  }
  return table;
}

}  // namespace verace::weights
