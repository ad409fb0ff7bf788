// Reads a graph as cudnn-frontend writes it down, and compares it with what was meant.
#include "tests/cudnn/graph_check.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace verace::test {
namespace {

using kernels::StorageType;
using kernels::cudnn::ConvPass;
using kernels::cudnn::ConvSpec;
using Json = nlohmann::json;
using Numbers = std::vector<int64_t>;

int64_t places(int64_t size, int64_t pad, int64_t filter, int64_t stride) {
  int64_t count = 0;
  for (int64_t first = -pad; first + filter <= size + pad; first += stride) ++count;
  return count;
}

class Checker {
 public:
  Checker(const std::string& json, const ConvSpec& meant) : graph_(Json::parse(json)), s_(meant) {}

  std::string errors() {
    convolution();
    for (const auto& [name, tensor] : graph_.at("tensors").items()) {
      if (!known_.contains(name)) error("unknown tensor " + name);
    }
    const size_t nodes =
        1u + (s_.post.bias ? 1 : 0) + (s_.post.add ? 1 : 0) + (s_.post.relu ? 1 : 0);
    if (graph_.at("nodes").size() != nodes) error("operations: " + graph_.at("nodes").dump());
    if (uids_.size() != known_.size()) error("two tensors have one number");
    return errors_;
  }

 private:
  void error(const std::string& text) { errors_ += (errors_.empty() ? "" : "; ") + text; }

  template <typename T>
  void equal(const std::string& what, const Json& got, const T& want) {
    if (got != Json(want)) error(what + " is " + got.dump() + ", not " + Json(want).dump());
  }

  Numbers x() const { return {s_.g.x.n, s_.g.x.c, s_.g.x.h, s_.g.x.w}; }
  Numbers w() const { return {s_.g.k, s_.g.x.c, s_.g.r, s_.g.s}; }
  Numbers y() const {
    return {s_.g.x.n, s_.g.k, places(s_.g.x.h, s_.g.pad_h, s_.g.r, s_.g.stride_h),
            places(s_.g.x.w, s_.g.pad_w, s_.g.s, s_.g.stride_w)};
  }

  std::string storage() const {
    return s_.type == StorageType::kHalf       ? "HALF"
           : s_.type == StorageType::kBFloat16 ? "BFLOAT16"
                                               : "FLOAT";
  }

  // The tensor `name` in memory, [n, h, w, c] packed, with number `uid`; 0: a value inside the
  // graph.
  void tensor(const std::string& name, int64_t uid, const Numbers& dims, const std::string& type) {
    known_.insert(name);
    if (!graph_.at("tensors").contains(name)) return error("no tensor " + name);
    const Json& t = graph_.at("tensors").at(name);
    uids_.insert(t.at("uid").get<int64_t>());
    equal(name + " dimensions", t.at("dim"), dims);
    const int64_t channel = 1, column = dims[1], row = dims[3] * column, picture = dims[2] * row;
    equal(name + " strides", t.at("stride"), Numbers{picture, channel, row, column});
    equal(name + " type", t.at("data_type"), type);
    equal(name + " is inside", t.at("is_virtual"), uid == 0);
    if (uid != 0) equal(name + " number", t.at("uid"), uid);
  }

  static std::string name_of(const Json& ports, const std::string& port) {
    return ports.is_object() && ports.contains(port) ? ports.at(port).get<std::string>() : "?";
  }

  void convolution() {
    const Json& node = graph_.at("nodes").at(0);
    const ConvSpec& s = s_;
    const Numbers padding = {s.g.pad_h, s.g.pad_w};
    equal("padding before", node.at("pre_padding"), padding);
    equal("padding after", node.at("post_padding"), padding);
    equal("stride", node.at("stride"), Numbers{s.g.stride_h, s.g.stride_w});
    equal("dilation", node.at("dilation"), Numbers{1, 1});
    equal("mode", node.at("math_mode"), "CROSS_CORRELATION");
    equal("sums", node.at("compute_data_type"), "FLOAT");
    const Json &in = node.at("inputs"), &out = node.at("outputs");
    switch (s.pass) {
      case ConvPass::kForward:
        equal("operation", node.at("tag"), "CONV_FPROP");
        tensor(name_of(in, "X"), 1, x(), storage());
        tensor(name_of(in, "W"), 2, w(), storage());
        return chain(name_of(out, "Y"));
      case ConvPass::kBackwardData:
        equal("operation", node.at("tag"), "CONV_DGRAD");
        tensor(name_of(in, "DY"), 3, y(), storage());
        tensor(name_of(in, "W"), 2, w(), storage());
        return tensor(name_of(out, "DX"), 1, x(), storage());
      case ConvPass::kBackwardFilter:
        equal("operation", node.at("tag"), "CONV_WGRAD");
        tensor(name_of(in, "DY"), 3, y(), storage());
        tensor(name_of(in, "X"), 1, x(), storage());
        return tensor(name_of(out, "DW"), 2, w(), storage());
    }
  }

  // What follows a forward convolution, whose result is `value`: bias, addition, ReLU, each with
  // the last result as its first input.
  void chain(std::string value) {
    size_t next = 1;
    const auto step = [&](const std::string& mode) -> const Json* {
      tensor(value, 0, y(), "FLOAT");
      if (graph_.at("nodes").size() <= next) return error("missing: " + mode), nullptr;
      const Json& node = graph_.at("nodes").at(next++);
      equal("operation", node.at("tag"), "POINTWISE");
      equal("mode", node.at("mode"), mode);
      equal("input of " + mode, name_of(node.at("inputs"), "IN_0"), value);
      equal("arithmetic of " + mode, node.at("compute_data_type"), "FLOAT");
      for (const char* limit : {"relu_lower_clip", "relu_upper_clip"}) {
        equal(limit, node.at(limit), nullptr);
      }
      const bool leaky = mode == "RELU_FWD" && s_.post.slope != 0.0f;
      equal("slope", node.at("relu_lower_clip_slope"), leaky ? Json(s_.post.slope) : Json());
      value = name_of(node.at("outputs"), "OUT_0");
      return &node;
    };
    if (s_.post.bias) {
      if (const Json* node = step("ADD")) {
        tensor(name_of(node->at("inputs"), "IN_1"), 4, {1, s_.g.k, 1, 1}, "FLOAT");
      }
    }
    if (s_.post.add) {
      if (const Json* node = step("ADD")) {
        tensor(name_of(node->at("inputs"), "IN_1"), 5, y(), storage());
      }
    }
    if (s_.post.relu) step("RELU_FWD");
    tensor(value, 3, y(), storage());
  }

  Json graph_;
  const ConvSpec& s_;
  std::set<std::string> known_;
  std::set<int64_t> uids_;
  std::string errors_;
};

}  // namespace

std::string graph_errors(const std::string& json, const ConvSpec& meant) {
  return Checker(json, meant).errors();
}

}  // namespace verace::test
