// An open file that is closed with its owner
#pragma once

#include <unistd.h>

#include <utility>

namespace verace {

class Descriptor {
 public:
  // What open() returned: negative for none.
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  ~Descriptor() { close(); }
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return descriptor_; }
  explicit operator bool() const { return descriptor_ >= 0; }
  // It is the caller's from then on.
  int release() { return std::exchange(descriptor_, -1); }
  // At once; false, and errno, where the system says that something written was lost.
  bool close() { return descriptor_ < 0 || ::close(release()) == 0; }

 private:
  int descriptor_;
};

}  // namespace verace
