// One attempt to get a file from a URL, by the program curl, or wget where there is no curl.
#pragma once

#include <filesystem>
#include <string>

namespace verace::apps {

enum class TransferEnd {
  kDone,          // the program says that everything has arrived
  kStopped,       // a stop signal arrived
  kNoProgram,     // neither curl nor wget is in PATH
  kCannotResume,  // the server begins at the beginning only, or has less than is there already
  kCannotWrite,   // a full disc, or a limit on the size of files
  kFailed         // anything else: no network, no such file, the connection broke off
};
struct Transfer {
  TransferEnd end = TransferEnd::kFailed;
  std::string why;  // what the program says; for all but kDone and kStopped
};

// Whether the URL is one of the two kinds that are taken: https:// and file://.
bool is_accepted_url(const std::string& url);

// Gets what is behind `url` from the position on at which `part` (an existing file) ends, and
// appends it. Follows redirections (curl to https only; wget cannot be told so). Gives up after 20
// s without a connection or 60 s with less than 1 KB a second. Draws the program's bar on stderr if
// that is a terminal, else it prints nothing. The user's own settings of curl and wget (proxies,
// certificates) are in force: whether the right bytes arrived is the digest's question. `lend`: as
// in ChildStreams.
Transfer transfer(const std::string& url, const std::filesystem::path& part, int lend);

}  // namespace verace::apps
