// verace weights diff: what training has changed, layer by layer.

#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "kernels/format.h"
#include "weights/diff.h"

namespace verace::cli {
namespace {

struct WeightsDiffArguments {
  std::string before, after;
  weights::Overrides overrides;  // of both
  bool json = false;
};

int run(const Flags& flags, const WeightsDiffArguments& o) {
  flags.require("BEFORE", "name two weight files");
  flags.require("AFTER", "name a second weight file");
  const weights::WeightFile a(model_file(o.before).string()), b(model_file(o.after).string());
  const weights::Difference difference =
      weights::compare(a, weights::describe(a, o.overrides), b, weights::describe(b, o.overrides));
  text::print(
      stdout, "{}",
      o.json ? weights::diff_json(a, b, difference) : weights::diff_table(a, b, difference));
  return 0;
}

}  // namespace

Command diff_command() {
  const auto options = std::make_shared<WeightsDiffArguments>();
  return {"weights diff",
          "Show what has changed between two weight files, layer by layer",
          "For every layer: the change's length relative to the weights' (Euclidean norm), the\n"
          "largest change of one value, and the cosine between before and after. Runs of layers\n"
          "that did not change, as frozen ones, are one line. A head of another shape is shown as\n"
          "replaced; different networks are refused. Flags about the network hold for both files.",
          "  verace weights diff resnet50.safetensors RUN\n"
          "  verace weights diff RUN1 RUN2/last.safetensors --json\n",
          [options](Flags& flags) {
            flags.argument("BEFORE", weight_file_help(), options->before);
            flags.argument("AFTER", weight_file_help(), options->after);
            flags.toggle("--json", "Print JSON instead of a table", options->json);
            declare_backbone_overrides(flags, options->overrides);
          },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
