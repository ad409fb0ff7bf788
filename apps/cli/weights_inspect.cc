// verace weights inspect: what a weight file holds.

#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/inspect.h"

namespace verace::cli {
namespace {

struct Options {
  std::string file;
  weights::Overrides overrides;
  bool json = false, statistics = false;
};

int run(const Flags& flags, const Options& o) {
  flags.require("FILE", "name a weight file");
  const weights::WeightFile file(o.file);
  std::optional<weights::ModelDescription> description;
  try {
    description = weights::describe(file, o.overrides);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    // A file of another network can be looked at as well.
    text::print(stderr, "note: {}\n", e.what());
  }
  const weights::ModelDescription* network = description ? &*description : nullptr;
  text::print(stdout, "{}",
              o.json ? weights::inspect_json(file, network, o.statistics)
                     : weights::inspect_table(file, network, o.statistics));
  return 0;
}

}  // namespace

Command inspect_command() {
  const auto options = std::make_shared<Options>();
  return {"weights inspect",
          "Show what a weight file holds and what it says about its network",
          "",
          "  verace weights inspect RUN/best.safetensors\n"
          "  verace weights inspect resnet50.safetensors --statistics --json\n",
          [options](Flags& flags) {
            flags.argument("FILE", "A weight file: safetensors or its index, .pth, .h5",
                           options->file);
            flags.toggle("--json", "Print JSON instead of a table", options->json);
            flags.toggle("--statistics", "Also minimum, maximum and mean of each tensor",
                         options->statistics);
            declare_overrides(flags, options->overrides);
          },
          [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
