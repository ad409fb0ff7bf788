// run.json, written and read.
#include "apps/lib/run_record.h"

#include <array>
#include <ctime>

#include "apps/lib/system_info.h"
#include "apps/lib/versioned_json.h"
#include "data/text.h"
#include "kernels/check.h"

namespace verace::apps {
namespace {

constexpr int64_t kRunRecordVersion = 1;

// The whole numbers that may be 0.
struct CountKey {
  const char* key;
  int64_t RunRecord::*member;
};
constexpr CountKey kRecordCounts[] = {{"threads", &RunRecord::threads},
                                      {"epochs", &RunRecord::epochs},
                                      {"best_epoch", &RunRecord::best_epoch},
                                      {"steps", &RunRecord::steps},
                                      {"train_pictures", &RunRecord::train_pictures},
                                      {"val_pictures", &RunRecord::val_pictures},
                                      {"test_pictures", &RunRecord::test_pictures},
                                      {"parameters", &RunRecord::parameters},
                                      {"trainable", &RunRecord::trainable},
                                      {"peak_memory", &RunRecord::peak_memory}};

std::string string_in(const Json& json) {
  if (!json.is_string()) throw BadJson("a text is missing");
  return json.get<std::string>();
}

const Json& pair_in(const Json& json) {
  if (!json.is_array() || json.size() != 2) throw BadJson("an array of two is missing");
  return json;
}

RunRecord record_in(const JsonReader& json) {
  RunRecord record;
  record.kind = json.text("kind");
  for (const Json& word : json.array("command")) record.command.push_back(string_in(word));
  record.started = json.text("started");
  record.seconds = json.number("seconds", 0, kMostSeconds);
  record.finished = json.flag("finished");
  record.resumed = json.flag("resumed");
  record.seed = json.whole("seed");
  record.device = json.text("device");
  if (json.has("precision")) record.precision = json.text("precision");  // not in older files
  for (const Json& stage : json.array("stages")) {
    const Json& seconds = pair_in(stage)[1];
    const double value = seconds.is_number() ? seconds.get<double>() : -1;
    if (!(value >= 0 && value <= kMostSeconds))
      throw BadJson("stages has no time where one is due");
    record.stages.emplace_back(string_in(stage[0]), value);
  }
  record.synthetic = json.flag("synthetic");
  record.quick = json.flag("quick");
  if (json.has("judged_on_pseudo_fakes")) {  // not in older files
    record.judged_on_pseudo_fakes = json.text("judged_on_pseudo_fakes");
  }
  for (const CountKey& count : kRecordCounts) record.*count.member = json.count(count.key);
  for (const Json& row : json.array("environment")) {
    record.environment.emplace_back(string_in(pair_in(row)[0]), string_in(row[1]));
  }
  return record;
}

}  // namespace

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::array<char, 32> text{};
  gmtime_r(&now, &parts);
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

void describe_process(RunRecord& record) {
  const SystemInfo info = system_info();
  constexpr double kGib = 1024.0 * 1024 * 1024;
  record.command = process_command();
  record.peak_memory = process_peak_bytes();
  record.environment = {
      {"verace", info.version},
      {"build", info.build + (info.checked ? ", with assertions" : "")},
      {"compiler", info.compiler},
      {"instructions", info.instructions.empty() ? "baseline" : text::join(info.instructions, " ")},
      {"libraries", text::join(info.libraries, ", ")},
      {"processor", info.processor},
      {"processors usable", std::to_string(info.threads)},
      {"memory", text::format("{:.1f} GiB", static_cast<double>(info.memory_total) / kGib)}};
}

std::string run_record_json(const RunRecord& record) {
  Json json{{"version", kRunRecordVersion},
            {"kind", record.kind},
            {"command", record.command},
            {"started", record.started},
            {"seconds", record.seconds},
            {"finished", record.finished},
            {"resumed", record.resumed},
            {"seed", record.seed},
            {"device", record.device},
            {"precision", record.precision},
            {"synthetic", record.synthetic},
            {"quick", record.quick},
            {"judged_on_pseudo_fakes", record.judged_on_pseudo_fakes},
            {"stages", Json::array()}};
  for (const auto& [name, seconds] : record.stages) {
    json["stages"].push_back(Json::array({name, seconds}));
  }
  for (const CountKey& count : kRecordCounts) json[count.key] = record.*count.member;
  json["environment"] = Json::array();
  for (const auto& [what, which] : record.environment) {
    json["environment"].push_back(Json::array({what, which}));
  }
  return json_text(json);
}

RunRecord read_run_record(const std::string& json, const std::string& where) {
  return read_versioned(json, where, kRunRecordVersion, record_in);
}

std::optional<RunRecord> find_run_record(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "run.json";
  try {
    const std::vector<std::byte> bytes = data::read_file(file, 1'000'000, "file");
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return read_run_record(text, file.string());
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace verace::apps
