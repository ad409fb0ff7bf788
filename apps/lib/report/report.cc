// Writing the page and the figures.
#include "apps/lib/report/report.h"

#include <set>

#include "apps/lib/report/section.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/atomic_file.h"

namespace verace::apps::report {
namespace {

namespace fs = std::filesystem;

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    fail_input(text::format("{}: cannot make the folder: {}", folder.string(), error.message()));
  }
}

}  // namespace

fs::path write_report(const fs::path& folder, const fs::path& out) {
  const RunData run = read_run(folder);
  const std::vector<Section> sections = sections_of(run);
  const fs::path figures = out / "figures";
  make_folder(figures);
  std::set<std::string> written;
  const auto write = [&](const std::string& name, const std::string& content) {
    weights::write_file_atomically((figures / name).string(), content);
    written.insert(name);
  };
  for (const Section& section : sections) {
    for (const Figure& figure : section.figures) {
      write(figure.name + ".svg", plot::svg_file(figure.drawing, figure.title));
      write(figure.name + ".csv", figure.csv);
    }
    for (const auto& [name, csv] : section.tables) write(name + ".csv", csv);
  }
  std::error_code ignored;
  for (const std::string& name : all_figure_files()) {
    if (!written.contains(name)) fs::remove(figures / name, ignored);
  }
  const fs::path file = out / "report.html";
  weights::write_file_atomically(file.string(), page(run, sections));
  return file;
}

void write_report_or_warn(const fs::path& run, std::ostream& messages) {
  try {
    text::print(messages, "report: {}\n", one_line(write_report(run, run).string()));
  } catch (const std::exception& error) {
    text::print(messages, "WARNING: there is no report: {}\n", one_line(error.what()));
  }
}

}  // namespace verace::apps::report
