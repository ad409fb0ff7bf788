// Reading the zip container.
#include <algorithm>
#include <utility>

#include "kernels/check.h"
#include "kernels/format.h"
#include "kernels/hash.h"
#include "weights/tensor_table.h"
#include "weights/torch/advice.h"
#include "weights/torch/little_endian.h"
#include "weights/torch/state_dict.h"
#include "weights/torch/torch_file.h"
#include "weights/torch/zip_directory.h"

namespace verace::weights {
namespace {

constexpr std::string_view kPickleMember = "data.pkl";

// Zips that are something else, by a member's last part.
struct Other {
  std::string_view member;
  const char* advice;
};

constexpr Other kOthers[] = {
    {"constants.pkl",
     "is a TorchScript program, not weights: save model.state_dict() with torch.save"},
    {"model.weights.h5", "is a Keras 3 archive: unpack model.weights.h5 and name that"},
    {".npy", "is a NumPy archive: save the weights as safetensors"},
    {"[Content_Types].xml", "is an office document, not a weight file: name another file"},
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The part before "data.pkl": every name in the archive begins with it.
std::string_view find_prefix(const ZipDirectory& zip, const std::string& path) {
  for (const Other& other : kOthers) {
    for (const ZipMember& member : zip.members()) {
      if (member.name.ends_with(other.member)) fail_input(path + ": " + other.advice);
    }
  }
  const ZipMember* found = nullptr;
  for (const ZipMember& member : zip.members()) {
    const bool fits = member.name == kPickleMember ||
                      (member.name.ends_with(kPickleMember) &&
                       member.name.find('/') + kPickleMember.size() + 1 == member.name.size());
    if (!fits) continue;
    if (found != nullptr) {
      fail_input(text::format("{}: has two pickles, {} and {}: {}", path,
                              in_quotes(std::string(found->name)),
                              in_quotes(std::string(member.name)), kAgain));
    }
    found = &member;
  }
  if (found == nullptr) {
    fail_input(path +
               ": is a zip archive without data.pkl, so not from torch.save: name a weight file");
  }
  return found->name.substr(0, found->name.size() - kPickleMember.size());
}

class ZipFile {
 public:
  ZipFile(std::span<const std::byte> file, const std::string& path)
      : path_(path), directory_(file, path), prefix_(find_prefix(directory_, path)) {}

  // Throws when the file says that its numbers are big-endian.
  void check_byte_order() const {
    const ZipMember* order = find("byteorder");
    if (order == nullptr || text_of(order->bytes) == "little") return;
    fail_input(
        text::format("{}: holds numbers in the byte order {}, not 'little': save it again "
                     "on a little-endian machine",
                     path_, in_quotes(std::string(text_of(order->bytes).substr(0, 20)))));
  }

  // data.pkl, its checksum compared.
  std::span<const std::byte> pickle() const {
    const ZipMember& member = *find(kPickleMember);
    if (member.crc32 != 0 && crc32(member.bytes) != member.crc32) {
      fail_input(text::format("{}: data.pkl does not have the checksum that the file states: {}",
                              path_, kAgain));
    }
    return member.bytes;
  }

  std::span<const std::byte> storage(const TorchStorage& storage) const {
    const ZipMember* member = find("data/" + std::string(storage.key));
    const std::string name = quoted(storage.key);
    if (member == nullptr) {
      fail_input(text::format("{}: its storage {} is missing: {}", path_, name, kAgain));
    }
    if (std::cmp_not_equal(member->bytes.size(), storage.bytes())) {
      fail_input(
          text::format("{}: its storage {} holds {} bytes, but {} elements of {} need {}: {}",
                       path_, name, member->bytes.size(), storage.elements,
                       to_string(storage.dtype), storage.bytes(), kAgain));
    }
    return member->bytes;
  }

 private:
  const ZipMember* find(std::string_view name) const {
    return directory_.find(std::string(prefix_) + std::string(name));
  }

  const std::string& path_;
  ZipDirectory directory_;
  std::string_view prefix_;
};

}  // namespace

bool is_torch_zip(std::span<const std::byte> file) {
  return text_of(file.first(std::min<size_t>(file.size(), 4))) == "PK\x03\x04";
}

TensorTable parse_torch_zip(std::span<const std::byte> file, const std::string& path) {
  const ZipFile zip(file, path);
  zip.check_byte_order();
  const Pickle pickle = read_pickle(zip.pickle(), path + ": data.pkl");
  TensorTable table =
      read_state_dict(pickle, path, static_cast<int64_t>(file.size()),
                      [&zip](const TorchStorage& storage) { return zip.storage(storage); });
  table.metadata["torch.format"] = "zip";
  return table;
}

}  // namespace verace::weights
