// Program convert_pth IN OUT: reads .pth (both containers) or safetensors and writes what OUT's
// ending says; for check_pth.py, which compares with PyTorch.
#include <cstdio>
#include <string>
#include <vector>

#include "kernels/check.h"
#include "weights/mapped_file.h"
#include "weights/safetensors.h"
#include "weights/safetensors_header.h"
#include "weights/torch/torch_file.h"
#include "weights/torch/torch_write.h"

namespace verace::weights {
namespace {

void convert(const std::string& from, const std::string& to) {
  const MappedFile file(from);
  const TensorTable table = is_torch_zip(file.bytes())      ? parse_torch_zip(file.bytes(), from)
                            : is_torch_stream(file.bytes()) ? parse_torch_stream(file.bytes(), from)
                                                            : parse_safetensors(file.bytes(), from);
  std::vector<std::vector<std::byte>> gathered(table.tensors.size());
  std::vector<TensorToWrite> tensors;
  for (size_t i = 0; i < table.tensors.size(); ++i) {
    const TensorView& tensor = table.tensors[i];
    tensors.emplace_back(tensor.name, tensor.shape, tensor.dtype, dense_bytes(tensor, gathered[i]));
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
