// Keras' HDF5 files, damaged in every place: read or refused, within the file's bytes and in little
// memory. A program of its own, for it replaces operator new.
#include <cstdlib>
#include <new>
#include <set>

#include "tests/support/sanitized.h"
#include "tests/weights/keras_bytes.h"
#include "weights/hdf5/file.h"

namespace {  // NOLINT(test-namespace): in no batch

// Bytes that are allocated now, and the most since the last reset.
size_t live = 0, most = 0;
constexpr size_t kHead = alignof(std::max_align_t);

}  // namespace

void* operator new(size_t size) {
  void* block = std::malloc(size + kHead);
  if (block == nullptr) throw std::bad_alloc();
  std::memcpy(block, &size, sizeof(size));
  live += size;
  most = std::max(most, live);
  return static_cast<char*>(block) + kHead;
}

void operator delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  char* block = static_cast<char*>(pointer) - kHead;
  size_t size = 0;
  std::memcpy(&size, block, sizeof(size));
  live -= size;
  std::free(block);
}
void operator delete(void* pointer, size_t) noexcept { operator delete(pointer); }

namespace verace::weights::keras_hdf5_damage_test {
namespace {

using namespace keras_bytes;

// Under the sanitizers some of the damages: seconds, not minutes. (fuzz/keras_hdf5 makes random
// ones there.)
const size_t kEvery = test::is_sanitized() ? 23 : 1;

TEST_CASE("keras: a file that is cut anywhere says so") {
  const std::string file = keras_file("tiny.h5");
  for (size_t length = 0; length < file.size(); length += kEvery) {
    const std::string message = input_error([&] { parse_keras(file.substr(0, length)); });
    if (length >= 56) {
      REQUIRE_MESSAGE(contains(message, "is truncated: holds " + std::to_string(length)), message);
    }
  }
}

// Whether each tensor lies within the file, is as long as its shape says and has its own name.
bool is_sound(const TensorTable& table, std::span<const std::byte> file) {
  std::set<std::string> names;
  for (const TensorView& tensor : table.tensors) {
    int64_t product = size_of(tensor.dtype);
    for (const int64_t extent : tensor.shape) product *= extent;
    const std::byte* end = tensor.bytes.data() + tensor.bytes.size();
    const bool inside = tensor.bytes.data() >= file.data() && end <= file.data() + file.size();
    if (!names.insert(tensor.name).second || !(tensor.bytes.empty() || inside) ||
        product != static_cast<int64_t>(tensor.bytes.size())) {
      return false;
    }
  }
  return true;
}

// Whether a file is read; either way nothing must happen but that. It is parsed in a copy that ends
// where its memory ends.
bool survives(const std::string& damaged) {
  const std::vector<char> copy(damaged.begin(), damaged.end());
  const auto bytes = std::as_bytes(std::span(copy));
  bool accepted = false, sound = true;
  std::string message;
  most = live;
  const size_t before = live;
  try {
    const TensorTable table = parse_keras_hdf5(bytes, "net.h5");
    accepted = true;
    sound = is_sound(table, bytes);
  } catch (const Error& error) {
    message = error.what();
    sound = error.kind() == ErrorKind::kInput && message.starts_with("net.h5: ") &&
            message.find('\n') == std::string::npos;
  }
  REQUIRE_MESSAGE(sound, message);
  // The headers' messages and the links are lists of ours: a small multiple of the file.
  if (most - before > 16 * damaged.size() + 65536) FAIL("allocated ", most - before, " bytes");
  return accepted;
}

TEST_CASE("keras: a file that ends anywhere, as its superblock says") {
  const std::string file = keras_file("tiny.h5");
  size_t accepted = 0;
  for (size_t length = kEnd + 8; length < file.size(); length += kEvery) {
    accepted += survives(with(file.substr(0, length), kEnd, uint64_t{length})) ? 1 : 0;
  }
  // Only what lies behind the last value can be missing.
  CHECK(accepted * kEvery < file.size() / 4);
  CHECK(survives(file));
}

TEST_CASE("keras: every damage of a single byte is read or refused") {
  const std::string file = keras_file("tiny.h5");
  size_t refused = 0;
  for (size_t i = 0; i < file.size(); i += kEvery) {
    for (const int change : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      if (!survives(damaged)) ++refused;
    }
  }
  CHECK(2 * refused * kEvery > file.size());  // most bytes are values, which may be any
}

TEST_CASE("keras: every number of eight bytes may be any other") {
  for (const char* name : {"tiny.h5", "keras3_nested.weights.h5"}) {
    const std::string file = keras_file(name);
    std::vector<uint64_t> addresses;  // of every structure: cycles and mistaken types
    for (const char* signature : {"TREE", "SNOD", "HEAP"}) {
      for (size_t at = file.find(signature); at != std::string::npos && addresses.size() < 12;
           at = file.find(signature, at + 1)) {
        addresses.push_back(at);
      }
    }
    addresses.insert(addresses.end(),
                     {0, 1, 96, file.size() - 1, file.size(), file.size() + 1, uint64_t{1} << 62,
                      uint64_t{1} << 63, kNothing - 7, kNothing});
    // A symbol table entry has 40 bytes.
    const size_t step = (file.size() < 20000 ? 8 : 40) * kEvery;
    for (size_t i = 0; i + 8 <= file.size(); i += step) {
      for (const uint64_t value : addresses) survives(with(file, i, value));
    }
  }
}

}  // namespace
}  // namespace verace::weights::keras_hdf5_damage_test
