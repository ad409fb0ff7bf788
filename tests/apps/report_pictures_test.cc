// Pictures in a page: base64, the amplified change, and how large they are.
#include "apps/lib/report/pictures.h"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/random.h"

namespace verace::apps::report_pictures_test {
namespace {

TEST_CASE("base64 and pictures") {
  const auto encoded = [](std::string_view text) {
    return report::base64(std::as_bytes(std::span(text)));
  };
  // RFC 4648, section 10.
  CHECK(encoded("") == "");
  CHECK(encoded("f") == "Zg==");
  CHECK(encoded("fo") == "Zm8=");
  CHECK(encoded("foo") == "Zm9v");
  CHECK(encoded("foobar") == "Zm9vYmFy");
  CHECK(encoded("\xff\xfe\xfd") == "//79");
  const data::Image before{1, 2, {100, 200, 10, 0, 255, 128}};
  const data::Image after{1, 2, {103, 198, 10, 0, 255, 118}};
  CHECK(report::largest_change(before, after) == 10);
  CHECK(report::amplified_change(before, after, 20).rgb ==
        std::vector<uint8_t>{188, 88, 128, 128, 128, 0});
  data::Image noise{512, 300, std::vector<uint8_t>(512 * 300 * 3)};
  for (size_t i = 0; i < noise.rgb.size(); ++i) {
    noise.rgb[i] = static_cast<uint8_t>(test::random_bits(1, i));
  }
  const std::string uri = report::picture_uri(noise);
  CHECK(uri.starts_with("data:image/jpeg;base64,/9j/"));
  CHECK(uri.size() < 120'000);
  CHECK(report::picture_uri(before).starts_with("data:image/png;base64,iVBOR"));
}

}  // namespace
}  // namespace verace::apps::report_pictures_test
