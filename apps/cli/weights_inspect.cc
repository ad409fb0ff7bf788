// verace weights inspect: what a weight file holds.

#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/inspect.h"

namespace verace::cli {
namespace {

struct WeightsInspectArguments {
  std::string file;
  weights::Overrides overrides;
  bool json = false, statistics = false;
};

int run(const Flags& flags, const WeightsInspectArguments& o) {
  flags.require("FILE", "name a weight file");
  const weights::WeightFile file(model_file(o.file).string());
  const weights::Inspection seen = weights::inspect(file, o.overrides);
  text::print(stdout, "{}",
              o.json ? weights::inspect_json(seen, o.statistics)
                     : weights::inspect_table(seen, o.statistics));
  return seen.is_usable() ? 0 : 1;
}

}  // namespace

Command inspect_command() {
  const auto options = std::make_shared<WeightsInspectArguments>();
  return {
      "weights inspect",
      "Show what a weight file holds and what it says about its network",
      "A file of another network can be looked at, too. The exit code is 0 if the other commands\n"
      "take the file, 1 if they refuse it (the last lines, or refusal and mismatch in JSON, say\n"
      "why; or its checksum is wrong), 2 if it cannot be read at all.",
      "  verace weights inspect RUN/last.safetensors\n"
      "  verace weights inspect resnet50.safetensors --statistics --json\n",
      [options](Flags& flags) {
        flags.argument("FILE", weight_file_help(), options->file);
        flags.toggle("--json", "Print JSON instead of a table", options->json);
        flags.toggle("--statistics", "Also minimum, maximum and mean of each tensor",
                     options->statistics);
        declare_overrides(flags, options->overrides);
      },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
