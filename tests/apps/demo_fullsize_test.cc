// The demonstration from end to end: it must really learn, and leave what it says.
#include "apps/lib/demo.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

#include "apps/lib/evaluation_record.h"
#include "apps/lib/report/report.h"
#include "apps/lib/run_record.h"
#include "apps/lib/system_info.h"
#include "apps/lib/weights_digest.h"
#include "kernels/format.h"
#include "tests/apps/temporary_pictures.h"
#include "tests/support/xml.h"

namespace verace::apps::demo_fullsize_test {
namespace {

// Seeds 1 to this are tried; VERACE_DEMO_SEEDS=5 before a release (some minutes).
uint64_t last_seed() {
  const char* text = std::getenv("VERACE_DEMO_SEEDS");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

TEST_CASE("the demonstration finds fakes of persons it has not seen, and is fooled by the attack") {
  const test::TempFolder folder;
  REQUIRE(last_seed() >= 1);
  for (uint64_t seed = 1; seed <= last_seed(); ++seed) {
    DemoOptions options;
    options.out = folder / text::format("demo{}", seed);
    options.seed = seed;
    options.quiet = true;
    std::ostringstream out;
    const DemoResult result = run_demo(options, out);
    INFO(out.str());
    REQUIRE(result.signal == 0);
    CHECK(result.pretrained.faces.balanced_accuracy.value() >= 0.8);
    const Metrics& faces = result.finetuned.faces;
    CHECK(faces.count >= 400);
    const Intervals& intervals = result.finetuned.intervals.value().faces;
    const Interval interval = interval_of(intervals, &Metrics::accuracy).value();
    MESSAGE("seed ", seed, ": accuracy between ", interval.low, " and ", interval.high);
    CHECK(interval.low > 0.6);
    CHECK(result.finetuned.videos.count * 4 == faces.count);
    CHECK(result.attack.figures.back().accuracy_after < result.attack.accuracy_before);
    CHECK(result.predictions.pictures.size() == 6);
    for (const char* name : {"summary.txt", "finetuned/best.safetensors", "finetuned/curve.svg",
                             "attack/attack.json", "pretrained/best.safetensors"}) {
      INFO(std::string(name));
      CHECK(std::filesystem::exists(options.out / name));
    }
    CHECK(out.str().find("SYNTHETIC") != std::string::npos);
    // Its report is whole, and not heavy.
    const std::string html = test::read_text(report::write_report(options.out, options.out));
    const test::XmlDocument page = test::parse_xml(html);
    CHECK(page.error == "");
    CHECK(html.size() < 1'000'000);
    CHECK(html.find("Missing") == std::string::npos);
    CHECK(html.find("Another network") == std::string::npos);
    CHECK(html.find("The faces are synthetic.") != std::string::npos);
    CHECK(page.all("img").size() == 18);
    for (const char* part : {"pretrained", "finetuned"}) {
      const std::string own =
          test::read_text(report::write_report(options.out / part, options.out / part));
      CHECK(own.find("The faces are synthetic.") != std::string::npos);
    }
    const RecordedEvaluation kept =
        read_evaluation_record(test::read_text(options.out / "evaluation.json"), "evaluation.json");
    CHECK(kept.weights == weights_digest(result.model.string()));
    CHECK(kept.faces.metrics.accuracy == faces.accuracy);
    CHECK(kept.videos.metrics.confusion == result.finetuned.videos.confusion);
    const RunRecord record = read_run_record(test::read_text(options.out / "run.json"), "run.json");
    CHECK(record.kind == "demo");
    CHECK(record.seed == seed);
    REQUIRE(record.stages.size() == 6);
    double seconds = 0;
    for (const auto& [name, time] : record.stages) seconds += time;
    CHECK(seconds == doctest::Approx(result.seconds).epsilon(0.02));
    // The folder is taken now.
    CHECK_THROWS_WITH_AS(run_demo(options, out), doctest::Contains("not empty"), Error);
  }
}

TEST_CASE("the demonstration on given faces and a given network draws nothing") {
  const test::TempFolder folder;
  test::write_pictures(folder / "data", 8, 4);
  layers::Classifier network(test::narrow_network());
  network.initialise_all(layers::Initialisation::kPyTorch, 1);
  save_model(folder / "network.safetensors", network);
  DemoOptions options;
  options.out = folder / "demo";
  options.data = folder / "data";
  options.weights = folder / "network.safetensors";
  options.quiet = true;
  std::ostringstream out;
  const DemoResult result = run_demo(options, out);
  INFO(out.str());
  CHECK(result.finetuned.faces.count == 8);
  CHECK(out.str().find("SYNTHETIC") == std::string::npos);
  CHECK_FALSE(std::filesystem::exists(options.out / "faces"));
  CHECK_FALSE(std::filesystem::exists(options.out / "pretrained"));
  const std::string html = test::read_text(report::write_report(options.out, options.out));
  CHECK(test::parse_xml(html).error == "");
  CHECK(html.find("faces are synthetic") == std::string::npos);
  CHECK(html.find("Missing") == std::string::npos);
  CHECK(html.find("first task") == std::string::npos);

  // What cannot be recorded costs no result.
  struct Blocker : std::stringbuf {
    explicit Blocker(const std::filesystem::path& path) : file(path) {}
    int sync() override {
      std::filesystem::create_directories(file / "in the way");
      return 0;
    }
    std::filesystem::path file;
  };
  options.out = folder / "blocked";
  Blocker blocker(options.out / "run.json");
  std::ostream blocked(&blocker);
  CHECK(run_demo(options, blocked).finetuned.faces.count == 8);
  CHECK(test::contains(blocker.str(), "the result is in "));
  CHECK(test::contains(blocker.str(), "WARNING: the report will not be whole: "));
  CHECK(std::filesystem::exists(options.out / "summary.txt"));

  // Found before anything is trained or drawn.
  options.out = folder / "bad";
  options.data = folder / "absent";
  CHECK_THROWS_AS(run_demo(options, out), Error);
  CHECK_FALSE(std::filesystem::exists(options.out / "finetuned"));
}

TEST_CASE("a seed that training refuses is refused before anything is drawn") {
  const test::TempFolder folder;
  DemoOptions options;
  options.out = folder / "demo";
  options.seed = UINT64_MAX;
  options.quiet = true;
  std::ostringstream out;
  CHECK(test::contains(test::input_error([&] { run_demo(options, out); }), "--seed"));
  CHECK_FALSE(std::filesystem::exists(options.out / "faces"));
}

TEST_CASE("system information names every device and measures when asked") {
  SystemInfo info = system_info();
  CHECK(info.threads >= 1);
  CHECK(info.memory_total > 0);
  CHECK(info.devices.empty());
  find_devices(info);
  REQUIRE(info.devices.size() >= 3);
  CHECK(info.devices[0].usable);
  info.sgemm_gflops = measure_sgemm(kernels::make_exec(kernels::DeviceKind::kCpu, 1), 0.0);
  CHECK(info.sgemm_gflops > 0.01);
  CHECK(system_text(info).starts_with("verace " + info.version + "\n"));
  CHECK(info.version.find('.') != std::string::npos);
  CHECK(info.build.find("-march=") != std::string::npos);
  CHECK(system_json(info).find("sgemm_gflops") != std::string::npos);
}

}  // namespace
}  // namespace verace::apps::demo_fullsize_test
