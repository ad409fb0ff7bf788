// The weight files that others have published and that `verace weights fetch` knows.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "apps/lib/file_hash.h"
#include "engine/network_options.h"

namespace verace::apps {

struct PublishedWeights {
  const char* name;  // what the command calls it
  const char* file;  // what it is stored as here: the publisher's name where that is unique
  const char* url;   // of exactly these bytes: a commit, not a branch, where there is a choice
  int64_t bytes;
  HashKind hash_kind;
  const char* hash;  // by the publisher or by those who have fetched it (published_weights.cc)
  // Empty: a face detector (RetinaFace), not a ResNet-50.
  std::optional<engine::Variant> variant;
  const char* names;    // the naming family of its tensors
  const char* licence;  // as its publisher states it
  const char* note;     // what else matters to a user

  FileHash file_hash() const { return {hash_kind, hash}; }
};

std::span<const PublishedWeights> published_weights();

// nullptr: there is none of that name.
const PublishedWeights* find_published(std::string_view name);

// For people: one line per file.
std::string published_table();
// All that is known about one, with its URL and digest.
std::string published_details(const PublishedWeights& weights);

}  // namespace verace::apps
