// verace weights fetch: published weight files, transferred and verified.

#include <cctype>
#include <memory>

#include "apps/cli/commands.h"
#include "apps/cli/common.h"
#include "apps/lib/download.h"
#include "apps/lib/published_weights.h"
#include "apps/lib/signals.h"
#include "apps/lib/transfer.h"
#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/model_description.h"
#include "weights/name_map.h"

namespace verace::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFewestDigits = 8;  // as torchvision has in its names

struct WeightsFetchArguments {
  std::string name, url, sha256;
  fs::path out;
  bool list = false;
};

apps::FileHash hash_in(const std::string& text) {
  apps::FileHash hash;
  for (const char c : text) {
    hash.hex += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const bool digits = hash.hex.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!digits || hash.hex.size() < kFewestDigits || hash.hex.size() > digits_of(hash.kind)) {
    fail_input(
        text::format("--sha256: '{}' is not a digest: give its 64 hexadecimal digits, or "
                     "at least the first {}",
                     text, kFewestDigits));
  }
  return hash;
}

// What a URL ends in, before a query; empty where that cannot be the name of a file.
std::string file_in(const std::string& url) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  const std::string name = path.substr(path.rfind('/') + 1);
  return name == "." || name == ".." ? "" : name;
}

// --out names a file, or a folder for the file's own name.
fs::path target(const fs::path& out, const std::string& name) {
  if (out.empty()) {
    if (name.empty()) fail_input("--url: has no file's name at its end: name a file by --out");
    return name;
  }
  std::error_code failed;
  if (!fs::is_directory(out, failed)) {
    if (!out.has_filename()) fail_input("--out: there is no folder " + out.string());
    return out;
  }
  if (name.empty()) fail_input("--out: is a folder, and the URL names no file: name a file");
  return out / name;
}

apps::DownloadRequest request_of(const Flags& flags, const WeightsFetchArguments& o,
                                 const apps::PublishedWeights* published) {
  apps::DownloadRequest request;
  if (published != nullptr) {
    request.url = published->url;
    request.bytes = published->bytes;
    request.hash = published->file_hash();
    request.file = target(o.out, published->file);
  } else {
    flags.require("--sha256", "what a URL sends is not used unverified; its publisher names it");
    if (!apps::is_accepted_url(o.url)) {
      fail_input(text::format("--url: '{}' is neither https:// nor file:///", o.url));
    }
    request.url = o.url;
    request.hash = hash_in(o.sha256);
    request.file = target(o.out, file_in(o.url));
  }
  request.say = [](const std::string& text) { text::print(stderr, "note: {}\n", one_line(text)); };
  return request;
}

// What the file is for this program, and a command that uses it.
void introduce(const std::string& file, const apps::PublishedWeights* published) {
  if (published != nullptr && !published->variant) {
    text::print(stdout, "a face detector: {}\n", published->note);
    return;
  }
  try {
    const weights::WeightFile opened(file);
    const weights::ModelDescription network = weights::describe(opened);
    std::string source;
    for (const weights::Finding& finding : network.findings) {
      if (finding.what == "variant") source = weights::to_string(finding.source);
    }
    text::print(stdout, "{}, {} tensors: ResNet-50 {} ({})\n", weights::to_string(opened.format()),
                opened.tensors().size(), engine::to_string(network.variant), source);
    if (const std::string mismatch = find_mismatch(opened, network); !mismatch.empty()) {
      fail_input(opened.path() + ": " + mismatch);
    }
    text::print(stdout, "use it:  verace train --data DIR --weights {} --out RUN\n",
                one_line(file));
    text::print(stdout, "look:    verace weights inspect {}\n", one_line(file));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInput) throw;
    text::print(stderr, "note: {}\n", e.what());  // good, but not for us
  }
}

int fetch(const apps::DownloadRequest& request, const apps::PublishedWeights* published) {
  const apps::SignalGuard guard;
  const apps::DownloadEnd end = apps::download(request);
  const std::string file = request.file.string();
  if (end == apps::DownloadEnd::kStopped) {
    std::error_code none;
    const fs::path part = apps::part_of(request.file);
    const bool kept = fs::exists(part, none);
    text::print(
        stderr, "verace: stopped{}\n",
        kept ? ": " + one_line(part.string()) + " is kept, and the same command goes on from there"
             : "");
    return 128 + apps::stop_signal();
  }
  text::print(stdout, "{}: {}, verified ({})\n", one_line(file),
              end == apps::DownloadEnd::kAlreadyThere ? "already there" : "fetched",
              request.hash.text());
  introduce(file, published);
  return 0;
}

int run(const Flags& flags, const WeightsFetchArguments& o) {
  flags.refuse_both("NAME", "--url", "one names a file of the list, the other any file");
  flags.refuse_both("--list", "--url", "the list holds published files");
  if (flags.given("--sha256") && !flags.given("--url")) {
    fail_input("--sha256: goes with --url; the digests of the list's files are known");
  }
  const apps::PublishedWeights* published = nullptr;
  if (flags.given("NAME")) {
    published = apps::find_published(o.name);
    if (published == nullptr) {
      fail_input(text::format(
          "NAME: there is no published file '{}' (`verace weights fetch` lists them)", o.name));
    }
  }
  if (o.list || (published == nullptr && !flags.given("--url"))) {
    text::print(
        stdout, "{}",
        published != nullptr ? apps::published_details(*published) : apps::published_table());
    return 0;
  }
  return fetch(request_of(flags, o, published), published);
}

}  // namespace

Command fetch_command() {
  const auto options = std::make_shared<WeightsFetchArguments>();
  return {
      "weights fetch",
      "Fetch a published weight file and verify it",
      "Without NAME it lists the files it knows. What has arrived of a file stands in FILE.part\n"
      "until it is complete and its digest is right; the same command goes on after a break.\n"
      "It needs curl (or wget). Without network, get the file from its URL (--list NAME) on\n"
      "another machine, put it where it shall stand, and run the command: it verifies it.",
      "  verace weights fetch\n"
      "  verace weights fetch torchvision-imagenet1k-v2\n"
      "  verace weights fetch timm-a1-in1k --out models/resnet50.safetensors\n",
      [options](Flags& flags) {
        flags.argument("NAME", "A file of the list", options->name);
        flags.value("--out", "FILE", "Where it shall stand, or a folder; default: here",
                    into(options->out));
        flags.toggle("--list", "Only print the list; with NAME, all about this file",
                     options->list);
        flags.value("--url", "URL", "Another file: https:// or file:///", into(options->url));
        flags.value("--sha256", "HEX", "Its digest, or the beginning (8 digits or more)",
                    into(options->sha256));
      },
      [options](const Flags& flags) { return run(flags, *options); }};
}

}  // namespace verace::cli
