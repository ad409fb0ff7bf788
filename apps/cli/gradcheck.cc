// verace gradcheck: the engine's gradients against differences.

#include <algorithm>
#include <memory>

#include "apps/cli/command_line.h"
#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/gradcheck/gradcheck.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct GradcheckArguments {
  DeviceFlags device;
  apps::GradcheckOptions check;
  bool json = false, all = false, quiet = false;
};

std::vector<std::string> fault_names() {
  std::vector<std::string> names;
  for (const apps::FaultDescription& fault : apps::fault_descriptions()) {
    names.emplace_back(fault.name);
  }
  return names;
}

void declare(Flags& flags, GradcheckArguments& o) {
  flags.value("--layer", "NAME",
              "A kind of layer (conv, batch_norm ...), network, or a layer of the network "
              "(default: everything)",
              into(o.check.layer));
  flags.value("--elements", "N",
              "Elements of each tensor: the largest, others at random; 0: all (default 100, in the "
              "network 4, of its pictures 20 times as many)",
              [&o](const std::string& text, const std::string& flag) {
                into(o.check.elements, 0, apps::kMostElements)(text, flag);
                o.check.network_elements = o.check.elements;
              });
  flags.value("--seed", "N", "Seed of weights, inputs and the elements that are drawn (default 1)",
              into(o.check.seed));
  flags.value("--plant", "FAULT",
              "Break the engine's gradients on purpose: a fault of the list below",
              into_choice(fault_names(),
                          [&o](size_t i) { o.check.fault = apps::fault_descriptions()[i].fault; }));
  flags.toggle("--all", "A row for each tensor of the network", o.all);
  flags.toggle("--json", "Print JSON instead of a table", o.json);
  flags.toggle("--quiet", "No notes", o.quiet);
  declare_device(flags, o.device);
}

int run(GradcheckArguments& o) {
  const engine::Device device =
      open_host_device(o.device, "gradcheck changes values in the midst of a step");
  o.check.exec = device.exec();
  const apps::GradcheckResult result = apps::run_gradcheck(o.check);
  text::print(stdout, "{}",
              o.json ? apps::gradcheck_json(result) : apps::gradcheck_text(result, o.all));
  return result.good() ? 0 : kExitInternal;
}

std::string details() {
  std::string text =
      "Each gradient of the engine (fp32) is compared with central differences of a second,\n"
      "slow implementation in double precision: every kind of layer, and the whole network,\n"
      "narrow. The exit code is 1 if a gradient is wrong, and also if one is not proven\n"
      "(ALL ZERO: no change shows). A fault that reaches nothing of --layer is refused. Kinds of\n"
      "layers:\n";
  text += text::join(apps::gradcheck_groups(), ", ") + ".\n\nFaults for --plant:\n";
  for (const apps::FaultDescription& fault : apps::fault_descriptions()) {
    text += text::format("  {:<21} {}\n", fault.name, fault.what);
  }
  text.pop_back();
  return text;
}

}  // namespace

Command gradcheck_command() {
  const auto options = std::make_shared<GradcheckArguments>();
  return {"gradcheck",
          "Check the engine's gradients against differences",
          details(),
          "  verace gradcheck\n"
          "  verace gradcheck --layer batch_norm --device reference\n"
          "  verace gradcheck --layer layer1.0.conv2 --elements 0\n"
          "  verace gradcheck --plant missing-accumulation\n",
          [options](Flags& flags) { declare(flags, *options); },
          [options](const Flags&) { return run(*options); }};
}

}  // namespace verace::cli
