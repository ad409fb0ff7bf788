// Comma-separated values as RFC 4180 describes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace verace::data {

struct CsvRecord {
  int64_t line = 0;  // where it starts, from 1 (a quoted field may hold line breaks)
  std::vector<std::string> fields;
};

// All records, the header included. Fields may be quoted ("" is a quote; commas and line breaks are
// allowed inside); lines end with LF or CRLF; empty lines and a UTF-8 byte order mark are skipped.
// Every record must have as many fields as the first. Throws Error(kInput), "name:line: ...".
std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& name);

// `text` as one field of a record: in quotes where it needs them, every byte kept.
std::string csv_field(std::string_view text);

}  // namespace verace::data
