// verace weights fetch: the list, a fetched network, refusals, signals, full discs.
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/apps/fetch_support.h"
#include "tests/cli/world.h"

namespace verace::weights_fetch_test {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::expect_error;
using test::Finished;
using test::OwnPath;
using test::read_text;
using test::Words;
using test::World;
using test::write_text;

constexpr const char* kNoDigest = "00000000";

// The words to fetch a file of the world into a folder of the world's own for this.
Words fetch(const std::string& source, const Words& more) {
  const World& world = World::get();
  Words words = {"weights",  "fetch",
                 "--url",    "file://" + world / source,
                 "--sha256", test::digest_of(world / source)};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// An empty folder.
std::string fresh(const std::string& name) {
  const World& world = World::get();
  fs::remove_all(world / name);
  fs::create_directory(world / name);
  return world / name;
}

Words names_in(const std::string& folder) {
  Words names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

TEST_CASE("the list of published files, and one of them") {
  const World& world = World::get();
  const Finished list = world.run({"weights", "fetch"});
  CHECK(list.code == 0);
  CHECK(list.err.empty());
  CHECK(list.out == world.run({"weights", "fetch", "--list"}).out);
  CHECK(contains(list.out, "torchvision-imagenet1k-v2     102.5  ResNet-50 v1.5  torchvision"));
  CHECK(contains(list.out, "keras-old-notop                94.7  ResNet-50 v1    Keras, old"));
  CHECK(contains(list.out, "face detector"));
  const Finished one = world.run({"weights", "fetch", "torchvision-imagenet1k-v2", "--list"});
  CHECK(one.code == 0);
  CHECK(contains(one.out, "https://download.pytorch.org/models/resnet50-11ad3fa6.pth\n"));
  CHECK(contains(one.out, "sha256       11ad3fa6"));
}

TEST_CASE("a network is fetched, verified and introduced") {
  const World& world = World::get();
  const std::string folder = fresh("fetched");
  const Words words = fetch("run/best.safetensors", {"--out", folder});
  const std::string file = folder + "/best.safetensors";
  Finished finished = world.run(words);
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(finished.err.empty());
  CHECK(contains(finished.out, file + ": fetched, verified (sha256 "));
  CHECK(contains(finished.out, "safetensors, "));
  CHECK(contains(finished.out, "ResNet-50 v1.5 (metadata)"));
  CHECK(contains(finished.out, "verace train --data DIR --weights " + file + " --out RUN\n"));
  CHECK(read_text(file) == read_text(world / "run/best.safetensors"));
  CHECK(names_in(folder) == Words{"best.safetensors"});
  finished = world.run(words);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, file + ": already there, verified (sha256 "));
  // By the beginning of its digest, in capitals.
  Words beginning = fetch("run/best.safetensors", {"--out", folder + "/other.bin"});
  std::string digits = beginning[5].substr(0, 12);
  std::ranges::transform(digits, digits.begin(),
                         [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  beginning[5] = digits;
  finished = world.run(beginning);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "verified (the first 12 of 64 digits of sha256, "));
}

TEST_CASE("a file that is right and no network") {
  const World& world = World::get();
  write_text(world / "notes.txt", "hello");
  const Finished finished =
      world.run(fetch("notes.txt", {"--out", fresh("fetched") + "/notes.txt"}));
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "fetched, verified"));
  CHECK_FALSE(finished.out.find("use it") != std::string::npos);
  CHECK(contains(finished.err, "note: "));
}

TEST_CASE("files of PyTorch and Keras are introduced as what they are") {
  const World& world = World::get();
  const fs::path goldens = VERACE_GOLDENS;
  const auto get = [&](const fs::path& source) {
    return world.run({"weights", "fetch", "--url", "file://" + source.string(), "--sha256",
                      test::digest_of(source), "--out", fresh("fetched")});
  };
  Finished finished = get(goldens / "pth_narrow_zip.pth");
  CHECK(finished.code == 0);
  CHECK(finished.err.empty());
  CHECK(contains(finished.out, "PyTorch zip, 320 tensors: ResNet-50 v1.5 (ASSUMPTION)\n"));
  CHECK(contains(finished.out, "use it:  verace train "));
  // The stem alone is no network to train.
  finished = get(goldens / "h5/keras2_stem.h5");
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "Keras HDF5, 30 tensors: ResNet-50 v1 (ASSUMPTION)\n"));
  CHECK_FALSE(finished.out.find("use it") != std::string::npos);
  CHECK(contains(finished.err, "note: "));
  CHECK(contains(finished.err, "does not fit ResNet-50"));
}

