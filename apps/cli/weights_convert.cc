// verace weights convert: a weight file of any format that we read, as one that we write.

#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/weights_convert.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct WeightsConvertArguments {
  std::string input;
  std::filesystem::path out;
  std::optional<apps::WeightsFormat> to;
  weights::Overrides overrides;
  bool keep_conv_biases = false, quiet = false;
};

void declare(Flags& flags, WeightsConvertArguments& o) {
  flags.argument("INPUT", weight_file_help(), o.input);
  flags.value("--out", "FILE", "The new file; it must not exist yet", into(o.out));
  flags.value("--to", "FORMAT", "safetensors or pth (default: by the end of FILE)",
              into_choice({"safetensors", "pth"},
                          [&o](size_t i) { o.to = static_cast<apps::WeightsFormat>(i); }));
  flags.toggle("--keep-conv-bias",
               "Store biases of convolutions (Keras) instead of folding them into the batch norms",
               o.keep_conv_biases);
  flags.toggle("--quiet", "No notes", o.quiet);
  declare_overrides(flags, o.overrides);
}

apps::WeightsFormat format_by_name(const std::filesystem::path& out) {
  const std::string end = out.extension().string();
  if (end == ".safetensors") return apps::WeightsFormat::kSafetensors;
  if (end == ".pth" || end == ".pt") return apps::WeightsFormat::kPth;
  fail_input(
      text::format("--out {}: its name does not tell the format: add --to safetensors or "
                   "--to pth",
                   out.string()));
}

// Of a pixel x from 0 to 255 (kernels/choices.h).
const char* input_formula(engine::InputScale scale) {
  switch (scale) {
    case engine::InputScale::kTorch:
      return "RGB as (x/255 - mean) / deviation, those of ImageNet";
    case engine::InputScale::kCaffe:
      return "BGR as x - (103.939, 116.779, 123.68)";
    case engine::InputScale::kCaffeRounded:
      return "BGR as x - (104, 117, 123)";
    case engine::InputScale::kTf:
      return "RGB as x/127.5 - 1";
    case engine::InputScale::kUnit:
      return "RGB as x/255";
  }
  fail_check("scale is in its enum", __FILE__, __LINE__, "");
}

void say_notes(const apps::Converted& converted, apps::WeightsFormat to) {
  const weights::ModelDescription& d = converted.description;
  for (const weights::Finding& finding : d.findings) {
    if (finding.source == weights::Source::kAssumption)
      text::print(stderr, "ASSUMPTION: {} = {} ({})\n", finding.what, finding.value, finding.why);
  }
  if (converted.folded_biases > 0) {
    text::print(stderr, "note: the biases of {} convolutions are in the batch norms' means now\n",
                converted.folded_biases);
  }
  if (converted.left_out > 0) {
    text::print(stderr, "note: {} tensors of an optimiser are left out\n", converted.left_out);
  }
  const weights::FamilyDefaults& usual = weights::defaults_of(weights::NameFamily::kTorchvision);
  if (to != apps::WeightsFormat::kPth) return;
  if (d.variant != usual.variant || d.pool != usual.pool || d.bn_epsilon != usual.bn_epsilon) {
    text::print(stderr,
                "note: torchvision's resnet50() computes variant {}, pool {}, epsilon {}; this "
                "network is {}, {}, {}: set them in PyTorch\n",
                engine::to_string(usual.variant), engine::to_string(usual.pool), usual.bn_epsilon,
                engine::to_string(d.variant), engine::to_string(d.pool), d.bn_epsilon);
  }
  if (d.input_scale != usual.input_scale) {
    text::print(stderr, "note: torchvision's networks take {}; this one takes {}\n",
                input_formula(usual.input_scale), input_formula(d.input_scale));
  }
}

int run(const Flags& flags, const WeightsConvertArguments& o) {
  flags.require("INPUT", "name a weight file");
  flags.require("--out", "name the new file");
  check_output_file({"--out", o.out, {}, {}});
  const apps::WeightsFormat to = o.to ? *o.to : format_by_name(o.out);
  std::error_code error;
  if (std::filesystem::exists(o.out, error)) {
    fail_input(text::format("--out {}: the file exists: name another one", o.out.string()));
  }
  const apps::Converted converted = apps::convert_weights(
      {model_file(o.input).string(), o.out.string(), to, o.overrides, o.keep_conv_biases});
  if (!o.quiet) say_notes(converted, to);
  text::print(stdout, "{}: {} tensors as {}\n", o.out.string(), converted.tensors,
              to == apps::WeightsFormat::kPth ? "PyTorch .pth" : "safetensors");
  return 0;
}

}  // namespace

Command convert_command() {
  const auto options = std::make_shared<WeightsConvertArguments>();
  return {"weights convert",
          "Write a weight file in another format",
          "INPUT's format is chosen by its content. Its names may be those of torchvision, timm,\n"
          "Hugging Face or Keras; what is written has torchvision's names and layout.\n"
          "What had to be assumed is printed, and stands in the new file's metadata.",
          "  verace weights convert resnet50_notop.h5 --out resnet50.safetensors\n"
          "  verace weights convert RUN --out model.pth\n"
          "  verace weights convert model.h5 --input-scale unit --out model.safetensors\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
