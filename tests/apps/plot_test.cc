// The plotting room: where values are drawn, ticks, escaping.
#include "apps/lib/plot/plot.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "apps/lib/plot/markup.h"
#include "kernels/check.h"
#include "tests/support/files.h"
#include "tests/support/xml.h"

namespace verace::apps::plot::plot_test {
namespace {

using test::contains;
using test::parse_xml;
using test::XmlDocument;
using test::XmlElement;

double number(const XmlElement* e, const char* attribute) { return std::stod((*e)[attribute]); }

XmlDocument parsed(const Drawing& drawing) {
  const XmlDocument document = parse_xml(svg_file(drawing, "title"));
  CHECK(document.error == "");
  return document;
}

TEST_CASE("text from outside is escaped, and what is no UTF-8 replaced") {
  CHECK(escaped("a<b>&\"'c") == "a&lt;b&gt;&amp;&quot;&#39;c");
  CHECK(escaped("grün 漢 😀") == "grün 漢 😀");
  CHECK(escaped("a\nb\tc\rd") == "a b c d");
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(escaped("\x01\x7f") == bad + bad);
  CHECK(escaped("\xff") == bad);
  CHECK(escaped("\xc3(") == bad + "(");                         // cut off
  CHECK(escaped("\xc0\xaf") == bad + bad);                      // overlong /
  CHECK(escaped("\xe0\x80\xaf") == bad + bad + bad);            // overlong
  CHECK(escaped("\xed\xa0\x80") == bad + bad + bad);            // a surrogate
  CHECK(escaped("\xf4\x90\x80\x80") == bad + bad + bad + bad);  // above U+10FFFF
  CHECK(escaped("\xe2\x80\xae") == bad);                        // right to left
  CHECK(escaped("\xc2\x9b") == bad);                            // a control character
  CHECK(csv_field("a b") == "a b");
  CHECK(csv_field("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(csv_field("\xff") == bad);
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdefg", 6) == "abcde…");
  CHECK(shortened("ääää", 3) == "ää…");
}

TEST_CASE("values are drawn where the axes say: x to the right, y upwards") {
  Plot plot{"t", share_axis("across"), {"up", 0, 10, 5}, {}, {{"", 0, {{0.2, 9}, {1, 0}}, true}},
            {}};
  plot.marks.push_back({"ring", {0.5, 5}, 1});
  plot.blocks.push_back({0.25, 2, 0.75, 4, 2});
  const XmlDocument svg = parsed(draw(plot));
  const XmlElement* frame = svg.all("rect", "frame").at(0);
  const double left = number(frame, "x"), top = number(frame, "y"), width = number(frame, "width"),
               height = number(frame, "height");
  const auto dots = svg.all("circle", "d0");
  REQUIRE(dots.size() == 2);
  CHECK(number(dots[0], "cx") == doctest::Approx(left + 0.2 * width).epsilon(1e-4));
  CHECK(number(dots[0], "cy") == doctest::Approx(top + 0.1 * height).epsilon(1e-4));
  CHECK(number(dots[1], "cx") == doctest::Approx(left + width).epsilon(1e-4));
  CHECK(number(dots[1], "cy") == doctest::Approx(top + height).epsilon(1e-4));
  const XmlElement* ring = svg.all("circle", "m1").at(0);
  CHECK(number(ring, "cx") == doctest::Approx(left + 0.5 * width).epsilon(1e-4));
  CHECK(number(ring, "cy") == doctest::Approx(top + 0.5 * height).epsilon(1e-4));
  const XmlElement* block = svg.all("rect", "b2").at(0);
  CHECK(number(block, "x") == doctest::Approx(left + 0.25 * width).epsilon(1e-4));
  CHECK(number(block, "width") == doctest::Approx(0.5 * width).epsilon(1e-4));
  CHECK(number(block, "y") == doctest::Approx(top + 0.6 * height).epsilon(1e-4));
  CHECK(number(block, "height") == doctest::Approx(0.2 * height).epsilon(1e-4));
  const auto names = svg.all("text", "name");
  REQUIRE(names.size() == 2);
  CHECK(names[0]->text == "across");
  CHECK((*names[0])["transform"].empty());
  CHECK(names[1]->text == "up");
  CHECK(contains((*names[1])["transform"], "rotate(-90"));
  // Ticks stand at their values.
  const auto x_ticks = svg.all("text", "x"), y_ticks = svg.all("text", "y");
  REQUIRE(x_ticks.size() == 6);
  REQUIRE(y_ticks.size() == 3);
  CHECK(x_ticks[1]->text == "0.2");
  CHECK(number(x_ticks[1], "x") == doctest::Approx(left + 0.2 * width).epsilon(1e-4));
  CHECK(y_ticks[1]->text == "5");
  CHECK(number(y_ticks[1], "y") - 4 == doctest::Approx(top + 0.5 * height).epsilon(1e-4));
}

TEST_CASE("axes have round ends and few ticks") {
  const std::array values = {0.13, 0.987, static_cast<double>(NAN), HUGE_VAL};
  const Axis axis = axis_of("a", values, true);
  CHECK(axis.low == 0);
  CHECK(axis.high == 1);
  CHECK(axis.step == 0.2);
  const Axis share = share_axis_of("a", values, true);
  CHECK(share.low == 0);
  CHECK(share.high == 1);
  const std::array equal = {1.0, 1.0};
  CHECK(share_axis_of("a", equal).high == 1);
  CHECK(share_axis_of("a", equal).low == doctest::Approx(0.95));
  CHECK(axis_of("a", {}, true).high == 1);
  for (const double scale : {1e-300, 1e-9, 1.0, 3e7, 1e300}) {
    const std::array two = {0.2 * scale, 0.93 * scale};
    const Axis a = axis_of("a", two, true);
    INFO(scale);
    CHECK(a.high >= two[1]);
    CHECK((a.high - a.low) / a.step < 12);
  }
  // Any finite numbers can be drawn, also those whose differences are not finite or vanish.
  for (const std::array<double, 2>& ends :
       std::initializer_list<std::array<double, 2>>{{-1e308, 1e308},
                                                    {1e308, 1e308},
                                                    {1e17, 1e17},
                                                    {-1e17, -1e17},
                                                    {1e17, 1e17 + 16},
                                                    {5e-324, 5e-324},
                                                    {0, 5e-324},
                                                    {5, 1e17},
                                                    {-1, -1}}) {
    INFO(ends[0], " to ", ends[1]);
    for (const bool from_zero : {false, true}) {
      for (const Axis& a : {axis_of("a", ends, from_zero), share_axis_of("a", ends)}) {
        CHECK(std::isfinite(a.low));
        CHECK(std::isfinite(a.high));
        CHECK(a.low < a.high);
        CHECK(a.low + a.step > a.low);
        CHECK((a.high - a.low) / a.step < 12);
        parsed(draw(Plot{"t", a, a, {}, {{"l", 0, {{ends[0], ends[0]}, {ends[1], ends[1]}}}}, {}}));
      }
    }
  }
  for (const int64_t last : {int64_t{2}, int64_t{1} << 62, std::numeric_limits<int64_t>::max()}) {
    for (const int64_t first : {std::numeric_limits<int64_t>::min(), int64_t{1}, last - 1, last}) {
      const Axis a = counting_axis("n", std::min(first, last), last);
      INFO(first, " to ", last);
      CHECK(a.high + a.step > a.high);
      parsed(draw(Plot{"t", a, share_axis("y"), {}, {}, {}}));
    }
  }
  const Axis epochs = counting_axis("epoch", 1, 300);
  CHECK(epochs.step == 100);
  const XmlDocument ticks = parsed(draw(Plot{"t", epochs, share_axis("y"), {}, {}, {}}));
  std::string texts;
  for (const XmlElement* tick : ticks.all("text", "x")) texts += tick->text + " ";
  CHECK(texts == "100 200 300 ");
  const std::string large =
      svg_file(draw(Plot{"t", share_axis("x"), {"MB", 0, 20000, 10000}, {}, {}, {}}), "title");
  CHECK(contains(large, ">10000<"));
  CHECK(contains(large, ">20000<"));
  CHECK(counting_axis("epoch", 1, 1).high == 1);
  CHECK(tick_step(1) == 0.2);
  CHECK(tick_step(7) == 2);
}

TEST_CASE("bars are as long as their values, the longest first in width") {
  const XmlDocument svg =
      parsed(draw(BarPlot{"t", {{"a", 4, "4 <s>"}, {"b", 1, "1"}, {"c", 0, "0"}}}));
  const auto bars = svg.all("rect", "f0");
  REQUIRE(bars.size() == 3);
  CHECK(number(bars[0], "width") == doctest::Approx(4 * number(bars[1], "width")).epsilon(1e-3));
  CHECK(number(bars[2], "width") == 0);
  CHECK(number(bars[0], "y") < number(bars[1], "y"));
  const XmlDocument huge = parsed(draw(BarPlot{"t", {{"a", 1e308, ""}, {"b", 5e307, ""}}}));
  CHECK(number(huge.all("rect", "f0")[1], "width") == doctest::Approx(73).epsilon(1e-3));
  CHECK_THROWS_AS(draw(BarPlot{"t", {{"a", -1, ""}}}), Error);
  CHECK_THROWS_AS(draw(BarPlot{"t", {{"a", NAN, ""}}}), Error);
}

TEST_CASE("cells of a matrix are shaded by the share of their row, however large the counts") {
  constexpr int64_t kMost = INT64_MAX;
  const Matrix matrix{"m", "r", "c", {"a", "b", "e"}, {"x", "y"}, {{3, 1}, {kMost, kMost}, {0, 0}}};
  const XmlDocument svg = parsed(draw(matrix));
  const auto cells = svg.all("rect", "cell");
  REQUIRE(cells.size() == 6);
  const double shares[] = {0.75, 0.25, 0.5, 0.5, 0, 0};
  for (size_t i = 0; i < 6; ++i) {
    CHECK(number(cells[i], "fill-opacity") == doctest::Approx(0.08 + 0.32 * shares[i]));
  }
}

TEST_CASE("hostile labels in every kind of plot") {
  const std::string bad = "<script>\"&'\xff";
  Plot plot{bad,
            share_axis(bad),
            share_axis(bad),
            {{0, 0, 1, 1, 0, bad}},
            {{bad, 0, {{0, 0}}}},
            {{bad, {0, 0}, 0}}};
  const Matrix matrix{bad, bad, bad, {bad, bad}, {bad, bad}, {{1, 0}, {0, 0}}};
  const std::array drawings = {draw(plot), draw(BarPlot{bad, {{bad, 1, bad}}}), draw(matrix)};
  for (const Drawing& drawing : drawings) CHECK(parsed(drawing).all("script").empty());
  CHECK(parsed(beside(drawings, bad)).all("script").empty());
  CHECK(parse_xml(svg_file(drawings[0], bad)).error == "");
  CHECK(parse_xml(inline_svg(drawings[0], "name", bad)).error == "");
}

}  // namespace
}  // namespace verace::apps::plot::plot_test
