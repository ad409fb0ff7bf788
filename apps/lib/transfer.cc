// The words for curl and wget, and what their exit codes mean.
#include "apps/lib/transfer.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "apps/lib/child_process.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// The last line of what a program printed, without its name in front ("curl: (6) ...").
std::string last_line(std::string text, const std::string& program) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  text.erase(0, text.find_last_of("\r\n") + 1);  // npos + 1 is 0
  if (text.starts_with(program + ": ")) text.erase(0, program.size() + 2);
  return text;
}

// "curl: (6) Could not resolve host: ...".
std::string saying(const char* program, int code, const std::string& why) {
  return text::format("{}: ({}){}{}", program, code, why.empty() ? "" : " ", why);
}

// Exit codes: "EXIT CODES" of curl(1).
TransferEnd end_of_curl(int code) {
  switch (code) {
    case 0:
      return TransferEnd::kDone;
    case 23:  // cannot write
      return TransferEnd::kCannotWrite;
    case 33:  // the server knows no ranges
    case 36:  // file:// has less than is there already
      return TransferEnd::kCannotResume;
    default:
      return TransferEnd::kFailed;
  }
}

std::optional<Transfer> by_curl(const std::string& url, const std::filesystem::path& part,
                                const ChildStreams& streams) {
  const std::vector<std::string> words = {
      "curl", streams.errors_to_terminal ? "--progress-bar" : "--silent", "--fail", "--location",
      // A redirection to plain http would show to everybody on the way what is fetched.
      "--proto", "=https,file", "--proto-redir", "=https", "--connect-timeout", "20",
      "--speed-limit", "1024", "--speed-time", "60",
      // No [a-z] or {x,y} of curl's in addresses, and no #1 in names.
      "--globoff", "--continue-at", "-", "--output", part.string(), "--write-out",
      "%{http_code} %{errormsg}", "--url", url};
  const ChildResult result = run_child(words, streams);
  if (!result.found) return std::nullopt;
  if (result.stopped) return Transfer{TransferEnd::kStopped, ""};
  const std::string status = result.output.substr(0, result.output.find(' '));
  std::string why = result.output.substr(std::min(result.output.size(), status.size() + 1));
  if (why.empty()) why = last_line(result.errors, "curl");
  // A server answers 416 where a file ends before the position that it is asked for.
  if (result.code == 22 && status == "416")
    return Transfer{TransferEnd::kCannotResume, saying("curl", 22, why)};
  return Transfer{end_of_curl(result.code), saying("curl", result.code, why)};
}

// Exit codes: "EXIT STATUS" of wget(1).
TransferEnd end_of_wget(int code) {
  if (code == 0) return TransferEnd::kDone;
  return code == 3 ? TransferEnd::kCannotWrite : TransferEnd::kFailed;
}

std::optional<Transfer> by_wget(const std::string& url, const std::filesystem::path& part,
                                const ChildStreams& streams) {
  std::vector<std::string> words = {"wget",       "--no-verbose",
                                    "--tries=1",  "--timeout=60",
                                    "--continue", "--output-document=" + part.string()};
  if (streams.errors_to_terminal) words.emplace_back("--show-progress");
  words.insert(words.end(), {"--", url});
  if (url.starts_with("file:")) {
    return Transfer{TransferEnd::kFailed, "there is no curl, and wget knows no file:// URLs"};
  }
  const ChildResult result = run_child(words, streams);
  if (!result.found) return std::nullopt;
  if (result.stopped) return Transfer{TransferEnd::kStopped, ""};
  return Transfer{end_of_wget(result.code),
                  saying("wget", result.code, last_line(result.errors, "wget"))};
}

}  // namespace

bool is_accepted_url(const std::string& url) {
  return url.starts_with("https://") || url.starts_with("file:///");
}

Transfer transfer(const std::string& url, const std::filesystem::path& part, int lend) {
  ChildStreams streams;
  streams.errors_to_terminal = ::isatty(STDERR_FILENO) == 1;
  streams.lend = lend;
  if (const auto result = by_curl(url, part, streams)) return *result;
  if (const auto result = by_wget(url, part, streams)) return *result;
  return {TransferEnd::kNoProgram, "there is neither curl nor wget in PATH"};
}

}  // namespace verace::apps
