// The spelling tables of the network's choices.
#include "engine/network_options.h"

#include <span>
#include <string>

#include "kernels/check.h"

namespace verace::engine {
namespace {

template <typename Enum>
struct Spelling {
  Enum value;
  std::string_view text;
};

constexpr Spelling<Variant> kVariants[] = {{Variant::kV1, "v1"}, {Variant::kV15, "v1.5"}};
constexpr Spelling<PoolMode> kPoolModes[] = {{PoolMode::kPadded, "padded"},
                                             {PoolMode::kCeil, "ceil"}};
constexpr Spelling<InputScale> kInputScales[] = {{InputScale::kCaffe, "caffe"},
                                                 {InputScale::kTorch, "torch"},
                                                 {InputScale::kTf, "tf"},
                                                 {InputScale::kUnit, "unit"},
                                                 {InputScale::kCaffeRounded, "caffe-rounded"}};
constexpr Spelling<RunningVariance> kRunningVariances[] = {{RunningVariance::kUnbiased, "unbiased"},
                                                           {RunningVariance::kBiased, "biased"},
                                                           {RunningVariance::kKeras2, "keras2"}};

template <typename Enum, size_t n>
std::string_view spell(const Spelling<Enum> (&table)[n], Enum value) {
  for (const auto& row : table) {
    if (row.value == value) return row.text;
  }
  VERACE_CHECK(false, "a value outside its enum");
  return {};
}

template <typename Enum, size_t n>
Enum parse(const Spelling<Enum> (&table)[n], std::string_view text, std::string_view where,
           const char* subject) {
  std::string choices;
  for (const auto& row : table) {
    if (row.text == text) return row.value;
    choices += (choices.empty() ? "" : ", ") + std::string(row.text);
  }
  fail_input(std::string(where) + ": '" + std::string(text) + "' is not " + subject +
             ": use one of " + choices);
}

}  // namespace

std::string_view to_string(Variant value) { return spell(kVariants, value); }
std::string_view to_string(PoolMode value) { return spell(kPoolModes, value); }
std::string_view to_string(InputScale value) { return spell(kInputScales, value); }
std::string_view to_string(RunningVariance value) { return spell(kRunningVariances, value); }

Variant parse_variant(std::string_view text, std::string_view where) {
  return parse(kVariants, text, where, "a ResNet-50 variant");
}
PoolMode parse_pool_mode(std::string_view text, std::string_view where) {
  return parse(kPoolModes, text, where, "a pooling mode");
}
InputScale parse_input_scale(std::string_view text, std::string_view where) {
  return parse(kInputScales, text, where, "an input scale");
}
RunningVariance parse_running_variance(std::string_view text, std::string_view where) {
  return parse(kRunningVariances, text, where, "a running-variance convention");
}

}  // namespace verace::engine
