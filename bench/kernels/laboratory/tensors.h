// The tensors of one problem, twice: on the device in its storage types, and on the host for the
// answer.
//
// A problem describes its arguments once, as a generic function of a memory: DeviceTensors gives
// what the kernel gets, HostTensors the same numbers as floats, which the host's implementations
// want. Inputs are random (or by formula), outputs are poisoned with NaN, never zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/storage.h"
#include "tests/support/compare.h"
#include "tests/support/tolerances.h"

struct CUstream_st;

namespace verace::laboratory {

using kernels::BFloat16;
using kernels::Half;

enum class ElementType { kFloat, kHalf, kBFloat16, kDouble, kInt64, kInt32, kUint32, kUint8 };

template <class T>
constexpr ElementType element_type() {
  if constexpr (std::is_same_v<T, float>) return ElementType::kFloat;
  if constexpr (std::is_same_v<T, Half>) return ElementType::kHalf;
  if constexpr (std::is_same_v<T, BFloat16>) return ElementType::kBFloat16;
  if constexpr (std::is_same_v<T, double>) return ElementType::kDouble;
  if constexpr (std::is_same_v<T, int64_t>) return ElementType::kInt64;
  if constexpr (std::is_same_v<T, int32_t>) return ElementType::kInt32;
  if constexpr (std::is_same_v<T, uint32_t>) return ElementType::kUint32;
  if constexpr (std::is_same_v<T, uint8_t>) return ElementType::kUint8;
}
const char* name_of(ElementType type);  // "fp32", "fp16", "bf16", "fp64", "int64" ...
size_t bytes_of(ElementType type);

// A tensor's bytes on the host, with what they are.
struct Values {
  std::string name;
  ElementType type = ElementType::kFloat;
  test::Tolerance tolerance;  // of an output; whole numbers are compared by bits
  std::vector<std::byte> bytes;

  int64_t count() const { return static_cast<int64_t>(bytes.size() / bytes_of(type)); }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

// Fills `bytes` with value(i), rounded to T where it is a storage type; on several threads.
template <class T, class F>
std::vector<std::byte> generate(int64_t count, const F& value) {
  std::vector<std::byte> bytes(static_cast<size_t>(count) * sizeof(T));
  T* const to = reinterpret_cast<T*>(bytes.data());
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (kernels::is_storage<T>) {
      to[i] = kernels::from_float<T>(static_cast<float>(value(i)));
    } else {
      to[i] = static_cast<T>(value(i));
    }
  }
  return bytes;
}

// Device memory, freed with its owner.
struct FreeDevice {
  void operator()(std::byte* p) const noexcept;
};
using DeviceBytes = std::unique_ptr<std::byte, FreeDevice>;
DeviceBytes device_bytes(size_t bytes);

// Blocks until the device is done; throws Error with the device's text if something failed.
void wait_for_device();

enum class Role { kInput, kInOut, kOutput, kScratch };

class DeviceTensors {
 public:
  template <class T>
  using Element = T;

  // Tensors start `shift` elements behind an aligned address.
  explicit DeviceTensors(int64_t shift) : shift_(shift) {}

  template <class T>
  T* put(Values values, Role role) {
    return reinterpret_cast<T*>(allocate(std::move(values), role));
  }

  // Lives as long as the tensors: for lists that arguments point to.
  template <class T>
  T& keep(T value) {
    auto kept = std::make_shared<T>(std::move(value));
    kept_.push_back(kept);
    return *kept;
  }

  // Inputs as they were, outputs and scratch poisoned, guards renewed.
  void reset();
  // Which input or guard has changed; empty: none.
  std::string damage() const;
  // The outputs, in the order in which they were declared.
  std::vector<Values> outputs() const;
  int64_t bytes() const;

 private:
  struct Tensor {
    Role role;
    size_t offset;  // of the first element behind the start of `memory`
    Values values;  // input: what it holds; output: its type, with no bytes kept
    size_t size;    // in bytes
    DeviceBytes memory;
  };
  std::byte* allocate(Values values, Role role);
  int64_t shift_;
  std::vector<Tensor> tensors_;
  std::vector<std::shared_ptr<void>> kept_;
};

// Storage types become float; all other types stay.
class HostTensors {
 public:
  template <class T>
  using Element = std::conditional_t<kernels::is_storage<T>, float, T>;

  template <class T>
  Element<T>* put(const Values& values, Role role) {
    Values kept{values.name, element_type<Element<T>>(), values.tolerance, {}};
    if constexpr (std::is_same_v<Element<T>, T>) {
      kept.bytes = values.bytes;
    } else {
      const T* from = values.as<T>().data();
      kept.bytes =
          generate<float>(values.count(), [&](int64_t i) { return kernels::to_float(from[i]); });
    }
    return reinterpret_cast<Element<T>*>(add(std::move(kept), role));
  }
  template <class T>
  T& keep(T value) {
    auto kept = std::make_shared<T>(std::move(value));
    kept_.push_back(kept);
    return *kept;
  }
  std::vector<Values> outputs() const;

 private:
  struct Tensor {
    Role role;
    Values values;
  };
  std::byte* add(Values values, Role role);
  std::vector<std::unique_ptr<Tensor>> tensors_;
  std::vector<std::shared_ptr<void>> kept_;
};

// --- what a problem's description calls; Memory is one of the two classes above

template <class T, class Memory, class F>
auto* input(Memory& memory, const char* name, int64_t count, const F& value) {
  return memory.template put<T>({name, element_type<T>(), {}, generate<T>(count, value)},
                                Role::kInput);
}

// Arithmetic's tolerance; the rounding to the storage type is added here.
template <class T>
test::Tolerance of_type(const test::Tolerance& arithmetic) {
  if constexpr (kernels::is_storage<T>) return test::stored_as<T>(arithmetic);
  return arithmetic;
}

template <class T, class Memory, class F>
auto* in_out(Memory& memory, const char* name, int64_t count, const F& value,
             const test::Tolerance& tolerance) {
  return memory.template put<T>(
      {name, element_type<T>(), of_type<T>(tolerance), generate<T>(count, value)}, Role::kInOut);
}

inline constexpr std::byte kPoison{0xff};  // NaN in all floating-point types, -1 in whole numbers

template <class T, class Memory>
auto* output(Memory& memory, const char* name, int64_t count, const test::Tolerance& tolerance) {
  std::vector<std::byte> bytes(static_cast<size_t>(count) * sizeof(T), kPoison);
  return memory.template put<T>({name, element_type<T>(), of_type<T>(tolerance), std::move(bytes)},
                                Role::kOutput);
}

template <class T, class Memory>
auto* scratch(Memory& memory, int64_t count) {
  std::vector<std::byte> bytes(static_cast<size_t>(count) * sizeof(T), kPoison);
  return memory.template put<T>({"scratch", element_type<T>(), {}, std::move(bytes)},
                                Role::kScratch);
}

}  // namespace verace::laboratory
