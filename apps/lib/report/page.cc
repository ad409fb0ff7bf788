// The page around the sections.
#include "apps/lib/plot/markup.h"
#include "apps/lib/report/report.h"
#include "apps/lib/report/section.h"
#include "kernels/format.h"

namespace verace::apps::report {
namespace {

// Contrasts of text are at least 4.5 : 1 on their ground (WCAG 2.1, 1.4.3).
constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--paper:#ffffff;--ink:#1b2127;--soft:#4f5963;--edge:#d5dae0;
--ground:#f4f6f8;--link:#005a8c;--warn:#8a3b00;--warnground:#fff3e6}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e8ecf0;--soft:#aab4be;
--edge:#39424b;--ground:#1d2329;--link:#7cc4f5;--warn:#ffb784;--warnground:#33241a}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:24px}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:40px 0 8px;padding-top:12px;border-top:1px solid var(--edge)}
h3{font-size:1.05rem;margin:28px 0 6px}
p{max-width:72ch;margin:8px 0;overflow-wrap:anywhere}
a{color:var(--link)}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;padding:0;margin:12px 0}
.sub,.file,.note,footer{color:var(--soft)}
.synthetic,.missing{background:var(--warnground);border-left:4px solid var(--warn);
padding:10px 14px;max-width:none}
.synthetic strong,.missing strong{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:16px 0}
.card{background:var(--ground);border:1px solid var(--edge);border-radius:8px;padding:12px 14px;
display:flex;flex-direction:column}
.value{font-size:1.6rem;font-weight:650;line-height:1.2}
.what{font-size:.92rem}
.note,.file{font-size:.82rem}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,340px),1fr));
gap:20px 28px;margin:16px 0;align-items:start}
.pair{display:flex;flex-wrap:wrap;gap:8px 40px;align-items:flex-start;margin:16px 0}
.pair>figure{flex:0 1 430px;min-width:min(100%,300px)}
.pair>div{flex:1 1 320px;min-width:0}
figure{margin:0;min-width:0}
.plot{display:block;width:100%;height:auto}
figcaption{font-size:.88rem;margin-top:4px}
.file{display:block}
.scroll{overflow-x:auto;margin:12px 0;max-width:100%}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:4px 0;max-width:90vw}
th,td{padding:3px 14px 3px 0;border-bottom:1px solid var(--edge);text-align:left;
vertical-align:top;font-weight:400}
thead th{color:var(--soft)}
.numbers td,.numbers thead th+th{text-align:right;white-space:nowrap}
.words tbody th{color:var(--soft);white-space:nowrap}
.words td{overflow-wrap:anywhere}
pre{margin:0;padding:10px 14px;background:var(--ground);border:1px solid var(--edge);
border-radius:8px;font-size:.86rem;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin:10px 0}
summary{cursor:pointer;font-weight:600;font-size:.92rem}
.gallery{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));
gap:16px 24px;margin:12px 0}
.attacked{display:grid;grid-template-columns:repeat(3,1fr);gap:8px;min-width:0}
.picture img{display:block;width:100%;height:auto;border-radius:4px;border:3px solid transparent}
.picture.wrong img{border-color:#c44e00}
.picture.change img{image-rendering:pixelated}
.picture figcaption{font-size:.78rem;line-height:1.3}
.picture b,.picture span{display:block}
.picture .said{font-weight:600}
.picture.wrong .said{color:var(--warn)}
footer{margin-top:40px;padding-bottom:32px;font-size:.85rem}
@media print{body{font-size:11pt}nav{display:none}h2,h3,caption{break-after:avoid}
figure,.card,tr,.attacked{break-inside:avoid}.scroll{overflow:visible}table{font-size:8pt}
th,td{padding-right:8px}
details::details-content{display:block;content-visibility:visible}}
)";

std::string heading(const RunData& run) {
  return run.demo ? "Verace demonstration" : "Verace training run";
}

}  // namespace

std::vector<Section> sections_of(const RunData& run) {
  return {summary_section(run), training_section(run), evaluation_section(run), attack_section(run),
          time_section(run),    memory_section(run),   settings_section(run)};
}

std::vector<std::string> all_figure_files() {
  std::vector<std::string> files;
  for (const char* name : {"stages",
                           "loss",
                           "accuracy",
                           "task1_loss",
                           "task1_accuracy",
                           "task2_loss",
                           "task2_accuracy",
                           "metrics",
                           "confusion_faces",
                           "confusion_videos",
                           "roc",
                           "precision_recall",
                           "reliability",
                           "attack",
                           "gallery",
                           "time_training",
                           "time_inference",
                           "memory_map_training",
                           "memory_map_inference",
                           "memory_use_training",
                           "memory_use_inference"}) {
    files.push_back(std::string(name) + ".svg");
    files.push_back(std::string(name) + ".csv");
  }
  return files;
}

std::string page(const RunData& run, const std::vector<Section>& sections) {
  const std::string title = text::format("{}: {}", heading(run), run.name);
  std::string html = text::format(
      "<!DOCTYPE html>\n<html xmlns='http://www.w3.org/1999/xhtml' lang='en'>\n<head>\n"
      "<meta charset='utf-8'/>\n{}\n"
      "<meta name='viewport' content='width=device-width, initial-scale=1'/>\n"
      "<title>{}</title>\n<style>{}{}</style>\n</head>\n<body>\n<header>\n<h1>{}</h1>\n"
      "<p class='sub'>{}</p>\n<nav aria-label='Sections'><ul>\n",
      kPageMark, plot::escaped(title), kStyle, plot::style(), heading(run),
      plot::escaped(run.name));
  for (const Section& section : sections) {
    html += text::format("<li><a href='#{}'>{}</a></li>\n", section.id, section.title);
  }
  html += "</ul></nav>\n</header>\n<main>\n";
  for (const Section& section : sections) {
    html += text::format("<section aria-labelledby='{0}'>\n<h2 id='{0}'>{1}</h2>\n{2}</section>\n",
                         section.id, section.title, section.html);
  }
  return html +
         "</main>\n<footer><p>Written by verace report from the files of the run; the figures and "
         "their numbers are in the folder figures beside this page. docs/report.md says how to "
         "read it.</p></footer>\n</body>\n</html>\n";
}

}  // namespace verace::apps::report
