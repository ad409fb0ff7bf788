// Mapping a file: open, check that it is a regular file, map, close the descriptor.
#include "weights/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/check.h"
#include "kernels/descriptor.h"

namespace verace::weights {
MappedFile::MappedFile(const std::string& path) {
  // O_NONBLOCK: opening a named pipe by mistake must not hang; it has no effect on regular files.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    fail_input(path + ": cannot open the file (" + std::strerror(errno) +
               "): check the path and its permissions");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    fail_input(path + ": is not a regular file: name a weight file");
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) return;
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) {
    fail_input(path + ": cannot map the file into memory (" + std::strerror(errno) +
               "): copy it to a local disc");
  }
  ::madvise(address, size, MADV_WILLNEED);  // a hint only: its failure changes nothing
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace verace::weights
