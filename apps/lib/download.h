// A file from a URL under its final name: complete and with the right digest, or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "apps/lib/file_hash.h"

namespace verace::apps {

struct DownloadRequest {
  std::string url;  // https:// or file://
  std::filesystem::path file;
  FileHash hash;
  int64_t bytes = 0;  // of the whole file; 0: not known
  // Is told in one line what a person should know while it happens.
  std::function<void(const std::string&)> say;
};

enum class DownloadEnd {
  kFetched,       // now there, verified
  kAlreadyThere,  // was there, verified; nothing was transferred
  kStopped        // a stop signal arrived (hold a SignalGuard); what has arrived is kept
};

// Where what has arrived so far stands: FILE.part.
std::filesystem::path part_of(const std::filesystem::path& file);

// Collects the file in FILE.part, verifies it and only then gives it its name; a crash leaves
// either no FILE or the right one. A FILE.part of an earlier try is used: taken as it is if it is
// complete already, else continued. What turns out to be wrong is never kept: if an earlier try's
// bytes are in it, it is fetched once more from the beginning, else the .part is removed and the
// error says what came in its place. Transfers that break off are continued as long as each brings
// something (kMostTries). Two calls for one file at a time: the second is refused.
//
// Throws Error(kInput), one line with what to do: for a FILE that is there and is not the one asked
// for (it stays as it is), a folder that is missing or not writable, too little space, an
// unreachable server, no program to fetch with (the line then names the URL and where to put it),
// and a wrong digest.
DownloadEnd download(const DownloadRequest& request);
inline constexpr int kMostTries = 8;

}  // namespace verace::apps
