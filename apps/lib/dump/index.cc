// The two forms of the index.
#include "apps/lib/dump/index.h"

#include "apps/lib/plot/markup.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

using plot::csv_field;
using plot::escaped;

std::string shape_text(const engine::Shape& shape) { return text::join(shape, "x"); }

constexpr const char* kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>verace dump</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5em; color: #202124; background: #fff; }
h1 { font-size: 1.4em; margin: 0 0 .4em; }
dl { display: grid; grid-template-columns: max-content auto; gap: .1em 1em; margin: 0 0 1em; }
dt { color: #5f6368; } dd { margin: 0; }
.bar { position: sticky; top: 0; background: #fff; padding: .5em 0; display: flex; gap: 1em;
  flex-wrap: wrap; border-bottom: 1px solid #dadce0; }
.bar input[type=search] { font: inherit; padding: .2em .5em; width: 18em; }
article { display: grid; grid-template-columns: minmax(10em, 34em) 1fr; gap: 1em;
  padding: 1em 0; border-bottom: 1px solid #eceff1; }
article img { max-width: 100%; max-height: 34em; image-rendering: pixelated; }
h2 { font-size: 1em; margin: 0 0 .3em; }
table { border-collapse: collapse; font-size: .9em; } td { padding: 0 1em 0 0; }
td:first-child { color: #5f6368; } .warn { color: #b3261e; font-weight: 600; }
.scale { display: inline-block; width: 8em; height: .8em; vertical-align: middle; margin: 0 .4em; }
.grey { background: linear-gradient(90deg, #000, #fff); }
.diverging { background: linear-gradient(90deg, #2166ac, #f7f7f7, #b2182b); }
</style></head><body>
<h1>One step, tensor by tensor</h1>
)";

constexpr const char* kFoot = R"(<script>
const find = document.getElementById('find'), kinds = document.querySelectorAll('.bar [name]');
function show() {
  const words = find.value.toLowerCase().split(/\s+/);
  const wanted = new Set([...kinds].filter(k => k.checked).map(k => k.name));
  for (const a of document.querySelectorAll('article')) {
    a.hidden = !(wanted.has(a.dataset.kind) && words.every(w => a.dataset.text.includes(w)));
    a.style.display = a.hidden ? 'none' : '';
  }
}
find.addEventListener('input', show);
kinds.forEach(k => k.addEventListener('change', show));
</script></body></html>
)";

std::string lower(std::string s) {
  for (char& c : s) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return s;
}

void add_row(std::string& table, const std::string& name, const std::string& value) {
  table += text::format("<tr><td>{}</td><td>{}</td></tr>\n", name, value);
}

std::string article(size_t order, const DumpedTensor& row) {
  const ListedTensor& t = row.tensor;
  const bool gradient = t.kind == TensorKind::kGradient || t.kind == TensorKind::kParameterGradient;
  std::string html = text::format("<article data-kind=\"{}\" data-text=\"{}\">\n<div>",
                                  to_string(t.kind), escaped(lower(t.name + " " + t.does)));
  if (row.png.empty()) {
    html += "no picture";
  } else {
    html += text::format("<img loading=\"lazy\" src=\"{0}\" alt=\"{1}\">", escaped(row.png),
                         escaped(t.name));
  }
  html += text::format("</div>\n<div><h2>{} &middot; {}</h2><table>\n", order, escaped(t.name));
  add_row(html, "kind", to_string(t.kind));
  add_row(html, "after", escaped(t.does));
  if (!t.gradient_of.empty()) add_row(html, "gradient of", escaped(t.gradient_of));
  add_row(html, "shape", shape_text(t.shape));
  const TensorSummary& s = row.summary;
  add_row(html, "min, max", text::format("{:.4g}, {:.4g}", s.min, s.max));
  add_row(html, "mean, std", text::format("{:.4g}, {:.4g}", s.mean, s.deviation));
  add_row(html, "zeros", text::format("{:.1f} %", 100 * s.zero_share));
  if (s.nan + s.infinite > 0) {
    add_row(html, "not finite",
            text::format("<span class=\"warn\">{} NaN, {} infinite</span>", s.nan, s.infinite));
  }
  if (!row.png.empty()) {
    add_row(html, "colours",
            text::format("{:.4g}<span class=\"scale {}\"></span>{:.4g}", row.low,
                         gradient ? "diverging" : "grey", row.high));
    add_row(html, "shown", escaped(row.shown));
  }
  add_row(html, "values", text::format("<a href=\"{0}\">{0}</a>", escaped(row.npy)));
  return html + "</table></div></article>\n";
}

}  // namespace

std::string index_csv(const std::vector<DumpedTensor>& rows) {
  std::string csv =
      "order,layer,operation,tensor,kind,gradient_of,shape,min,max,mean,std,zeros,nan,infinite,"
      "npy,png,png_low,png_high,png_shows\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const ListedTensor& t = rows[i].tensor;
    const TensorSummary& s = rows[i].summary;
    csv += text::format("{},{},{},{},{},{},{},", i, csv_field(t.layer), csv_field(t.does),
                        csv_field(t.name), to_string(t.kind), csv_field(t.gradient_of),
                        shape_text(t.shape));
    csv += text::format("{:.9g},{:.9g},{:.9g},{:.9g},{:.9g},{},{},{},{},", s.min, s.max, s.mean,
                        s.deviation, s.zero_share, s.nan, s.infinite, rows[i].npy, rows[i].png);
    csv += rows[i].png.empty() ? ",,"
                               : text::format("{:.9g},{:.9g},{}", rows[i].low, rows[i].high,
                                              csv_field(rows[i].shown));
    csv += "\n";
  }
  return csv;
}

std::string index_html(const std::vector<DumpedTensor>& rows, const std::vector<Fact>& facts) {
  std::string html = kHead;
  html += "<dl>\n";
  for (const Fact& fact : facts) {
    html += text::format("<dt>{}</dt><dd>{}</dd>\n", escaped(fact.name), escaped(fact.value));
  }
  html +=
      "</dl>\n<div class=\"bar\"><input type=\"search\" id=\"find\" "
      "placeholder=\"layer or tensor\" aria-label=\"Find\">\n";
  for (const TensorKind kind : {TensorKind::kActivation, TensorKind::kStatistic,
                                TensorKind::kGradient, TensorKind::kParameterGradient}) {
    html += text::format("<label><input type=\"checkbox\" name=\"{0}\" checked> {0}</label>\n",
                         to_string(kind));
  }
  html += "</div>\n";
  for (size_t i = 0; i < rows.size(); ++i) html += article(i, rows[i]);
  return html + kFoot;
}

}  // namespace verace::apps
