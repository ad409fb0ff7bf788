// Writing the page and the figures.
#include "apps/lib/report/report.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <span>

#include "apps/lib/report/section.h"
#include "apps/lib/run_folder.h"
#include "data/write_file.h"
#include "kernels/check.h"
#include "kernels/format.h"

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

// Whole or not at all, but not forced onto the disc: a report can be made again.
void write_text(const fs::path& path, const std::string& text) {
  data::write_file(path, std::as_bytes(std::span(text)), data::Durability::kFast);
}

std::vector<fs::path> possible_files(const fs::path& folder) {
  std::vector<fs::path> files = {folder / "report.html"};
  for (const std::string& name : all_figure_files()) files.push_back(folder / "figures" / name);
  return files;
}

bool is_page(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return false;  // a pipe would wait
  std::array<char, 400> begin{};
  std::ifstream in(file, std::ios::binary);
  in.read(begin.data(), static_cast<std::streamsize>(begin.size()));
  return std::string_view(begin.data(), static_cast<size_t>(in.gcount())).find(kPageMark) !=
         std::string_view::npos;
}

void refuse_foreign_files(const fs::path& out) {
  if (is_page(out / "report.html")) return;
  std::error_code error;
  for (const fs::path& file : possible_files(out)) {
    if (!fs::exists(fs::symlink_status(file, error))) continue;
    const bool page = file == out / "report.html";
    fail_input(
        text::format("{}: is in the way{}: move it, or choose another --out", file.string(),
                     page ? " and not of a report"
                          : ", and no report.html beside it says that a report has written it"));
  }
}

}  // namespace

std::vector<fs::path> report_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!is_page(folder / "report.html")) return files;
  std::error_code error;
  for (const fs::path& file : possible_files(folder)) {
    if (fs::is_regular_file(file, error)) files.push_back(file);
  }
  return files;
}

fs::path write_report(const fs::path& folder, const fs::path& out) {
  const RunData run = read_run(folder);
  const std::vector<Section> sections = sections_of(run);
  const fs::path figures = out / "figures", file = out / "report.html";
  refuse_foreign_files(out);
  make_folder(figures);
  remove_abandoned_files_of_run(out);
  // First, so that figures without a page are never those of a report.
  write_text(file, page(run, sections));
  std::set<std::string> written;
  const std::vector<std::string> known = all_figure_files();
  const auto write = [&](const std::string& name, const std::string& content) {
    // What is not in that list would never be removed again, nor kept from others' files.
    VERACE_CHECK(std::ranges::find(known, name) != known.end(), name);
    write_text(figures / name, content);
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
