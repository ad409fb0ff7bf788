// What an attack did, as a table and as JSON.

#include <nlohmann/json.hpp>

#include "apps/lib/attack_runner.h"
#include "apps/lib/metrics.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using Json = nlohmann::ordered_json;

Json record_json(const AttackRecord& record, const AttackResult& result) {
  Json json{{"path", record.path.string()},
            {"label", data::kClassNames[static_cast<size_t>(record.label)]},
            {"verdict_before", verdict_of(record.probability_before)},
            {"fake_probability_before", record.probability_before},
            {"after", Json::array()}};
  for (size_t e = 0; e < result.figures.size(); ++e) {
    Json after{{"epsilon", result.figures[e].epsilon},
               {"verdict", verdict_of(record.after[e])},
               {"fake_probability", record.after[e]},
               {"verdict_8bit", verdict_of(record.after_8bit[e])},
               {"fake_probability_8bit", record.after_8bit[e]}};
    if (e < record.stored.size()) after["picture"] = record.stored[e].string();
    json["after"].push_back(std::move(after));
  }
  return json;
}

Json gallery_json(const AttackResult& result, const std::filesystem::path& folder) {
  Json gallery = Json::array();
  for (size_t i = 0; i < result.records.size(); ++i) {
    const AttackRecord& record = result.records[i];
    if (record.before.empty()) continue;
    const auto name = [&folder](const std::filesystem::path& file) {
      return file.lexically_relative(folder).generic_string();
    };
    Json after = Json::array();
    for (const std::filesystem::path& file : record.stored) after.push_back(name(file));
    gallery.push_back({{"picture", i}, {"before", name(record.before)}, {"after", after}});
  }
  return gallery;
}

}  // namespace

std::string attack_table(const AttackResult& result) {
  std::string text = text::format("{:>8} {:>9} {:>8} {:>8} {:>12} {:>14}\n", "epsilon",
                                  "acc before", "after", "success", "MSE", "after 8-bit");
  for (const AttackFigures& figures : result.figures) {
    text +=
        text::format("{:>8} {:>9.2f} % {:>6.2f} % {:>6.2f} % {:>12.6g} {:>12.2f} %\n",
                     figures.epsilon, 100 * result.accuracy_before, 100 * figures.accuracy_after,
                     100 * figures.success_rate, figures.mse, 100 * figures.accuracy_after_8bit);
  }
  return text;
}

std::string attack_json(const AttackResult& result, const std::string& model_name,
                        const std::filesystem::path& folder) {
  Json json{{"version", kAttackVersion}, {"attack", "fgsm"},
            {"model", model_name},       {"weights", result.weights},
            {"split", result.split},     {"count", result.count},
            {"stopped", result.stopped}, {"accuracy_before", result.accuracy_before},
            {"epsilons", Json::array()}, {"pictures", Json::array()},
            {"broken", Json::array()}};
  for (const AttackFigures& figures : result.figures) {
    json["epsilons"].push_back({{"epsilon", figures.epsilon},
                                {"accuracy_after", figures.accuracy_after},
                                {"success_rate", figures.success_rate},
                                {"flipped_rate", figures.flipped_rate},
                                {"mse", figures.mse},
                                {"largest_change", figures.largest_change},
                                {"accuracy_after_8bit", figures.accuracy_after_8bit}});
  }
  for (const AttackRecord& record : result.records) {
    json["pictures"].push_back(record_json(record, result));
  }
  json["gallery"] = gallery_json(result, folder);
  for (const data::BrokenPicture& picture : result.broken)
    json["broken"].push_back(picture.message);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace verace::apps
