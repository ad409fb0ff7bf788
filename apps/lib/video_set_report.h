// What a data set of videos holds, and how it was divided: as text for people, JSON for programs,
// and a list.
#pragma once

#include <string>

#include "data/video_set.h"

namespace verace::apps {

// Several lines: the kind, a table of the folders, where the official split stands, notes.
std::string video_set_text(const data::VideoSet& set);

// Several lines: the rule, a table of the splits, what was dropped, what leaks.
std::string split_report_text(const data::SplitReport& report);

// Both as one JSON object; `splits` may be null. Videos are counted, not listed.
std::string video_set_json(const data::VideoSet& set, const data::SplitReport* splits);

// A CSV with a line for each video: path,name,label,identity,split,sources (joined by '+'); paths
// as they were found.
std::string video_list_csv(const data::VideoSet& set);

}  // namespace verace::apps
