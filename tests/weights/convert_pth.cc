// convert_pth IN OUT: reads .pth (both containers) or safetensors and writes what OUT's ending
// says; for check_pth.py, which compares with PyTorch.
#include <cstdio>
#include <cstring>
#include <string>

#include "kernels/check.h"
#include "weights/mapped_file.h"
#include "weights/torch/torch_file.h"
#include "weights/torch/torch_write.h"

namespace verace::weights {
namespace {

TensorTable parse(std::span<const std::byte> file, const std::string& path) {
  if (is_torch_zip(file)) return parse_torch_zip(file, path);
  if (is_torch_stream(file)) return parse_torch_stream(file, path);
  return parse_safetensors(file, path);
}

// The elements in row-major order.
std::vector<std::byte> gather(const TensorView& tensor) {
  const auto size = static_cast<size_t>(size_of(tensor.dtype));
  std::vector<std::byte> out;
  std::vector<int64_t> index(tensor.shape.size(), 0);
  for (int64_t left = tensor.element_count(); left > 0; --left) {
    int64_t place = 0;
    for (size_t i = 0; i < index.size(); ++i) place += index[i] * tensor.strides[i];
    const auto element = tensor.bytes.subspan(static_cast<size_t>(place) * size, size);
    out.insert(out.end(), element.begin(), element.end());
    for (size_t i = index.size(); i-- > 0 && ++index[i] == tensor.shape[i];) index[i] = 0;
  }
  return out;
}

void convert(const std::string& from, const std::string& to) {
  const MappedFile file(from);
  TensorTable table = parse(file.bytes(), from);
  std::vector<std::vector<std::byte>> gathered;
  gathered.reserve(table.tensors.size());
  std::vector<TensorToWrite> tensors;
  for (const TensorView& tensor : table.tensors) {
    std::span<const std::byte> bytes = tensor.bytes;
    if (!tensor.is_dense()) bytes = gathered.emplace_back(gather(tensor));
    tensors.emplace_back(tensor.name, tensor.shape, tensor.dtype, bytes);
  }
  if (to.ends_with(".pth")) {
    write_torch_zip(to, tensors, table.metadata);
  } else {
    write_safetensors(to, tensors, table.metadata);
  }
}

}  // namespace
}  // namespace verace::weights

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: convert_pth IN OUT\n");
    return 2;
  }
  try {
    verace::weights::convert(argv[1], argv[2]);
  } catch (const verace::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
