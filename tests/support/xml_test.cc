// The tests' checker of XML.
#include "tests/support/xml.h"

#include <doctest/doctest.h>

namespace verace::test::xml_test {
namespace {

TEST_CASE("the checker of XML finds what is not well-formed") {
  CHECK(parse_xml("<a b='c'>x &lt; y<d/></a>").error.empty());
  CHECK(parse_xml("<a b='c'>x &lt; y<d/></a>").elements[0].text == "x < y");
  for (const char* bad : {"<a>", "<a></b>", "<a b=c/>", "<a b='<'/>", "<a>&nbsp;</a>", "<a>&</a>",
                          "<a/><b/>", "x", "<a b='1' b='2'/>", "<a id='x'><b id='x'/></a>",
                          "<a>\xff</a>", "<a>\x01</a>", "<a>\xc3</a>", "<a b='1'c='2'/>", ""}) {
    INFO(std::string(bad));
    CHECK_FALSE(parse_xml(bad).error.empty());
  }
}

}  // namespace
}  // namespace verace::test::xml_test
