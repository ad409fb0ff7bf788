// Tensors in a storage type: numbers rounded once, so that oracles start from what a kernel sees.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/storage.h"
#include "tests/support/guarded.h"

namespace verace::test {

// `values` rounded to T.
template <class T>
std::vector<T> stored(std::span<const float> values) {
  std::vector<T> result;
  result.reserve(values.size());
  for (const float v : values) result.push_back(kernels::from_float<T>(v));
  return result;
}

// What T holds, as floats.
template <class T>
std::vector<float> widened(std::span<const T> values) {
  std::vector<float> result;
  result.reserve(values.size());
  for (const T v : values) result.push_back(kernels::to_float(v));
  return result;
}
template <class T>
std::vector<float> widened(const Guarded<T>& values) {
  return widened(values.span());
}

// `values` through T and back: exact in T from here on.
template <class T>
std::vector<float> rounded(std::span<const float> values) {
  return widened(std::span<const T>(stored<T>(values)));
}

// A Guarded tensor that starts `shift` elements behind an aligned address: kernels must then do
// without accesses of 16 bytes. data() is where the tensor starts.
template <class T>
class Shifted {
 public:
  Shifted(std::span<const float> values, int64_t shift)
      : shift_(shift), all_(static_cast<int64_t>(values.size()) + shift) {
    const std::span<T> all = all_.write();
    const std::span<T> tensor = all.subspan(static_cast<size_t>(shift));
    std::fill_n(all.begin(), shift, kernels::from_float<T>(kBefore));
    for (size_t i = 0; i < values.size(); ++i) tensor[i] = kernels::from_float<T>(values[i]);
  }
  // A fill of NaN: without contents, each bit is set.
  Shifted(int64_t count, float fill, int64_t shift)
      : Shifted(std::vector<float>(static_cast<size_t>(count), fill), shift) {
    if (!std::isnan(fill)) return;
    std::memset(static_cast<void*>(data()), 0xff, static_cast<size_t>(count) * sizeof(T));
    forget(data(), static_cast<size_t>(count) * sizeof(T));
  }

  T* data() { return all_.data() + shift_; }
  const T* data() const { return all_.data() + shift_; }
  int64_t size() const { return static_cast<int64_t>(all_.size()) - shift_; }
  std::span<T> write() { return all_.write().subspan(static_cast<size_t>(shift_)); }
  std::span<const T> span() const { return all_.span().subspan(static_cast<size_t>(shift_)); }
  std::vector<float> floats() const { return widened(span()); }

  // True while nothing before or behind the tensor has changed.
  bool intact() const {
    for (int64_t i = 0; i < shift_; ++i) {
      if (kernels::to_float(all_[i]) != kBefore) return false;
    }
    return all_.intact();
  }

 private:
  static constexpr float kBefore = 1.5f;

  int64_t shift_;
  Guarded<T> all_;
};

}  // namespace verace::test
