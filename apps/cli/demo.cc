// verace demo: an example from end to end.
#include "apps/lib/demo.h"

#include <iostream>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/report/report.h"

namespace verace::cli {
namespace {

struct DemoArguments {
  apps::DemoOptions demo;
  DeviceFlags device;
};

int run(DemoArguments& o) {
  if (o.demo.out.empty()) o.demo.out = apps::free_demo_folder();
  o.demo.device = choose_device(o.device, o.demo.quiet);
  o.demo.threads = o.device.threads;
  o.demo.launch = o.device.launch.value_or(o.demo.launch);
  o.demo.plans = o.device.plans.value_or(o.demo.plans);
  const apps::DemoResult result = apps::run_demo(o.demo, std::cout);
  if (result.signal == 0) apps::report::write_report_or_warn(o.demo.out, std::cout);
  return result.signal == 0 ? 0 : 128 + result.signal;
}

}  // namespace

Command demo_command() {
  const auto options = std::make_shared<DemoArguments>();
  return {
      "demo",
      "An example from end to end, on faces that it draws (or on yours)",
      "Trains a narrow ResNet-50 on synthetic faces, fine-tunes it with frozen layers to find "
      "fakes,\n"
      "evaluates by face and by video, judges single pictures, attacks them, and leaves "
      "report.html.\n"
      "Needs no data and about two minutes. With --data and --weights the same is done with real "
      "faces and a real\n"
      "network: its head, epochs and learning rate are the report's, and take their time.",
      "  verace demo\n  verace demo --quick --out runs/quick\n"
      "  verace demo --data DIR --weights resnet50.safetensors\n",
      [options](Flags& flags) {
        flags.value("--out", "DIR", "Folder of the result (default runs/demo, runs/demo-2 ...)",
                    into(options->demo.out));
        flags.value("--data", "DIR", "Real faces instead of drawn ones: as for verace train",
                    into(options->demo.data));
        flags.value("--weights", "FILE", "A ResNet-50 to start from instead of a narrow network",
                    into(options->demo.weights));
        flags.toggle("--quick", "Fewer pictures and epochs: a smaller accuracy",
                     options->demo.quick);
        flags.value("--seed", "N", "Of pictures and weights (default 1)", into(options->demo.seed));
        flags.toggle("--quiet", "No progress", options->demo.quiet);
        declare_execution(flags, options->device);
      },
      [options](const Flags&) { return run(*options); }};
}

}  // namespace verace::cli
