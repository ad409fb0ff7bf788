// Reading the stream container.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/tensor_table.h"
#include "weights/torch/advice.h"
#include "weights/torch/little_endian.h"
#include "weights/torch/state_dict.h"
#include "weights/torch/torch_file.h"

namespace verace::weights {
namespace {

using namespace std::string_view_literals;

// The pickle of the magic number 0x1950a86a20f9469cfc6c; Python writes it in no other way.
constexpr std::string_view kMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv;
constexpr int64_t kProtocol = 1001;

class StreamFile {
 public:
  StreamFile(std::span<const std::byte> file, const std::string& path) : path_(path), rest_(file) {}

  TensorTable read();

 private:
  [[noreturn]] void fail(const std::string& what, const char* advice = kAgain) const {
    fail_input(text::format("{}: {}: {}", path_, what, advice));
  }

  Pickle next_pickle(const char* what);
  void check_machine(const Pickle& facts) const;
  // The storages that the state dict refers to, by key: how large each element is.
  void collect(const Pickle& state_dict);
  void read_storages(const Pickle& keys);
  std::span<const std::byte> storage(const TorchStorage& storage) const;

  struct Stored {
    int64_t element_bytes = 0;
    bool read = false;
    std::span<const std::byte> bytes;
  };

  const std::string& path_;
  std::span<const std::byte> rest_;
  std::unordered_map<std::string_view, Stored> storages_;
};

Pickle StreamFile::next_pickle(const char* what) {
  Pickle pickle = read_pickle(rest_, path_ + ": " + what);
  rest_ = rest_.subspan(pickle.bytes);
  return pickle;
}

void StreamFile::check_machine(const Pickle& facts) const {
  const auto* dict = facts.get<PickleDict>(facts.root);
  if (dict == nullptr) fail("does not say which machine wrote it");
  const std::vector<PickleId>& items = facts.contents[dict->contents];
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    const auto* key = facts.get<PickleText>(items[i]);
    if (key == nullptr || key->bytes != "little_endian") continue;
    const auto* little = facts.get<bool>(items[i + 1]);
    if (little != nullptr && *little) return;
    fail("holds big-endian numbers", "save it again on a little-endian machine");
  }
  fail("does not say in which byte order its numbers are");
}

void StreamFile::collect(const Pickle& state_dict) {
  for (const PickleValue& value : state_dict.values) {
    const auto* reference = std::get_if<PicklePersistent>(&value);
    if (reference == nullptr) continue;
    const TorchStorage storage = read_storage(state_dict, *reference, path_);
    Stored& stored = storages_[storage.key];
    if (stored.element_bytes == 0) stored.element_bytes = size_of(storage.dtype);
    if (stored.element_bytes != size_of(storage.dtype)) {
      fail("refers to its storage " + quoted(storage.key) + " with elements of different sizes");
    }
  }
}

void StreamFile::read_storages(const Pickle& keys) {
  const auto* list = keys.get<PickleList>(keys.root);
  if (list == nullptr) fail("has no list of its storages");
  for (const PickleId id : keys.items(*list)) {
    const auto* key = keys.get<PickleText>(id);
    if (key == nullptr) fail("has a storage whose key is no text");
    const auto found = storages_.find(key->bytes);
    if (found == storages_.end()) {
      fail("has the storage " + quoted(key->bytes) + ", to which nothing refers");
    }
    Stored& stored = found->second;
    if (stored.read) fail("has the storage " + quoted(key->bytes) + " twice");
    constexpr size_t kCountBytes = 8;
    if (rest_.size() < kCountBytes) fail("is truncated before its storage " + quoted(key->bytes));
    const uint64_t elements = little_endian(rest_.first(kCountBytes));
    rest_ = rest_.subspan(kCountBytes);
    if (elements > rest_.size() / static_cast<uint64_t>(stored.element_bytes)) {
      fail(
          text::format("is truncated: its storage {} has {} elements of {} bytes, but {} bytes "
                       "are left",
                       quoted(key->bytes), elements, stored.element_bytes, rest_.size()));
    }
    stored.bytes = rest_.first(elements * static_cast<uint64_t>(stored.element_bytes));
    stored.read = true;
    rest_ = rest_.subspan(stored.bytes.size());
  }
  if (!rest_.empty()) fail(text::format("has {} bytes after its last storage", rest_.size()));
}

std::span<const std::byte> StreamFile::storage(const TorchStorage& storage) const {
  const Stored& stored = storages_.at(storage.key);
  if (!stored.read) fail("its storage " + quoted(storage.key) + " is missing");
  if (std::cmp_not_equal(stored.bytes.size(), storage.bytes())) {
    fail(text::format("its storage {} holds {} bytes, but {} elements of {} need {}",
                      quoted(storage.key), stored.bytes.size(), storage.elements,
                      to_string(storage.dtype), storage.bytes()));
  }
  return stored.bytes;
}

TensorTable StreamFile::read() {
  const auto file_bytes = static_cast<int64_t>(rest_.size());
  if (!is_torch_stream(rest_)) fail("does not begin as PyTorch's stream format does");
  rest_ = rest_.subspan(kMagic.size());
  const Pickle protocol = next_pickle("protocol number");
  const auto* number = protocol.get<int64_t>(protocol.root);
  if (number == nullptr || *number != kProtocol) fail("has another protocol number than 1001");
  check_machine(next_pickle("facts of its machine"));
  const Pickle state_dict = next_pickle("pickle of the state dict");
  const Pickle keys = next_pickle("list of storages");
  collect(state_dict);
  read_storages(keys);
  TensorTable table = read_state_dict(state_dict, path_, file_bytes,
                                      [this](const TorchStorage& s) { return storage(s); });
  table.metadata["torch.format"] = "stream";
  return table;
}

}  // namespace

bool is_torch_stream(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min(file.size(), kMagic.size()));
  return head == kMagic;
}

TensorTable parse_torch_stream(std::span<const std::byte> file, const std::string& path) {
  return StreamFile(file, path).read();
}

}  // namespace verace::weights
