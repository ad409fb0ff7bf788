// The memory plan: which buffer lives when, and where in the arena.
#include <algorithm>
#include <numeric>

#include "apps/lib/memory_limit.h"
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/html.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

constexpr size_t kMostBuffers = 10;

// Bytes that live during each operation.
std::vector<int64_t> living_bytes(const StepProfile& profile) {
  // What begins and what has ended, then their sums: a file may name very many of both.
  std::vector<int64_t> bytes(profile.operations.size() + 2, 0);
  for (const engine::PlannedBuffer& b : profile.buffers) {
    if (b.first > b.last) continue;
    bytes[static_cast<size_t>(b.first)] += b.bytes;
    bytes[static_cast<size_t>(b.last) + 1] -= b.bytes;
  }
  std::partial_sum(bytes.begin(), bytes.end(), bytes.begin());
  bytes.resize(profile.operations.size());
  return bytes;
}

plot::Axis time_axis(const StepProfile& profile) {
  return plot::counting_axis("operation of the step", 0,
                             static_cast<int64_t>(profile.operations.size()));
}

// Buffers that live over the whole step are grey; the others take turns, so that neighbours can be
// told apart.
Figure map_figure(const std::string& what, const StepProfile& profile) {
  plot::Plot plot;
  plot.title = text::format("memory map, {}", what);
  plot.x = time_axis(profile);
  const std::vector<double> heights = {megabytes(profile.memory.arena)};
  plot.y = plot::axis_of("place in the arena, MB", heights, true);
  std::string csv = "buffer,bytes,offset,first,last\n";
  const auto end = static_cast<int32_t>(profile.operations.size());
  int turn = 0;
  for (const engine::PlannedBuffer& b : profile.buffers) {
    csv += text::format("{},{},{},{},{}\n", plot::csv_field(b.name), b.bytes, b.offset, b.first,
                        b.last);
    const bool whole = b.first == 0 && b.last >= end - 1;
    // Thinner than a hair.
    if (b.bytes < profile.memory.arena / 400) continue;
    plot.blocks.push_back({static_cast<double>(b.first), megabytes(b.offset),
                           static_cast<double>(std::min(b.last + 1, end)),
                           megabytes(b.offset + b.bytes), whole ? 4 : turn++ % 4,
                           text::format("{}: {}", b.name, size_text(b.bytes))});
  }
  return {"memory_map_" + what, text::format("Memory map of one step of {}", what),
          "Each rectangle is a buffer: from the operation that writes it first to the one that "
          "reads it last, at its place in the arena. The smallest are left out of the picture.",
          draw(plot), csv};
}

Figure living_figure(const std::string& what, const StepProfile& profile,
                     const std::vector<int64_t>& living) {
  plot::Plot plot;
  plot.title = text::format("memory in use, {}", what);
  plot.x = time_axis(profile);
  const double end = static_cast<double>(profile.operations.size());
  plot::Line line{"buffers that live", 0, {}};
  std::string csv = "operation,name,living_bytes\n";
  for (size_t i = 0; i < living.size(); ++i) {
    const auto at = static_cast<double>(i);
    line.points.push_back({at, megabytes(living[i])});
    line.points.push_back({at + 1, megabytes(living[i])});
    csv += text::format("{},{},{}\n", i, plot::csv_field(profile.operations[i].name), living[i]);
  }
  const double arena = megabytes(profile.memory.arena),
               unshared = megabytes(profile.memory.unshared);
  plot.lines = {std::move(line),
                {"arena", 1, {{0, arena}, {end, arena}}},
                {"without sharing", 4, {{0, unshared}, {end, unshared}}}};
  plot.y = plot::axis_of("MB", std::vector{arena, unshared}, true);
  return {"memory_use_" + what, text::format("Memory in use during one step of {}", what),
          "Bytes that live during each operation; what the arena takes; and what all buffers would "
          "take if none shared its bytes with another.",
          draw(plot), csv};
}

Table totals_table(const std::string& what, const StepProfile& profile,
                   const std::vector<int64_t>& living) {
  const engine::PlanSummary& m = profile.memory;
  const int64_t peak = living.empty() ? 0 : *std::ranges::max_element(living);
  const auto row = [](const char* name, int64_t bytes) {
    return std::vector<std::string>{name, size_text(bytes)};
  };
  Table table{text::format("The plan of one step of {}", what), {}, {}, false};
  table.rows = {row("arena", m.arena), row("most that lives at once", peak),
                row("without sharing", m.unshared), row("prepared weights", m.constants)};
  table.rows.push_back({"buffers", std::to_string(profile.buffers.size())});
  return table;
}

// The largest buffers at the operation where most lives.
Table largest_table(const std::string& what, const StepProfile& profile,
                    const std::vector<int64_t>& living) {
  const auto peak = std::ranges::max_element(living) - living.begin();
  std::vector<engine::PlannedBuffer> buffers;
  for (const engine::PlannedBuffer& b : profile.buffers) {
    if (b.first <= peak && peak <= b.last) buffers.push_back(b);
  }
  std::ranges::stable_sort(buffers, std::ranges::greater{}, &engine::PlannedBuffer::bytes);
  buffers.resize(std::min(buffers.size(), kMostBuffers));
  Table table{text::format("The largest buffers where most lives ({}, operation {}: {})", what,
                           peak, profile.operations[static_cast<size_t>(peak)].name),
              {"buffer", "size", "from", "to"},
              {},
              false};
  for (const engine::PlannedBuffer& b : buffers) {
    table.rows.push_back(
        {b.name, size_text(b.bytes), std::to_string(b.first), std::to_string(b.last)});
  }
  return table;
}

void add_step(const std::string& what, const std::optional<StepProfile>& profile,
              Section& section) {
  section.html += text::format("<h3>One step of {}</h3>\n", what);
  if (!profile || profile->operations.empty()) {
    section.html += missing(text::format("the memory plan of {}", what),
                            "The run ended before it was recorded.");
    return;
  }
  const std::vector<int64_t> living = living_bytes(*profile);
  add_figures(section, {map_figure(what, *profile), living_figure(what, *profile, living)},
              to_html(totals_table(what, *profile, living)) +
                  folded("The largest buffers", to_html(largest_table(what, *profile, living))));
}

}  // namespace

Section memory_section(const RunData& run) {
  Section section{"memory", "Memory", {}, {}, {}};
  if (!run.profile.value) {
    section.html = missing("the memory plan", run.profile.missing);
    return section;
  }
  section.html += paragraph(
      "A step is planned before it runs: every buffer has its place in one block, the arena, and "
      "buffers that do not live at the same time share bytes. Weights, gradients of weights and "
      "Adam's moments are kept elsewhere.");
  add_step("training", run.profile.value->training, section);
  add_step("inference", run.profile.value->inference, section);
  return section;
}

}  // namespace verace::apps::report
