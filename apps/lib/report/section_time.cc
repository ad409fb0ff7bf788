// Time per operation: of one step of training and one of inference.
#include <algorithm>
#include <map>

#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

constexpr size_t kMostBars = 14, kMostOperations = 10;

struct Kind {
  std::string name;
  int64_t calls = 0, flops = 0;
  double us = 0;
};

std::vector<Kind> kinds_of(const StepProfile& profile) {
  std::map<std::string, Kind> by_name;
  for (const ProfiledOperation& o : profile.operations) {
    Kind& kind = by_name[o.kind];
    kind.name = o.kind;
    ++kind.calls;
    kind.flops += o.flops;
    kind.us += o.microseconds;
  }
  std::vector<Kind> kinds;
  for (auto& [name, kind] : by_name) kinds.push_back(std::move(kind));
  std::ranges::stable_sort(kinds, std::ranges::greater{}, &Kind::us);
  return kinds;
}

double total_of(const std::vector<Kind>& kinds) {
  double total = 0;
  for (const Kind& kind : kinds) total += kind.us;
  return total;
}

std::string rate(int64_t flops, double us) {
  return flops > 0 && us > 0 ? text::format("{:.1f}", static_cast<double>(flops) / us / 1e3) : "–";
}

Figure kinds_figure(const std::string& name, const std::string& title,
                    const std::vector<Kind>& kinds) {
  plot::BarPlot bars{title, {}};
  Kind rest{"all others"};
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (i < kMostBars || kinds.size() == kMostBars + 1) {
      bars.bars.push_back(
          {kinds[i].name, kinds[i].us, text::format("{:.2f} ms", kinds[i].us / 1e3)});
    } else {
      rest.us += kinds[i].us;
    }
  }
  if (rest.us > 0) {
    bars.bars.push_back({rest.name, rest.us, text::format("{:.2f} ms", rest.us / 1e3)});
  }
  std::string csv = "operation,calls,milliseconds,flops\n";
  for (const Kind& kind : kinds) {
    csv += text::format("{},{},{},{}\n", plot::csv_field(kind.name), kind.calls, kind.us / 1e3,
                        kind.flops);
  }
  return {name, title, text::format("{} kinds of operations, the longest first.", kinds.size()),
          draw(bars), csv};
}

Table kinds_table(const std::string& title, const std::vector<Kind>& kinds) {
  Table table{title, {"operation", "calls", "ms", "share", "GFLOP/s"}, {}, false};
  const double total = total_of(kinds);
  for (const Kind& kind : kinds) {
    table.rows.push_back({kind.name, std::to_string(kind.calls),
                          text::format("{:.2f}", kind.us / 1e3),
                          total > 0 ? percent(kind.us / total) : "–", rate(kind.flops, kind.us)});
  }
  return table;
}

Table longest_table(const std::string& title, const StepProfile& profile) {
  std::vector<ProfiledOperation> operations = profile.operations;
  std::ranges::stable_sort(operations, std::ranges::greater{}, &ProfiledOperation::microseconds);
  operations.resize(std::min(operations.size(), kMostOperations));
  Table table{title, {"operation", "ms", "GFLOP/s"}, {}, false};
  for (const ProfiledOperation& o : operations) {
    table.rows.push_back(
        {o.name, text::format("{:.2f}", o.microseconds / 1e3), rate(o.flops, o.microseconds)});
  }
  return table;
}

void add_step(const char* what, const std::optional<StepProfile>& profile, Section& section) {
  section.html += text::format("<h3>One step of {}</h3>\n", what);
  if (!profile) {
    section.html +=
        missing(text::format("the times of {}", what), "The run ended before it was measured.");
    return;
  }
  const std::vector<Kind> kinds = kinds_of(*profile);
  const double total = total_of(kinds);
  int64_t flops = 0;
  for (const Kind& kind : kinds) flops += kind.flops;
  section.html += paragraph(text::format(
      "{} pictures, {} operations, {:.2f} ms: {:.1f} pictures/s without reading them, {} GFLOP/s. "
      "{}.",
      profile->pictures, profile->operations.size(), total / 1e3,
      total > 0 ? static_cast<double>(profile->pictures) / total * 1e6 : 0.0, rate(flops, total),
      profile->runs == 1 ? std::string("Measured once")
                         : text::format("Medians of {} steps", profile->runs)));
  add_beside(section,
             kinds_figure(text::format("time_{}", what),
                          text::format("time per kind of operation, {}", what), kinds),
             to_html(kinds_table(text::format("Time per kind of operation, {}", what), kinds)) +
                 folded("The longest single operations",
                        to_html(longest_table(
                            text::format("The longest single operations, {}", what), *profile))));
}

}  // namespace

Section time_section(const RunData& run) {
  Section section{"time", "Time per operation", {}, {}, {}};
  if (!run.profile.value) {
    section.html = missing("times", run.profile.missing);
    return section;
  }
  section.html += paragraph(
      "Measured in this run by the engine's trace, with nothing but two looks at the clock around "
      "each operation.");
  add_step("training", run.profile.value->training, section);
  add_step("inference", run.profile.value->inference, section);
  return section;
}

}  // namespace verace::apps::report