TEST_CASE("what cannot be meant is refused") {
  const World& world = World::get();
  const std::string out = world / "refused.bin", url = "file://" + world / "run/best.safetensors";
  const auto refuse = [&](const Words& more, const test::Parts& parts) {
    Words words = {"weights", "fetch", "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    test::expect_refusal(words, parts);
  };
  refuse({"resnet"}, {"NAME", "'resnet'", "`verace weights fetch` lists them"});
  refuse({"keras", "--url", url}, {"NAME and --url contradict each other"});
  refuse({"--list", "--url", url}, {"--list and --url contradict each other"});
  refuse({"keras", "--sha256", kNoDigest}, {"--sha256: goes with --url"});
  refuse({"--url", url}, {"--sha256 is missing"});
  for (const std::string& digest :
       {std::string("1234567"), std::string("1234567g"), std::string(65, 'a')}) {
    refuse({"--url", url, "--sha256", digest}, {"--sha256: '" + digest + "' is not a digest"});
  }
  for (const char* bad : {"http://example.invalid/a", "ftp://example.invalid/a", "a.pth",
                          "file://elsewhere/a", "-o/tmp/a"}) {
    refuse({"--url", bad, "--sha256", kNoDigest}, {"--url: ", "is neither https:// nor file:///"});
  }
  Words no_name = {"weights", "fetch", "--url", "https://example.invalid/", "--sha256", kNoDigest};
  test::expect_refusal(no_name, {"--url: has no file's name at its end"});
  no_name.insert(no_name.end(), {"--out", world.path().string()});
  test::expect_refusal(no_name, {"--out: is a folder, and the URL names no file"});
  no_name.back() = world / "none/";
  test::expect_refusal(no_name, {"--out: there is no folder"});
  // A name that is taken, and a source that sends something else.
  write_text(world / "taken.bin", "mine");
  test::expect_refusal(fetch("run/best.safetensors", {"--out", world / "taken.bin"}),
                       {"taken.bin: is there and is another file", "it stays as it is"});
  refuse({"--url", url, "--sha256", kNoDigest}, {"sends another file", "not 00000000"});
}

TEST_CASE("without network and without a program to fetch with") {
  const World& world = World::get();
  const OwnPath path;
  const std::string file = world / "resnet50.pth";
  const Words words = {"weights", "fetch", "torchvision-imagenet1k-v1", "--out", file};
  test::expect_refusal(words, {"https://download.pytorch.org/models/resnet50-0676ba61.pth",
                               "neither curl nor wget", "put it at " + file});
  path.script("curl", "printf '000 Could not resolve host: download.pytorch.org'; exit 6");
  test::expect_refusal(words, {"https://download.pytorch.org/models/resnet50-0676ba61.pth",
                               "Could not resolve host", "put it at " + file});
  test::expect_refusal(fetch("run/best.safetensors", {"--out", world / "none/file"}),
                       {"create the folder first"});
}

TEST_CASE("a full disc keeps what has arrived") {
  const World& world = World::get();
  const std::string folder = fresh("fetched");
  const Words words = fetch("run/best.safetensors", {"--out", folder});
  // Blocks of 512 bytes.
  expect_error(world.run_in_shell("ulimit -f 64", words),
               {"best.safetensors.part: cannot be written", "free some space"});
  CHECK(names_in(folder) == Words{"best.safetensors.part"});
  CHECK(fs::file_size(folder + "/best.safetensors.part") == 64 * 512);
  const Finished finished = world.run(words);
  CHECK(finished.code == 0);
  CHECK(contains(finished.err, "from an earlier try"));
  CHECK(names_in(folder) == Words{"best.safetensors"});
}

TEST_CASE("Ctrl-C keeps the part, ends the transfer, and the next call goes on") {
  const World& world = World::get();
  const std::string folder = fresh("fetched"), part = folder + "/best.safetensors.part";
  const Words words = fetch("run/best.safetensors", {"--out", folder});
  {
    const OwnPath path;
    const std::string pid = world / "curl.pid";
    path.script("curl", "head -c 5000 " + world / "run/best.safetensors" +
                            " >>\"$out\"; echo $$ >" + pid + ".new; mv " + pid + ".new " + pid +
                            "; exec sleep 600");
    const auto process = world.start(words);
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!fs::exists(pid) && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    process->signal(SIGINT);
    const Finished finished = process->wait();
    INFO(finished.err);
    CHECK(finished.code == 128 + SIGINT);
    CHECK(contains(finished.err, "best.safetensors.part is kept"));
    CHECK(finished.out.empty());
    const pid_t child = std::stoi(read_text(pid));
    CHECK(::kill(child, 0) != 0);  // it is gone, and was waited for
  }
  CHECK(names_in(folder) == Words{"best.safetensors.part"});
  CHECK(read_text(part) == read_text(world / "run/best.safetensors").substr(0, 5000));
  const Finished finished = world.run(words);
  CHECK(finished.code == 0);
  CHECK(names_in(folder) == Words{"best.safetensors"});
}

TEST_CASE("a published file by its name, where it is at hand") {
  const char* data = std::getenv("VERACE_TEST_DATA");
  if (data == nullptr) {
    std::printf("SKIPPED cli/weights_fetch published file: VERACE_TEST_DATA is not set\n");
    return;
  }
  const World& world = World::get();
  const std::string folder = fresh("fetched");
  const OwnPath path;
  path.script("curl", "cat " + std::string(data) +
                          "/retinaface_mobilenet025/Final_Retinaface.pth >\"$out\"");
  const Finished finished =
      world.run({"weights", "fetch", "retinaface-mobilenet025", "--out", folder});
  INFO(finished.err);
  CHECK(finished.code == 0);
  CHECK(contains(finished.out, "a face detector: "));
  CHECK(names_in(folder) == Words{"Final_Retinaface.pth"});
  CHECK(contains(read_text(path.log()), "--url\nhttps://raw.githubusercontent.com/biubug6/"));
}

}  // namespace
}  // namespace verace::weights_fetch_test
