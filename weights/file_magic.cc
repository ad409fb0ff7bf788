// The table of magic numbers.
#include "weights/file_magic.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace verace::weights {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  size_t offset;
  const char* advice;
};

constexpr const char* kPickleHint =
    "is a Python pickle, but not a file of torch.save: save it with "
    "torch.save(model.state_dict(), FILE)";

constexpr Magic kMagics[] = {
    {"PK\x03\x04"sv, 0, "is a zip, probably a PyTorch .pth: convert it to safetensors first"},
    {"\x89HDF"sv, 0, "is HDF5, probably Keras weights: convert it to safetensors first"},
    {"\x80\x02"sv, 0, kPickleHint},
    {"\x80\x03"sv, 0, kPickleHint},
    {"\x80\x04"sv, 0, kPickleHint},
    {"\x80\x05"sv, 0, kPickleHint},
    {"ustar"sv, 257,
     "is a tar archive, perhaps a .pth of PyTorch 0.1: load it with PyTorch and save its "
     "state_dict() again"},
    {"\x1f\x8b"sv, 0, "is compressed with gzip: unpack it with gzip -d first"},
    {"\xfd\x37\x7a\x58\x5a"sv, 0, "is compressed with xz: unpack it with xz -d first"},
    {"\x28\xb5\x2f\xfd"sv, 0, "is compressed with zstd: unpack it with zstd -d first"},
    {"BZh"sv, 0, "is compressed with bzip2: unpack it with bzip2 -d first"},
    {"version https://git-lfs"sv, 0,
     "is a git-lfs pointer, not the file itself: fetch it with git lfs pull"},
    {"GGUF"sv, 0, "is a GGUF file: name a safetensors file"},
    {"\x93NUMPY"sv, 0, "is a NumPy array: name a safetensors file"},
};

// Pages that a server sent in place of the file.
bool is_html(std::string_view head) {
  const size_t start = head.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return false;
  std::string text(head.substr(start, 16));
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text.starts_with("<!doctype") || text.starts_with("<html") || text.starts_with("<?xml");
}

}  // namespace

std::string describe_other_format(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min<size_t>(file.size(), 512));
  for (const Magic& magic : kMagics) {
    if (head.size() > magic.offset && head.substr(magic.offset).starts_with(magic.bytes)) {
      return magic.advice;
    }
  }
  if (is_html(head))
    return "is a web page, not a weight file: check the address and fetch it again";
  return {};
}

}  // namespace verace::weights
