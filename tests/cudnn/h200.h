// What plans are made for without a GPU: a described H200, and each precision.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cudnn/conv_graph.h"
#include "tests/support/cudnn.h"

namespace verace::test {

// An H200 by NVIDIA's description of one, h200.json, which must be there and which cuDNN must
// understand. Nothing, and a line that says so, where cuDNN is missing.
inline std::optional<kernels::cudnn::Target> h200(const std::string& test) {
  if (const std::string reason = why_no_cudnn(); !reason.empty()) {
    skip_without_cudnn("cudnn/" + test, reason);
    return std::nullopt;
  }
  std::ifstream file(VERACE_H200);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  REQUIRE_MESSAGE(!text.empty(), "cannot be read: ", VERACE_H200);
  return kernels::cudnn::Target::described(text);
}

struct Precision {
  const char* name;
  kernels::StorageType type;
  bool tf32;
};
inline constexpr Precision kPrecisions[] = {{"fp32", kernels::StorageType::kFloat, false},
                                            {"tf32", kernels::StorageType::kFloat, true},
                                            {"fp16", kernels::StorageType::kHalf, false},
                                            {"bf16", kernels::StorageType::kBFloat16, false}};

// All passes and post-ops of a geometry.
inline std::vector<kernels::cudnn::ConvSpec> forms(const kernels::ConvGeometry& g,
                                                   const Precision& p) {
  using kernels::cudnn::ConvPass;
  std::vector<kernels::cudnn::ConvSpec> specs;
  for (int bits = 0; bits < 8; ++bits) {
    const kernels::ConvPostOps post{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    specs.push_back({ConvPass::kForward, g, post, p.type, p.tf32});
  }
  specs.push_back(
      {ConvPass::kForward, g, {.bias = true, .relu = true, .slope = 0.1f}, p.type, p.tf32});
  for (const ConvPass pass : {ConvPass::kBackwardData, ConvPass::kBackwardFilter}) {
    specs.push_back({pass, g, {}, p.type, p.tf32});
  }
  return specs;
}

}  // namespace verace::test
