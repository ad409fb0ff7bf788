// verace info: version, build, machine and devices.

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/system_info.h"
#include "kernels/format.h"

namespace verace::cli {
namespace {

struct InfoArguments {
  DeviceFlags device;
  bool bench = false, json = false;
};

int run(const InfoArguments& o) {
  apps::SystemInfo info = apps::system_info();
  apps::find_devices(info);
  apps::find_video(info);
  if (o.bench) {
    const engine::Device device = open_host_device(o.device, "--bench measures the processor");
    info.sgemm_gflops = apps::measure_sgemm(device.exec(), 1.0);
  }
  text::print(stdout, "{}", o.json ? apps::system_json(info) : apps::system_text(info));
  return 0;
}

}  // namespace

Command info_command() {
  const auto options = std::make_shared<InfoArguments>();
  return {"info",
          "Version, build options, processor, memory and devices",
          "",
          "  verace info\n  verace info --bench --threads 1\n",
          [options](Flags& flags) {
            flags.toggle("--bench", "Measure the rate of matrix products (a second)",
                         options->bench);
            flags.toggle("--json", "Print JSON instead of a table", options->json);
            declare_device(flags, options->device);
          },
          [options](const Flags&) { return run(*options); }};
}

}  // namespace verace::cli
