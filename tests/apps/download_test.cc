// A file from a URL: what is there already, breaks, servers that do not resume, wrong digests.
//
// Real curl reads file:// URLs; scripts in its place behave as curl does with servers.
#include "apps/lib/download.h"

#include <doctest/doctest.h>
#include <sys/file.h>

#include <algorithm>
#include <csignal>

#include <cstdio>

#include "apps/lib/published_weights.h"
#include "apps/lib/signals.h"
#include "tests/apps/fetch_support.h"

namespace verace::download_test {
namespace {

namespace fs = std::filesystem;
using apps::DownloadEnd;
using apps::DownloadRequest;
using test::contains;
using test::input_error;
using test::OwnPath;
using test::read_text;
using test::TempFolder;
using test::write_text;

// Bytes that differ everywhere, so that a shifted or doubled piece shows.
std::string content(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 12345;
  for (char& c : text) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

// A source of 10000 bytes and where it shall go.
struct Place {
  TempFolder folder;
  std::string bytes = content(10000);
  fs::path source = folder / "source.bin", file = folder / "got" / "file.bin",
           part = folder / "got" / "file.bin.part";
  std::string notes;

  Place() {
    write_text(source, bytes);
    fs::create_directory(folder / "got");
  }
  DownloadRequest request() {
    DownloadRequest request;
    request.url = "file://" + source.string();
    request.file = file;
    request.hash.hex = test::digest_of(source);
    request.say = [this](const std::string& text) { notes += text + "\n"; };
    return request;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder / "got")) {
      out.push_back(entry.path().filename().string());
    }
    std::ranges::sort(out);
    return out;
  }
  bool is_there() const {
    return read_text(file) == bytes && names() == std::vector<std::string>{"file.bin"};
  }
};

TEST_CASE("digests are the published ones of the test vectors") {
  const TempFolder folder;
  // FIPS 180-4's example, RFC 1321's, and the empty message of both.
  write_text(folder / "abc", "abc");
  write_text(folder / "empty", "");
  CHECK(test::digest_of(folder / "abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(test::digest_of(folder / "abc", apps::HashKind::kMd5) ==
        "900150983cd24fb0d6963f7d28e17f72");
  CHECK(test::digest_of(folder / "empty") ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(test::digest_of(folder / "empty", apps::HashKind::kMd5) ==
        "d41d8cd98f00b204e9800998ecf8427e");
  const apps::FileHash beginning{apps::HashKind::kSha256, "ba7816bf"};
  CHECK(beginning.fits(test::digest_of(folder / "abc")));
  CHECK_FALSE(beginning.fits(test::digest_of(folder / "empty")));
  CHECK_FALSE(beginning.fits("ba7816bf"));
  CHECK(beginning.text() == "the first 8 of 64 digits of sha256, ba7816bf");
  const OwnPath path;
  path.remove("sha256sum");
  CHECK(contains(input_error([&] { test::digest_of(folder / "abc"); }), "install coreutils"));
  path.script("sha256sum", "echo nonsense");
  CHECK(contains(input_error([&] { test::digest_of(folder / "abc"); }), "sha256sum fails"));
}

TEST_CASE("a file is fetched and verified") {
  Place place;
  CHECK(apps::download(place.request()) == DownloadEnd::kFetched);
  CHECK(place.is_there());
  CHECK(place.notes.empty());
  // A second time nothing is transferred: there is no curl any more.
  const OwnPath path;
  CHECK(apps::download(place.request()) == DownloadEnd::kAlreadyThere);
  CHECK(place.is_there());
}

TEST_CASE("names and URLs reach curl as they are") {
  Place place;
  place.source = place.folder / "a [1-3]{x,y} $(touch pwned);`id`'\"&.bin";
  write_text(place.source, place.bytes);
  DownloadRequest request = place.request();
  for (size_t at; (at = request.url.find(' ')) != std::string::npos;) {
    request.url.replace(at, 1, "%20");
  }
  request.file = place.folder / "got" / "--output #1 {a,b} $HOME.bin";
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(read_text(request.file) == place.bytes);
  CHECK(place.names() == std::vector<std::string>{"--output #1 {a,b} $HOME.bin"});
}

TEST_CASE("a part of an earlier try is continued") {
  Place place;
  DownloadRequest request = place.request();
  write_text(place.part, place.bytes.substr(0, 6000));
  // The beginning can come from the part only: the source no longer has it.
  write_text(place.source, std::string(6000, 'x') + place.bytes.substr(6000));
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
  CHECK(contains(place.notes, "from an earlier try"));
}

TEST_CASE("a complete part needs no transfer") {
  Place place;
  const DownloadRequest request = place.request();
  fs::rename(place.source, place.part);
  const OwnPath path;
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
}

TEST_CASE("a part of something else does not poison the file") {
  for (const size_t size : {1u, 5000u, 10000u, 20000u}) {
    for (const int64_t known : {0, 10000}) {
      CAPTURE(size);
      CAPTURE(known);
      Place place;
      write_text(place.part, std::string(size, 'x'));
      DownloadRequest request = place.request();
      request.bytes = known;
      CHECK(apps::download(request) == DownloadEnd::kFetched);
      CHECK(place.is_there());
      CHECK(contains(place.notes, "fetched from the beginning"));
    }
  }
}

TEST_CASE("a wrong file is never kept") {
  Place place;
  DownloadRequest request = place.request();
  const std::string right = request.hash.hex;
  write_text(place.source, "<!DOCTYPE html><html>Log in</html>");
  const std::string message = input_error([&] { apps::download(request); });
  CHECK(contains(message, right));
  CHECK(contains(message, test::digest_of(place.source)));
  CHECK(contains(message, "34 bytes"));
  CHECK(contains(message, "is a web page"));
  CHECK(place.names().empty());
  // Nor does a part of an earlier try turn a wrong file into an endless one.
  write_text(place.part, "<!DOCTYPE");
  CHECK(contains(input_error([&] { apps::download(request); }), "sends another file"));
  CHECK(place.names().empty());
  // And the next try is as good as the first.
  write_text(place.source, place.bytes);
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
}

TEST_CASE("MD5, and the beginning of a digest") {
  Place place;
  DownloadRequest request = place.request();
  request.hash.hex = request.hash.hex.substr(0, 8);
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
  fs::remove(place.file);
  request.hash = {apps::HashKind::kMd5, test::digest_of(place.source, apps::HashKind::kMd5)};
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
  fs::remove(place.file);
  request.hash.hex.back() = request.hash.hex.back() == '0' ? '1' : '0';
  CHECK(contains(input_error([&] { apps::download(request); }), "md5"));
  CHECK(place.names().empty());
}

TEST_CASE("another file under the name stays as it is") {
  Place place;
  write_text(place.file, "mine");
  const std::string message = input_error([&] { apps::download(place.request()); });
  CHECK(contains(message, "is there and is another file"));
  CHECK(contains(message, "--out"));
  CHECK(read_text(place.file) == "mine");
  fs::remove(place.file);
  fs::create_directory(place.file);
  CHECK(contains(input_error([&] { apps::download(place.request()); }), "not a regular file"));
  fs::remove(place.file);
  fs::create_symlink("nowhere", place.file);
  CHECK(contains(input_error([&] { apps::download(place.request()); }), "cannot be read"));
  CHECK(fs::is_symlink(place.file));
  CHECK(place.names() == std::vector<std::string>{"file.bin"});
}

TEST_CASE("a file that appears meanwhile is not replaced") {
  Place place;
  DownloadRequest request = place.request();
  const OwnPath path;
  path.script("curl",
              "cat " + place.source.string() + " >\"$out\"; echo mine >" + place.file.string());
  CHECK(contains(input_error([&] { apps::download(request); }), "file.bin.part is complete"));
  CHECK(read_text(place.file) == "mine\n");
  CHECK(read_text(place.part) == place.bytes);
}

TEST_CASE("without curl and wget the message says what to do by hand") {
  Place place;
  DownloadRequest request = place.request();
  request.url = "https://example.invalid/file.bin";
  const OwnPath path;
  std::string message = input_error([&] { apps::download(request); });
  CHECK(contains(message, "neither curl nor wget"));
  CHECK(contains(message, request.url));
  CHECK(contains(message, "put it at " + place.file.string()));
  CHECK(contains(message, "and run this again, which verifies it"));
  CHECK(place.names().empty());
  // What an earlier try has brought is not lost.
  write_text(place.part, place.bytes.substr(0, 6000));
  message = input_error([&] { apps::download(request); });
  CHECK(contains(message, "6000 bytes are kept"));
  CHECK(read_text(place.part).size() == 6000);
  // As the message says.
  fs::copy_file(place.source, place.file);
  CHECK(apps::download(request) == DownloadEnd::kAlreadyThere);
}

TEST_CASE("an address without a file behind it") {
  Place place;
  DownloadRequest request = place.request();
  fs::remove(place.source);
  const std::string message = input_error([&] { apps::download(request); });
  CHECK(contains(message, request.url + ": could not be fetched (curl: (37) "));
  CHECK(contains(message, "put it at " + place.file.string()));
  CHECK(place.names().empty());
}

TEST_CASE("a server that cannot resume sends everything again") {
  // Exit codes and statuses as curl 7.88 gives them for a server without ranges, and for one that
  // is asked for what lies behind the end.
  for (const char* refusal : {"printf '200 no ranges'; exit 33", "printf '416 range'; exit 22"}) {
    Place place;
    DownloadRequest request = place.request();
    write_text(place.part, place.bytes.substr(0, 6000));
    const OwnPath path;
    path.script("curl", "[ $size -gt 0 ] && { " + std::string(refusal) + "; }; cat " +
                            place.source.string() + " >\"$out\"");
    CHECK(apps::download(request) == DownloadEnd::kFetched);
    CHECK(place.is_there());
    CHECK(path.calls() == 2);
    CHECK(contains(place.notes, "fetched from the beginning"));
  }
  // One that says so at the beginning has nothing.
  Place place;
  const DownloadRequest request = place.request();
  const OwnPath path;
  path.script("curl", "exit 33");
  CHECK(contains(input_error([&] { apps::download(request); }), "could not be fetched"));
  CHECK(path.calls() == 1);
}

TEST_CASE("a transfer that breaks off goes on while it gets somewhere") {
  Place place;
  DownloadRequest request = place.request();
  const std::string piece = "tail -c +$((size + 1)) " + place.source.string() +
                            " | head -c 3000 >>\"$out\"; printf '200 broken'; ";
  {
    const OwnPath path;
    path.script("curl", piece + "[ $size -ge 7000 ] || exit 18");
    CHECK(apps::download(request) == DownloadEnd::kFetched);
    CHECK(place.is_there());
    CHECK(path.calls() == 4);
    CHECK(contains(place.notes, "broke off after"));
  }
  fs::remove(place.file);
  {  // and no longer; what has arrived stays
    const OwnPath path;
    path.script("curl", "[ $size -ge 6000 ] || " + piece + "printf '000 reset by peer'; exit 56");
    const std::string message = input_error([&] { apps::download(request); });
    CHECK(contains(message, "(56) "));
    CHECK(contains(message, "are kept"));
    CHECK(path.calls() == 3);
    CHECK(read_text(place.part) == place.bytes.substr(0, 6000));
  }
  {  // nor for ever
    write_text(place.part, "");
    const OwnPath path;
    path.script("curl", "printf x >>\"$out\"; exit 18");
    CHECK(contains(input_error([&] { apps::download(request); }), "(18)"));
    CHECK(path.calls() == apps::kMostTries);
  }
}

TEST_CASE("what curl and wget are called with") {
  Place place;
  DownloadRequest request = place.request();
  request.url = "https://example.invalid/file.bin";
  const std::string send = "cat " + place.source.string() + " >>\"$out\"";
  {
    const OwnPath path;
    path.script("curl", send);
    CHECK(apps::download(request) == DownloadEnd::kFetched);
    const std::string words = read_text(path.log());
    for (const char* expected :
         {"--silent\n", "--fail\n", "--location\n", "--proto\n=https,file\n",
          "--proto-redir\n=https\n", "--connect-timeout\n", "--speed-time\n", "--globoff\n",
          "--continue-at\n-\n", "--url\nhttps://example.invalid/file.bin\n"}) {
      CHECK(contains(words, expected));
    }
    CHECK(contains(words, "--output\n" + place.part.string() + "\n"));
  }
  fs::remove(place.file);
  write_text(place.part, place.bytes.substr(0, 6000));
  const OwnPath path;
  path.script("wget", "tail -c +$((size + 1)) " + place.source.string() + " >>\"$out\"");
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
  const std::string words = read_text(path.log());
  CHECK(contains(words, "--continue\n"));
  CHECK(contains(words, "--output-document=" + place.part.string() + "\n"));
  CHECK(contains(words, "--\nhttps://example.invalid/file.bin\n"));
  fs::remove(place.file);
  path.script("wget", "echo 'wget: unable to resolve host' >&2; exit 4");
  CHECK(contains(input_error([&] { apps::download(request); }),
                 "(wget: (4) unable to resolve host)"));
  path.script("wget", "exit 3");
  CHECK(contains(input_error([&] { apps::download(request); }), "cannot be written"));
}

TEST_CASE("one fetch of a file at a time") {
  Place place;
  const DownloadRequest request = place.request();
  write_text(place.part, place.bytes.substr(0, 6000));
  const int other = ::open(place.part.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(other, LOCK_EX) == 0);
  CHECK(contains(input_error([&] { apps::download(request); }), "being fetched at this moment"));
  CHECK(read_text(place.part).size() == 6000);
  ::close(other);
  {  // A curl whose verace was killed holds the lock too.
    const OwnPath path;
    path.script("curl",
                "echo \"lent $(readlink /proc/$$/fd/3)\" >>" + path.log().string() + "; exit 7");
    input_error([&] { apps::download(request); });
    CHECK(contains(read_text(path.log()), "\nlent " + place.part.string() + "\n"));
  }
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
}

TEST_CASE("folders that cannot be written to, discs that are full") {
  Place place;
  DownloadRequest request = place.request();
  request.file = place.folder / "none" / "file.bin";
  CHECK(contains(input_error([&] { apps::download(request); }), "create the folder first"));
  request.file = "/sys/file.bin";  // not even root may
  CHECK(contains(input_error([&] { apps::download(request); }), "choose another folder by --out"));
  request = place.request();
  request.bytes = int64_t{1} << 60;
  CHECK(contains(input_error([&] { apps::download(request); }), "free some space"));
  CHECK(place.names().empty());
  fs::create_directory(place.part);
  CHECK(contains(input_error([&] { apps::download(place.request()); }), "file.bin.part"));
  fs::remove(place.part);
  write_text(place.folder / "victim", "mine");
  fs::create_symlink(place.folder / "victim", place.part);
  CHECK(contains(input_error([&] { apps::download(place.request()); }), "file.bin.part"));
  CHECK(read_text(place.folder / "victim") == "mine");
}

TEST_CASE("a signal ends the transfer and keeps the part") {
  Place place;
  const DownloadRequest request = place.request();
  {
    const OwnPath path;
    path.script("curl", "head -c 4000 " + place.source.string() +
                            " >>\"$out\"; kill -TERM $PPID; exec sleep 600");
    const apps::SignalGuard guard;
    CHECK(apps::download(request) == DownloadEnd::kStopped);
    CHECK(apps::stop_signal() == SIGTERM);
  }
  CHECK(read_text(place.part) == place.bytes.substr(0, 4000));
  CHECK_FALSE(fs::exists(place.file));
  apps::set_stop_signal(0);
  CHECK(apps::download(request) == DownloadEnd::kFetched);
  CHECK(place.is_there());
}

TEST_CASE("the table of published files") {
  for (const apps::PublishedWeights& a : apps::published_weights()) {
    INFO(a.name);
    CHECK(apps::find_published(a.name) == &a);
    CHECK(std::string_view(a.url).starts_with("https://"));
    // What a branch holds changes, and then no digest fits.
    CHECK(std::string_view(a.url).find("/main/") == std::string_view::npos);
    CHECK(std::string_view(a.url).find("/master/") == std::string_view::npos);
    CHECK(a.file_hash().is_whole());
    CHECK(a.file_hash().hex.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(a.bytes > 1000000);
    CHECK(std::string_view(a.file).find_first_of("/ ") == std::string_view::npos);
    CHECK(contains(apps::published_table(), a.name));
    CHECK(contains(apps::published_details(a), a.url));
    CHECK(contains(apps::published_details(a), a.hash));
    for (const apps::PublishedWeights& b : apps::published_weights()) {
      if (&a == &b) continue;
      CHECK(std::string_view(a.name) != b.name);
      CHECK(std::string_view(a.file) != b.file);
      CHECK(std::string_view(a.url) != b.url);
      CHECK(std::string_view(a.hash) != b.hash);
    }
  }
  // torchvision's names begin with their digest.
  int torchvision = 0;
  for (const apps::PublishedWeights& weights : apps::published_weights()) {
    const std::string_view file = weights.file;
    if (!file.starts_with("resnet50-") || !file.ends_with(".pth")) continue;
    CHECK(file == "resnet50-" + std::string(weights.hash).substr(0, 8) + ".pth");
    ++torchvision;
  }
  CHECK(torchvision == 2);
  CHECK(apps::find_published("resnet") == nullptr);
}

TEST_CASE("a published file, where it is at hand") {
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr) {
    std::printf("SKIPPED apps/download published file: VERACE_TEST_DATA is not set\n");
    return;
  }
  const fs::path file = fs::path(data) / "retinaface_mobilenet025/Final_Retinaface.pth";
  const apps::PublishedWeights* weights = apps::find_published("retinaface-mobilenet025");
  REQUIRE(weights != nullptr);
  CHECK(static_cast<int64_t>(fs::file_size(file)) == weights->bytes);
  CHECK(test::digest_of(file) == weights->hash);
}

}  // namespace
}  // namespace verace::download_test
