// How long looking for faces takes.
//
// verace_bench_faces WEIGHTS PIXELS N HEIGHT WIDTH THREADS SECONDS [MAPS]: PIXELS holds N pictures
// of 8-bit RGB, one after the other. Prints JSON: the milliseconds of every run of the network
// ("network": from pixels in memory to the maps before decoding) and of the whole detector
// ("detector": to faces) on that batch, in turn, for SECONDS each, and how many faces there were;
// with "-" for SECONDS a table of the network's operations instead. MAPS: file for the maps as
// float32, level after level.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "apps/lib/face_detector.h"
#include "apps/lib/face_weights.h"
#include "engine/trace.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace {

using namespace verace;
using Clock = std::chrono::steady_clock;

double milliseconds_of(const std::function<void()>& work) {
  const Clock::time_point start = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::vector<double> measure(const std::function<void()>& work, double seconds) {
  for (int i = 0; i < 2; ++i) work();
  std::vector<double> times;
  const Clock::time_point start = Clock::now();
  while (times.size() < 3 || std::chrono::duration<double>(Clock::now() - start).count() < seconds)
    times.push_back(milliseconds_of(work));
  return times;
}

struct Work {
  std::string weights;
  std::vector<uint8_t> pixels;
  int64_t n = 0, h = 0, w = 0;
  kernels::Exec exec;
};

int run(const Work& work, const std::string& seconds, const std::string& maps_file) {
  const apps::LoadedFaceNetwork loaded = apps::load_face_network(work.weights, {});
  const layers::RetinaFaceStep plan =
      loaded.network->plan(work.exec, std::make_shared<engine::Arena>(), work.n, work.h, work.w);
  std::vector<std::vector<float>> maps(plan.maps.size());
  const auto network = [&] {
    plan.step.write<uint8_t>(plan.pictures, work.pixels);
    plan.step.run();
    for (size_t i = 0; i < maps.size(); ++i) maps[i] = plan.step.read_f32(plan.maps[i]);
  };
  network();
  if (!maps_file.empty()) {
    std::ofstream out(maps_file, std::ios::binary);
    for (const std::vector<float>& map : maps) {
      out.write(reinterpret_cast<const char*>(map.data()),
                static_cast<std::streamsize>(map.size() * sizeof(float)));
    }
  }
  if (seconds == "-") {
    engine::Trace trace;
    for (int i = 0; i < 5; ++i) plan.step.run(i < 2 ? nullptr : &trace);
    std::printf("%s\n", trace.table().c_str());
    std::vector<engine::TraceEvent> events = trace.events();
    for (size_t i = events.size() / 3 * 2; i < events.size(); ++i) {
      std::printf("%9.1f us %7.1f GFLOP/s  %s\n", events[i].duration_us,
                  static_cast<double>(events[i].flops) / events[i].duration_us / 1e3,
                  events[i].name.c_str());
    }
    return 0;
  }
  apps::FaceDetectorOptions options;
  options.long_side = 0;
  const auto finder = apps::open_face_detector(work.weights, work.exec, options);
  std::vector<data::Image> pictures;
  const size_t count = static_cast<size_t>(work.h * work.w * 3);
  for (size_t i = 0; i < static_cast<size_t>(work.n); ++i) {
    const auto first = work.pixels.begin() + static_cast<std::ptrdiff_t>(i * count);
    pictures.push_back({work.h, work.w, {first, first + static_cast<std::ptrdiff_t>(count)}});
  }
  size_t faces = 0;
  const auto detector = [&] {
    faces = 0;
    for (const auto& found : finder->find(pictures)) faces += found.size();
  };
  const auto list = [](const std::vector<double>& times) {
    std::string text;
    for (const double t : times) text += (text.empty() ? "" : ", ") + text::format("{:.4f}", t);
    return "[" + text + "]";
  };
  const double limit = std::atof(seconds.c_str());
  const std::string of_network = list(measure(network, limit));
  const std::string of_detector = list(measure(detector, limit));
  std::printf("{\"network\": %s, \"detector\": %s, \"faces\": %zu}\n", of_network.c_str(),
              of_detector.c_str(), faces);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 8) {
    std::fprintf(stderr, "usage: %s WEIGHTS PIXELS N HEIGHT WIDTH THREADS SECONDS [MAPS]\n",
                 argv[0]);
    return 2;
  }
  Work work;
  work.weights = argv[1];
  std::ifstream in(argv[2], std::ios::binary);
  work.pixels.assign(std::istreambuf_iterator<char>(in), {});
  work.n = std::atoll(argv[3]), work.h = std::atoll(argv[4]), work.w = std::atoll(argv[5]);
  if (work.n < 1 || work.h < 1 || work.w < 1 ||
      static_cast<int64_t>(work.pixels.size()) != work.n * work.h * work.w * 3) {
    fail_input(std::string(argv[2]) + ": not as many pixels as the sizes say");
  }
  work.exec = kernels::make_exec(kernels::DeviceKind::kCpu, std::atoi(argv[6]));
  return run(work, argv[7], argc > 8 ? argv[8] : "");
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 2;
}
