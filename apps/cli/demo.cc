// verace demo: a small example from end to end.
#include "apps/lib/demo.h"

#include <iostream>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"

namespace verace::cli {
namespace {

struct Options {
  apps::DemoOptions demo;
  DeviceFlags device;
};

int run(Options& o) {
  if (o.demo.out.empty()) o.demo.out = apps::free_demo_folder();
  o.demo.device = choose_device(o.device.device, o.demo.quiet);
  o.demo.threads = o.device.threads;
  const apps::DemoResult result = apps::run_demo(o.demo, std::cout);
  return result.signal == 0 ? 0 : 128 + result.signal;
}

}  // namespace

Command demo_command() {
  const auto options = std::make_shared<Options>();
  return {
      "demo",
      "A small example from end to end, on pictures that it renders",
      "Trains a narrow ResNet-50, fine-tunes it on another task with frozen layers, evaluates,\n"
      "judges single pictures and attacks them. Needs no data and about a minute.",
      "  verace demo\n  verace demo --quick --out /tmp/demo\n",
      [options](Flags& flags) {
        flags.value("--out", "DIR", "Folder of the result (default runs/demo, runs/demo-2 ...)",
                    into(options->demo.out));
        flags.toggle("--quick", "Fewer pictures and epochs: a smaller accuracy",
                     options->demo.quick);
        flags.value("--seed", "N", "Of pictures and weights (default 1)", into(options->demo.seed));
        flags.toggle("--quiet", "No progress", options->demo.quiet);
        declare_device(flags, options->device);
      },
      [options](const Flags&) { return run(*options); }};
}

}  // namespace verace::cli
