// Every convolution that a step can ask for gets a cuDNN plan for an H200: proven without a GPU,
// from NVIDIA's description of one. Writes the list of plans to the file VERACE_CUDNN_PLANS.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>

#include "kernels/check.h"
#include "kernels/cudnn/conv_graph.h"
#include "kernels/dynamic_library.h"
#include "tests/cudnn/graph_check.h"
#include "tests/cudnn/recorded_convolutions.h"
#include "tests/kernels/conv2d_cases.h"
#include "tests/support/device_memory.h"

namespace verace::test {
namespace {

using kernels::ConvGeometry;
using kernels::ConvPostOps;
using kernels::StorageType;
using kernels::cudnn::ConvGraph;
using kernels::cudnn::ConvPass;
using kernels::cudnn::ConvSpec;
using kernels::cudnn::Target;

// ---- The networks ------------------------------------------------------------------------------

const std::vector<NetworkShape>& networks() {
  static const std::vector<NetworkShape> all = {
      {engine::Variant::kV1, 224, 64},
      {engine::Variant::kV15, 224, 64},
      {engine::Variant::kV15, 64, 16},  // the demonstration's
  };
  return all;
}

const std::vector<RecordedStep>& steps_of(const NetworkShape& shape) {
  static std::map<std::string, std::vector<RecordedStep>> known;
  const std::string key = std::string(to_string(shape.variant)) + std::to_string(shape.input_size);
  if (!known.contains(key)) known[key] = recorded_steps(shape);
  return known[key];
}

// Tensor cores take channels by eights, and pictures have three: also with channels of zeros.
void add_padded_channels(std::vector<RecordedConvolution>& convolutions) {
  for (size_t i = 0, n = convolutions.size(); i < n; ++i) {
    RecordedConvolution padded = convolutions[i];
    if (padded.g.x.c % 8 == 0) continue;
    padded.g.x.c = (padded.g.x.c + 7) / 8 * 8;
    padded.steps = {"channels padded"};
    convolutions.push_back(padded);
  }
}

// What all networks together ask for, each once.
std::vector<RecordedConvolution> wanted() {
  std::vector<RecordedStep> steps;
  for (const NetworkShape& shape : networks()) {
    const std::string name =
        std::string(to_string(shape.variant)) + " " + std::to_string(shape.input_size) + " px: ";
    for (RecordedStep step : steps_of(shape)) {
      for (RecordedConvolution& c : step.convolutions) c.steps = {name + step.name};
      step.name = name + step.name;
      steps.push_back(std::move(step));
    }
  }
  std::vector<RecordedConvolution> result = distinct(steps);
  add_padded_channels(result);
  return result;
}

// ---- cuDNN
// ---------------------------------------------------------------------------------------

// cuDNN proposes engines that it compiles at run time only where there is a driver's library; the
// toolkit has a stub of it, which will do until one is built.
void load_driver_or_stub() {
  std::vector<std::string> folders;
  if (const char* stubs = std::getenv("VERACE_CUDA_STUBS")) folders.push_back(stubs);
  try {
    kernels::DynamicLibrary("NVIDIA's driver", "libcuda.so.1", {});
  } catch (const Error&) {
    kernels::DynamicLibrary("the driver's stub", "libcuda.so", folders);
  }
}

// Says that a case did not run, and why.
void note_skipped(const std::string& test_case, const Error& error) {
  std::printf("SKIPPED cudnn/plans_test %s: %s\n", test_case.c_str(), error.what());
}

// Nothing, and a line that says so, where cuDNN is missing.
std::optional<Target> h200(const std::string& test_case) {
  try {
    std::ifstream file(VERACE_H200);
    return Target::described(std::string(std::istreambuf_iterator<char>(file), {}));
  } catch (const Error& error) {
    note_skipped(test_case, error);
    return std::nullopt;
  }
}

struct Precision {
  const char* name;
  StorageType type;
  bool tf32;
};
constexpr Precision kPrecisions[] = {{"fp32", StorageType::kFloat, false},
                                     {"tf32", StorageType::kFloat, true},
                                     {"fp16", StorageType::kHalf, false},
                                     {"bf16", StorageType::kBFloat16, false}};
constexpr int64_t kBatches[] = {1, 64, 256};

ConvSpec spec_of(const RecordedConvolution& c, int64_t batch, const Precision& precision) {
  ConvSpec spec{c.pass, c.g, c.post, precision.type, precision.tf32};
  spec.g.x.n = batch;
  return spec;
}

// ---- The steps
// -----------------------------------------------------------------------------------

const RecordedStep& step_of(const NetworkShape& shape, const std::string& name) {
  const std::vector<RecordedStep>& steps = steps_of(shape);
  const auto found =
      std::ranges::find_if(steps, [&](const RecordedStep& step) { return step.name == name; });
  REQUIRE_MESSAGE(found != steps.end(), name);
  return *found;
}

int64_t count(const RecordedStep& step, ConvPass pass) {
  return std::ranges::count_if(step.convolutions,
                               [&](const RecordedConvolution& c) { return c.pass == pass; });
}

TEST_CASE("the steps ask for the convolutions that they must have") {
  // Multiplications and additions of all 53 convolutions, 224 pixels (He et al. 2016, table 1, and
  // torchvision's documentation, without the dense layer's 2 million).
  for (const auto& [variant, giga] :
       {std::pair{engine::Variant::kV1, 3.856}, std::pair{engine::Variant::kV15, 4.087}}) {
    const NetworkShape shape{variant, 224, 64};
    const RecordedStep& inference = step_of(shape, "inference");
    CHECK(count(inference, ConvPass::kForward) == 53);
    CHECK(inference.convolutions.size() == 53);
    double flops = 0.0;
    for (const RecordedConvolution& c : inference.convolutions) {
      flops += static_cast<double>(c.g.flops());
      CHECK(c.post.bias);  // the folded batch norm
    }
    CHECK(flops / 2e9 == doctest::Approx(giga).epsilon(0.001));
    const RecordedStep& attack = step_of(shape, "attack");
    CHECK(count(attack, ConvPass::kForward) == 53);
    CHECK(count(attack, ConvPass::kBackwardData) == 53);
    CHECK(count(attack, ConvPass::kBackwardFilter) == 0);
    const RecordedStep& all = step_of(shape, "training --freeze none");
    CHECK(count(all, ConvPass::kForward) == 53);
    CHECK(count(all, ConvPass::kBackwardData) == 52);  // nobody wants the pictures' gradient
    CHECK(count(all, ConvPass::kBackwardFilter) == 53);
    const RecordedStep& head = step_of(shape, "training --freeze backbone");
    CHECK(head.convolutions.size() == 53);
    const RecordedStep& stages = step_of(shape, "training --freeze stages:2");
    CHECK(count(stages, ConvPass::kForward) == 53);
    CHECK(count(stages, ConvPass::kBackwardFilter) == 29);  // stage 3: 19, stage 4: 10
    CHECK(count(stages, ConvPass::kBackwardData) == 27);    // not through stage 3's two entries
  }
}

// ---- The graphs
// ----------------------------------------------------------------------------------

// All passes and post-ops of a geometry.
std::vector<ConvSpec> forms(const ConvGeometry& g, const Precision& p) {
  std::vector<ConvSpec> specs;
  for (int bits = 0; bits < 8; ++bits) {
    const ConvPostOps post{(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0};
    specs.push_back({ConvPass::kForward, g, post, p.type, p.tf32});
  }
  for (const ConvPass pass : {ConvPass::kBackwardData, ConvPass::kBackwardFilter}) {
    specs.push_back({pass, g, {}, p.type, p.tf32});
  }
  return specs;
}

// Sizes of which no two are equal, so that nothing can be exchanged unseen.
std::vector<ConvSpec> lopsided_specs() {
  std::vector<ConvSpec> specs;
  const ConvGeometry lopsided[] = {{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2},
                                   {{3, 10, 14, 8}, 24, 1, 1, 1, 2, 0, 0},
                                   {{2, 9, 22, 8}, 64, 7, 4, 2, 1, 3, 0}};
  for (const ConvGeometry& g : lopsided) {
    for (const Precision& p : kPrecisions) {
      const std::vector<ConvSpec> more = forms(g, p);
      specs.insert(specs.end(), more.begin(), more.end());
    }
  }
  return specs;
}

TEST_CASE("a graph says what was meant, of pictures and filters that are not square") {
  const std::optional<Target> target = h200("graphs");
  if (!target) return;
  for (const ConvSpec& spec : lopsided_specs()) {
    INFO(to_string(spec));
    CHECK(graph_errors(ConvGraph(*target, spec).json(), spec) == "");
  }
}

using Change = std::function<void(ConvSpec&)>;

// The graph of a convolution that was changed behind the check's back.
bool passes(const Target& target, const ConvSpec& meant, const Change& change) {
  ConvSpec built = meant;
  change(built);
  return graph_errors(ConvGraph(target, built).json(), meant).empty();
}

TEST_CASE("planted faults: another geometry") {
  const std::optional<Target> target = h200("planted geometries");
  if (!target) return;
  const std::pair<const char*, Change> faults[] = {
      {"height and width exchanged", [](auto& s) { std::swap(s.g.x.h, s.g.x.w); }},
      {"strides exchanged", [](auto& s) { std::swap(s.g.stride_h, s.g.stride_w); }},
      {"stride 1", [](auto& s) { s.g.stride_h = s.g.stride_w = 1; }},
      {"no padding", [](auto& s) { s.g.pad_h = s.g.pad_w = 0; }},
      {"padding exchanged", [](auto& s) { std::swap(s.g.pad_h, s.g.pad_w); }},
      {"filter turned", [](auto& s) { std::swap(s.g.r, s.g.s); }},
      {"channels and filters exchanged", [](auto& s) { std::swap(s.g.x.c, s.g.k); }},
      {"half of the batch", [](auto& s) { s.g.x.n /= 2; }},
      {"another storage type",
       [](auto& s) {
         s.tf32 = false;
         s.type = s.type == StorageType::kHalf ? StorageType::kBFloat16 : StorageType::kHalf;
       }},
      {"gradients exchanged",
       [](auto& s) {
         s.post = {};
         s.pass = s.pass == ConvPass::kBackwardFilter ? ConvPass::kBackwardData
                                                      : ConvPass::kBackwardFilter;
       }},
  };
  const ConvGeometry g{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2};
  for (const Precision& p : kPrecisions) {
    for (const ConvPass pass :
         {ConvPass::kForward, ConvPass::kBackwardData, ConvPass::kBackwardFilter}) {
      ConvSpec spec{pass, g, {}, p.type, p.tf32};
      if (pass == ConvPass::kForward) spec.post = {true, true, true};
      INFO(to_string(spec));
      CHECK(passes(*target, spec, [](auto&) {}));
      for (const auto& [name, change] : faults) {
        CHECK_MESSAGE(!passes(*target, spec, change), "planted fault went unnoticed: ", name);
      }
    }
  }
  const ConvSpec fused{ConvPass::kForward, g, {true, true, true}, StorageType::kHalf, false};
  CHECK(!passes(*target, fused, [](auto& s) { s.post.bias = false; }));
  CHECK(!passes(*target, fused, [](auto& s) { s.post.add = false; }));
  CHECK(!passes(*target, fused, [](auto& s) { s.post.relu = false; }));
  const ConvSpec plain{ConvPass::kForward, g, {}, StorageType::kHalf, false};
  CHECK(!passes(*target, plain, [](auto& s) { s.post.relu = true; }));
}

// `text` with the first `from` after `place` replaced.
std::string replaced(const std::string& text, const std::string& place, const std::string& from,
                     const std::string& to) {
  const size_t start = text.find(place);
  REQUIRE_MESSAGE(start != std::string::npos, place);
  const size_t at = text.find(from, start);
  REQUIRE_MESSAGE(at != std::string::npos, from);
  return text.substr(0, at) + to + text.substr(at + from.size());
}

TEST_CASE("planted faults: another layout or other operations") {
  const std::optional<Target> target = h200("planted layouts");
  if (!target) return;
  const ConvGeometry g{{2, 12, 20, 16}, 32, 3, 5, 2, 3, 1, 2};  // output 6 x 7
  const ConvSpec spec{ConvPass::kForward, g, {true, true, true}, StorageType::kHalf, false};
  const std::string json = ConvGraph(*target, spec).json();
  CHECK(graph_errors(json, spec) == "");
  const struct {
    const char *name, *place, *from, *to;
  } faults[] = {
      {"channels first: x", "\"x\":{", "[3840,1,320,16]", "[3840,240,20,1]"},
      {"channels first: w", "\"w\":{", "[240,1,80,16]", "[240,15,5,1]"},
      {"channels first: y", "\"y\":{", "[1344,1,224,32]", "[1344,42,7,1]"},
      {"channels first: addition", "\"a\":{", "[1344,1,224,32]", "[1344,42,7,1]"},
      {"convolution turned", "\"nodes\"", "CROSS_CORRELATION", "CONVOLUTION"},
      {"dilation", "\"nodes\"", "\"dilation\":[1,1]", "\"dilation\":[1,2]"},
      {"padding after", "\"nodes\"", "\"post_padding\":[1,2]", "\"post_padding\":[1,1]"},
      {"half precision sums", "\"nodes\"", "\"compute_data_type\":\"FLOAT\"",
       "\"compute_data_type\":\"HALF\""},
      {"the sum inside is rounded", "\"convolution::Y\":{", "\"FLOAT\"", "\"HALF\""},
      {"bias of the storage type", "\"b\":{", "\"FLOAT\"", "\"HALF\""},
      {"a value inside becomes an output", "\"bias::OUT_0\":{", "\"is_virtual\":true",
       "\"is_virtual\":false"},
      {"the output is inside", "\"y\":{", "\"is_virtual\":false", "\"is_virtual\":true"},
      {"numbers exchanged", "\"x\":{", "\"uid\":1", "\"uid\":2"},
      {"product instead of sum", "\"name\":\"bias\"", "POINTWISE", "REDUCTION"},
      {"addition reads the convolution", "\"name\":\"convolution\"", "\"IN_0\":\"bias::OUT_0\"",
       "\"IN_0\":\"convolution::Y\""},
      {"clipped ReLU", "\"name\":\"relu\"", "\"relu_upper_clip\":null", "\"relu_upper_clip\":6.0"},
  };
  for (const auto& fault : faults) {
    CHECK_MESSAGE(graph_errors(replaced(json, fault.place, fault.from, fault.to), spec) != "",
                  "planted fault went unnoticed: ", std::string(fault.name));
  }
}

// ---- The plans
// -----------------------------------------------------------------------------------

std::string bytes_text(int64_t bytes) {
  if (bytes < 10'000) return std::to_string(bytes) + " B";
  if (bytes < 10'000'000) return std::to_string(bytes / 1000) + " kB";
  return std::to_string(bytes / 1'000'000) + " MB";
}

std::string cell(const ConvGraph::Plan& plan) {
  return "`" + plan.engine + "` " + (plan.built ? bytes_text(plan.workspace_bytes) : "compiled") +
         " (" + std::to_string(plan.candidates) + ")";
}

// "forward+bias 56x56x64 -> 56x56x256, 1x1/1 pad 0": without batch and precision.
std::string row_name(const RecordedConvolution& c) {
  std::string text = to_string(spec_of(c, 1, kPrecisions[0]));
  for (const char* part : {" fp32 1x", " -> 1x"}) {
    const size_t at = text.find(part);
    REQUIRE(at != std::string::npos);
    text.replace(at, std::string(part).size(),
                 std::string(part).starts_with(" fp32") ? " " : " -> ");
  }
  return text;
}

class Report {
 public:
  explicit Report(size_t convolutions) {
    text_
        << "# cuDNN's plans for an NVIDIA H200\n\nWritten by `cudnn/plans_test`, without a GPU, by "
           "cuDNN "
        << kernels::cudnn::version() << ": " << convolutions
        << " convolutions, at three batch sizes.\n\nEach cell: the engine with its settings as "
           "cuDNN numbers them, the bytes of its workspace, and how many engines could do it. "
           "\"Compiled\" engines are compiled where the device is; here it is only known that "
           "cuDNN would. fp32: no tensor cores.\n";
  }
  void precision(const char* name) {
    text_ << "\n## " << name
          << "\n\n| convolution | batch 1 | batch 64 | batch 256 |\n|---|---|---|---|\n";
  }
  void row(const RecordedConvolution& c, const std::vector<std::string>& cells) {
    text_ << "| " << row_name(c);
    for (const std::string& cell : cells) text_ << " | " << cell;
    text_ << " |\n";
  }
  void askers(const std::vector<RecordedConvolution>& convolutions) {
    text_ << "\n## Who asks for them\n\n| convolution | first step | steps |\n|---|---|---|\n";
    for (const RecordedConvolution& c : convolutions) {
      text_ << "| " << row_name(c) << " | " << c.steps.front() << " | " << c.steps.size() << " |\n";
    }
  }
  void write() const {
    const char* path = std::getenv("VERACE_CUDNN_PLANS");
    if (path == nullptr) return;
    std::ofstream(path) << text_.str();
  }

 private:
  std::ostringstream text_;
};

struct Outcome {
  std::string errors;  // of the graph, or why there is no plan
  ConvGraph::Plan plan;
};

Outcome plan(const Target& target, const ConvSpec& spec) {
  Outcome outcome;
  try {
    ConvGraph graph(target, spec);
    outcome.errors = graph_errors(graph.json(), spec);
    graph.plan();
    outcome.plan = graph.chosen();
    if (outcome.plan.built && graph.serialise().empty()) outcome.errors += "nothing to store";
  } catch (const std::exception& error) {
    outcome.errors = error.what();
  }
  return outcome;
}

TEST_CASE("every convolution of every step has a plan for an H200") {
  const std::optional<Target> target = h200("plans");
  if (!target) return;
  try {
    load_driver_or_stub();
  } catch (const Error& error) {
    return note_skipped("plans", error);
  }
  const std::vector<RecordedConvolution> convolutions = wanted();
  CHECK(convolutions.size() > 100);
  std::vector<ConvSpec> specs;
  for (const Precision& precision : kPrecisions) {
    for (const RecordedConvolution& c : convolutions) {
      for (const int64_t batch : kBatches) specs.push_back(spec_of(c, batch, precision));
    }
  }
  std::vector<Outcome> outcomes(specs.size());
#pragma omp parallel for schedule(dynamic, 16)
  for (size_t i = 0; i < specs.size(); ++i) outcomes[i] = plan(*target, specs[i]);

  int64_t built = 0, compiled = 0, tensor_cores = 0, may_use_them = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    INFO(to_string(specs[i]));
    const Outcome& outcome = outcomes[i];
    CHECK(outcome.errors == "");
    CHECK(outcome.plan.engine.starts_with("eng"));
    CHECK(outcome.plan.candidates > 0);
    CHECK(outcome.plan.built != outcome.plan.runtime_compiled);
    CHECK(outcome.plan.workspace_bytes >= 0);
    CHECK(outcome.plan.deterministic);
    (outcome.plan.built ? built : compiled) += 1;
    if (specs[i].type == StorageType::kFloat && !specs[i].tf32) {
      CHECK(!outcome.plan.tensor_cores);
    } else {
      ++may_use_them;
      tensor_cores += outcome.plan.tensor_cores ? 1 : 0;
    }
  }
  CHECK(tensor_cores > may_use_them * 9 / 10);
  Report report(convolutions.size());
  auto outcome = outcomes.begin();
  for (const Precision& precision : kPrecisions) {
    report.precision(precision.name);
    for (const RecordedConvolution& c : convolutions) {
      std::vector<std::string> cells;
      for (size_t i = 0; i < std::size(kBatches); ++i) cells.push_back(cell((outcome++)->plan));
      report.row(c, cells);
    }
  }
  report.askers(convolutions);
  report.write();
  std::printf(
      "%zu convolutions: %ld plans built, %ld chosen to be compiled on the device; of %ld in "
      "tf32, fp16 and bf16 %ld use tensor cores\n",
      convolutions.size(), static_cast<long>(built), static_cast<long>(compiled),
      static_cast<long>(may_use_them), static_cast<long>(tensor_cores));
}

TEST_CASE("what the tests of convolutions run on a GPU has a plan, too") {
  const std::optional<Target> target = h200("test geometries");
  if (!target) return;
  try {
    load_driver_or_stub();
  } catch (const Error& error) {
    return note_skipped("test geometries", error);
  }
  const auto expect_plans = [&](const ConvGeometry& g, const Precision& precision) {
    for (const ConvSpec& spec : forms(g, precision)) {
      INFO(to_string(spec));
      CHECK(plan(*target, spec).errors == "");
    }
  };
  for (const ConvGeometry& g : geometries()) expect_plans(g, kPrecisions[0]);
  for (const ConvGeometry& g : geometries_by_eights()) {
    for (const Precision& precision : kPrecisions) expect_plans(g, precision);
  }
}

TEST_CASE("where there is no GPU, a convolution for one is refused in one line") {
  if (cuda_is_present()) return;
  const ConvGeometry g{{1, 8, 8, 8}, 8, 3, 3, 1, 1, 1, 1};
  try {
    kernels::plan_conv_forward<kernels::Half>({kernels::DeviceKind::kCuda}, g);
    FAIL("planned for a GPU that is not there");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kInput);
    CHECK(std::string(error.what()).starts_with("cuDNN"));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
  }
}

TEST_CASE("a description that cuDNN does not understand is refused in one line") {
  if (!h200("description")) return;
  for (const char* text : {"", "{}", "{\"deviceVer\":900}", "not JSON"}) {
    try {
      Target::described(text);
      FAIL("accepted: ", std::string(text));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kInput);
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace verace::test
