// What a run's folder says of the run, as `verace report` and a resumed run read it, and the
// thresholds that stand in its model.
//
// An input is any number of files, each behind a line "=== NAME". Files of other names, and what
// stands before the first such line, are left out.
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "apps/lib/curve.h"
#include "apps/lib/report/report.h"
#include "apps/lib/tensorboard/run_events.h"
#include "apps/lib/threshold.h"
#include "data/image.h"
#include "tests/fuzz/target.h"
#include "tests/support/xml.h"

namespace {

using namespace verace;
namespace fs = std::filesystem;

constexpr std::array<const char*, 6> kFiles = {"metrics.jsonl", "config.toml",
                                               "run.json",      "evaluation.json",
                                               "profile.json",  "attack/attack.json"};

// The folder of a run, which holds two pictures of an attack and no network.
class Run {
 public:
  Run() {
    std::string name = (fs::temp_directory_path() / "verace-fuzz-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    folder_ = name;
    const data::Image picture{2, 2, std::vector<uint8_t>(12, 100)};
    for (const char* below : {"attack/before", "attack/eps_0.02"}) {
      fs::create_directories(folder_ / below);
      data::write_png(folder_ / below / "0.png", picture, data::Durability::kFast);
    }
  }
  ~Run() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const fs::path& folder() const { return folder_; }

  // These files and no others.
  void write(std::string_view input) {
    for (const char* name : kFiles) fs::remove(folder_ / name);
    constexpr std::string_view kMark = "=== ";
    for (size_t at = find(input, kMark, 0); at < input.size();) {
      const size_t line = std::min(input.find('\n', at), input.size());
      const std::string_view name = input.substr(at + kMark.size(), line - at - kMark.size());
      const size_t begin = std::min(line + 1, input.size());
      at = find(input, kMark, begin);
      for (const char* known : kFiles) {
        if (name == known) write(known, input.substr(begin, at - begin));
      }
      if (name == "threshold") {
        thresholds(std::string(input.substr(begin, at - begin)));
      }
    }
  }

 private:
  // Where a line begins with `mark`, from `from` on; the end where none does.
  static size_t find(std::string_view input, std::string_view mark, size_t from) {
    while (from < input.size() && !input.substr(from).starts_with(mark)) {
      from = std::min(input.find('\n', from), input.size() - 1) + 1;
    }
    return from;
  }
  void write(const char* name, std::string_view content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  static void thresholds(const std::string& text) {
    fuzz::check_reader([&] {
      const auto read = apps::thresholds_in_metadata({{apps::kThresholdKey, text}}, "model");
      const std::string written = apps::thresholds_to_metadata(*read);
      const auto again = fuzz::read_again([&] {
        return apps::thresholds_in_metadata({{apps::kThresholdKey, written}}, "again");
      });
      if (apps::thresholds_to_metadata(*again) != written) std::abort();
      apps::decision_text(apps::decide({}, read));
    });
  }

  fs::path folder_;
};

// A page that no browser can read is a defect, too.
void check_page(const apps::report::RunData& data) {
  const std::string error =
      test::parse_xml(apps::report::page(data, apps::report::sections_of(data))).error;
  if (error.empty()) return;
  std::fprintf(stderr, "the page is no XML: %s\n", error.c_str());
  std::abort();
}

// write(value), read by `read`, must be written the same again, as the next process of a run does.
template <typename Value, typename Write, typename Read>
void check_written_again(const Value& value, Write write, Read read) {
  const std::string text = write(value);
  if (write(fuzz::read_again([&] { return read(text, "again"); })) != text) std::abort();
}

void check_records(const apps::report::RunData& data) {
  if (data.record.value)
    check_written_again(*data.record.value, apps::run_record_json, apps::read_run_record);
  if (data.profile.value)
    check_written_again(*data.profile.value, apps::profile_json, apps::read_profile);
  for (const apps::report::TrainingData& training : data.trainings) {
    if (!training.epochs.value) continue;
    apps::tensorboard::event_file(*training.epochs.value);
    apps::curve_svg(*training.epochs.value, "run");
    for (const apps::EpochMetrics& epoch : *training.epochs.value) {
      check_written_again(
          epoch, [](const apps::EpochMetrics& m) { return apps::to_json(m); },
          apps::epoch_from_json);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Run run;
  run.write({reinterpret_cast<const char*>(data), size});
  return fuzz::check_reader([&] {
    const apps::report::RunData read = apps::report::read_run(run.folder());
    check_records(read);
    check_page(read);
  });
}
