// The demonstration from end to end: it must really learn, and leave what it says.
#include "apps/lib/demo.h"

#include <doctest/doctest.h>

#include <sstream>

#include "apps/lib/system_info.h"
#include "tests/apps/temporary_pictures.h"

namespace verace::apps {
namespace {

TEST_CASE("the demonstration learns both tasks and is fooled by the attack") {
  const test::TempFolder folder;
  DemoOptions options;
  options.out = folder / "demo";
  options.quiet = true;
  std::ostringstream out;
  const DemoResult result = run_demo(options, out);
  INFO(out.str());
  REQUIRE(result.signal == 0);
  CHECK(result.pretrained.faces.balanced_accuracy.value() >= 0.7);
  CHECK(result.finetuned.faces.balanced_accuracy.value() >= 0.85);
  CHECK(result.attack.accuracy_before == doctest::Approx(result.finetuned.faces.accuracy.value()));
  CHECK(result.attack.figures.back().accuracy_after < result.attack.accuracy_before);
  CHECK(result.predictions.pictures.size() == 6);
  for (const char* name : {"summary.txt", "finetuned/best.safetensors", "finetuned/curve.svg",
                           "attack/attack.json", "pretrained/best.safetensors"}) {
    INFO(std::string(name));
    CHECK(std::filesystem::exists(options.out / name));
  }
  CHECK(out.str().find("rendered") != std::string::npos);
  // The folder is taken now.
  CHECK_THROWS_WITH_AS(run_demo(options, out), doctest::Contains("not empty"), Error);
}

TEST_CASE("system information names every device and measures when asked") {
  SystemInfo info = system_info("1.2.3", "Release");
  CHECK(info.threads >= 1);
  CHECK(info.memory_total > 0);
  REQUIRE(info.devices.size() == 3);
  CHECK(info.devices[0].usable);
  info.sgemm_gflops = measure_sgemm(kernels::make_exec(kernels::DeviceKind::kCpu, 1), 0.0);
  CHECK(info.sgemm_gflops > 0.01);
  CHECK(system_text(info).find("1.2.3") != std::string::npos);
  CHECK(system_json(info).find("sgemm_gflops") != std::string::npos);
}

}  // namespace
}  // namespace verace::apps
