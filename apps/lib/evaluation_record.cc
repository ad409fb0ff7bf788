// evaluation.json, written and read.
#include "apps/lib/evaluation_record.h"

#include <cmath>

#include "apps/lib/evaluation_report.h"
#include "apps/lib/versioned_json.h"

namespace verace::apps {
namespace {

constexpr int64_t kEvaluationVersion = 1;
// What no run reaches, and what sums and plots can still take.
constexpr int64_t kMostSamples = 1'000'000'000'000;

// At most kMostCurvePoints of the points, both ends among them.
template <typename Point, typename ToJson>
Json thinned(const std::vector<Point>& points, ToJson to_json) {
  Json array = Json::array();
  const size_t kept = std::min(points.size(), kMostCurvePoints);
  for (size_t i = 0; i < kept; ++i) {
    const size_t at = kept == points.size() ? i : i * (points.size() - 1) / (kept - 1);
    array.push_back(to_json(points[at]));
  }
  return array;
}

Json curves_json(const MetricCurves& curves) {
  return {{"roc", thinned(curves.roc,
                          [](const RocPoint& p) {
                            return Json::array({number_or_null(p.threshold), p.false_positive_rate,
                                                p.true_positive_rate});
                          })},
          {"precision_recall",
           thinned(curves.precision_recall,
                   [](const PrecisionRecallPoint& p) {
                     return Json::array({number_or_null(p.threshold), p.precision, p.recall});
                   })},
          {"reliability", thinned(curves.reliability, [](const ReliabilityBin& b) {
             return Json::array({b.lower, b.upper, b.count, number_or_null(b.confidence),
                                 number_or_null(b.accuracy)});
           })}};
}

double share_in(const Json& json) {
  const double value = json.is_number() ? json.get<double>() : -1;
  if (!(value >= 0 && value <= 1)) throw BadJson("a curve has no number from 0 to 1");
  return value;
}

std::optional<double> share_or_null(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(share_in(json));
}

const Json& row_in(const Json& json, size_t size) {
  if (!json.is_array() || json.size() != size) throw BadJson("a curve has a row of a wrong length");
  return json;
}

MetricCurves curves_in(const JsonReader& json, int64_t most) {
  MetricCurves curves;
  for (const Json& row : json.array("roc")) {
    const std::optional<double> threshold = share_or_null(row_in(row, 3)[0]);
    curves.roc.push_back({threshold.value_or(HUGE_VAL), share_in(row[1]), share_in(row[2])});
  }
  for (const Json& row : json.array("precision_recall")) {
    curves.precision_recall.push_back(
        {share_or_null(row_in(row, 3)[0]), share_in(row[1]), share_in(row[2])});
  }
  for (const Json& row : json.array("reliability")) {
    const Json& count = row_in(row, 5)[2];
    if (!count.is_number_unsigned() || count.get<uint64_t>() > static_cast<uint64_t>(most)) {
      throw BadJson("reliability has no count that can be");
    }
    curves.reliability.push_back({share_in(row[0]), share_in(row[1]), count.get<int64_t>(),
                                  share_or_null(row[3]), share_or_null(row[4])});
  }
  return curves;
}

// What a figure may be at most: all but the loss are shares.
double most_of(const Figure& figure) { return figure.member == &Metrics::loss ? kMostLoss : 1; }

Interval interval_in(const Json& json, const Figure& figure) {
  const bool two = json.size() == 2 && json[0].is_number() && json[1].is_number();
  const Interval interval =
      two ? Interval{json[0].get<double>(), json[1].get<double>()} : Interval{1, 0};
  if (!(0 <= interval.low && interval.low <= interval.high && interval.high <= most_of(figure))) {
    throw BadJson(text::format("the interval of {} is not what it should be", figure.key));
  }
  return interval;
}

RecordedLevel level_in(const JsonReader& level, const JsonReader& curves) {
  RecordedLevel recorded;
  Metrics& metrics = recorded.metrics;
  metrics.count = level.count("count", kMostSamples);
  for (size_t i = 0; i < kFigures.size(); ++i) {
    const Figure& figure = kFigures[i];
    if (!level.is_null(figure.key)) {
      metrics.*figure.member = level.number(figure.key, 0, most_of(figure));
    }
    if (!level.has("intervals") || level.object("intervals").is_null(figure.key)) continue;
    recorded.intervals[i] = interval_in(level.object("intervals").array(figure.key), figure);
  }
  int64_t left = metrics.count;
  constexpr const char* kNames[] = {"real", "fake"};
  for (size_t truth = 0; truth < 2; ++truth) {
    const JsonReader row = level.object("confusion").object(kNames[truth]);
    for (size_t said = 0; said < 2; ++said) {
      metrics.confusion[truth][said] = row.count(kNames[said], left);
      left -= metrics.confusion[truth][said];
    }
  }
  if (left != 0) throw BadJson("confusion does not add up to count");
  recorded.curves = curves_in(curves, metrics.count);
  return recorded;
}

RecordedEvaluation evaluation_in(const JsonReader& json) {
  RecordedEvaluation e;
  e.split = json.text("split");
  if (json.has("weights")) e.weights = json.text("weights");  // older programs did not write it
  const JsonReader threshold = json.object("threshold");
  e.faces_threshold = threshold.number("faces", 0, 1);
  e.videos_threshold = threshold.number("videos", 0, 1);
  e.threshold_source = threshold.text("source");
  if (e.threshold_source == "model") {
    const JsonReader model = threshold.object("model");
    e.threshold_rate = model.number("rate", 0, 1);
    e.threshold_split = model.text("split");
  }
  if (!json.is_null("bootstrap")) {
    const JsonReader bootstrap = json.object("bootstrap");
    e.bootstrap = {bootstrap.count("resamples"), bootstrap.whole("seed"),
                   bootstrap.number("confidence", 0, 1)};
  }
  const JsonReader curves = json.object("curves");
  e.faces = level_in(json.object("faces"), curves.object("faces"));
  e.videos = level_in(json.object("videos"), curves.object("videos"));
  e.broken = static_cast<int64_t>(json.array("broken").size());
  return e;
}

}  // namespace

std::string evaluation_record_json(const Evaluation& evaluation, const std::string& model,
                                   const std::string& split, const std::string& weights) {
  Json json{{"version", kEvaluationVersion}, {"weights", weights}};
  json.update(Json::parse(evaluation_json(evaluation, model, split)));
  json["curves"] = {{"faces", curves_json(face_curves(evaluation))},
                    {"videos", curves_json(video_curves(evaluation))}};
  // Thousands of points: not a line each.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

RecordedEvaluation read_evaluation_record(const std::string& json, const std::string& where) {
  return read_versioned(json, where, kEvaluationVersion, evaluation_in);
}

}  // namespace verace::apps
