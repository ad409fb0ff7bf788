// Flags on CLI11, and the conversion of their values.
#include "apps/cli/flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "kernels/check.h"
#include "kernels/format.h"
#include "weights/metadata_reading.h"

namespace verace::cli {
namespace {

template <typename T>
T whole(const std::string& text, const std::string& flag, T least,
        T most = std::numeric_limits<T>::max()) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < least || value > most) {
    const std::string range = most == std::numeric_limits<T>::max()
                                  ? text::format("of at least {}", least)
                                  : text::format("from {} to {}", least, most);
    fail_input(text::format("{}: '{}' is not a whole number {}", flag, text, range));
  }
  return value;
}

double finite(const std::string& text, const std::string& flag, double least, Bound bound) {
  const std::optional<double> value = weights::number_in_text(text);
  if (!value || *value < least || (bound == Bound::kAbove && *value <= least)) {
    fail_input(text::format("{}: '{}' is not a number {} {}", flag, text,
                            bound == Bound::kAbove ? ">" : ">=", least));
  }
  return *value;
}

void not_empty(const std::string& text, const std::string& flag) {
  if (text.empty()) fail_input(flag + ": must not be empty");
}

}  // namespace

Setter into(std::string& target) {
  return [&target](const std::string& text, const std::string& flag) {
    not_empty(text, flag);
    target = text;
  };
}

Setter into(std::filesystem::path& target) {
  return [&target](const std::string& text, const std::string& flag) {
    not_empty(text, flag);
    target = text;
  };
}

Setter into(uint64_t& target) {
  return [&target](const std::string& text, const std::string& flag) {
    target = whole<uint64_t>(text, flag, 0);
  };
}

Setter into(int64_t& target, int64_t least, int64_t most) {
  return [&target, least, most](const std::string& text, const std::string& flag) {
    target = whole(text, flag, least, most);
  };
}

Setter into(int& target, int least, int most) {
  return [&target, least, most](const std::string& text, const std::string& flag) {
    target = whole(text, flag, least, most);
  };
}

Setter into(std::optional<int64_t>& target, int64_t least, int64_t most) {
  return [&target, least, most](const std::string& text, const std::string& flag) {
    target = whole(text, flag, least, most);
  };
}

Setter into(double& target, double least, Bound bound) {
  return [&target, least, bound](const std::string& text, const std::string& flag) {
    target = finite(text, flag, least, bound);
  };
}

Setter into(std::optional<double>& target, double least, Bound bound) {
  return [&target, least, bound](const std::string& text, const std::string& flag) {
    target = finite(text, flag, least, bound);
  };
}

Setter into_range(std::optional<double>& target, double low, double high, Top top) {
  return [&target, low, high, top](const std::string& text, const std::string& flag) {
    const std::optional<double> value = weights::number_in_text(text);
    if (!value || *value < low || *value > high || (top == Top::kExcluded && *value == high)) {
      fail_input(text::format("{}: '{}' is not a number from {} to {}{}", flag, text, low,
                              top == Top::kExcluded ? "less than " : "", high));
    }
    target = value;
  };
}

Setter into_choice(std::vector<std::string> words, std::function<void(size_t)> choose) {
  return [words = std::move(words), choose = std::move(choose)](const std::string& text,
                                                                const std::string& flag) {
    std::string all;
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] == text) return choose(i);
      all += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
    }
    fail_input(text::format("{}: '{}' is not known: use {}", flag, text, all));
  };
}

void Flags::value(const std::string& name, const std::string& placeholder, const std::string& help,
                  Setter set) {
  CLI::Option* option = app_.add_option(name, help)->type_name(placeholder)->expected(1);
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);  // apply() refuses them
  option->group(group_);
  entries_.push_back({name, std::move(set), option});
}

void Flags::toggle(const std::string& name, const std::string& help, bool& target, bool on) {
  CLI::Option* option = app_.add_flag(name, help)->group(group_);
  entries_.push_back(
      {name, [&target, on](const std::string&, const std::string&) { target = on; }, option});
}

void Flags::argument(const std::string& name, const std::string& help, std::string& target) {
  CLI::Option* option = app_.add_option(name, help)->type_name("");
  entries_.push_back({name, into(target), option});
}

void Flags::arguments(const std::string& name, const std::string& help,
                      std::vector<std::string>& target) {
  CLI::Option* option = app_.add_option(name, help)
                            ->type_name("")
                            ->expected(1, std::numeric_limits<int>::max() / 2)
                            ->allow_extra_args();
  entries_.push_back({name,
                      [&target, option](const std::string&, const std::string& flag) {
                        target = option->results();
                        for (const std::string& text : target) not_empty(text, flag);
                      },
                      option});
}

const Flags::Entry* Flags::find(const std::string& name) const {
  for (const Entry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

bool Flags::given(const std::string& name) const {
  const Entry* entry = find(name);
  VERACE_CHECK(entry != nullptr, "no flag " + name);
  return entry->option->count() > 0;
}

void Flags::require(const std::string& name, const std::string& hint) const {
  if (!given(name)) fail_input(text::format("{} is missing: {}", name, hint));
}

void Flags::refuse_both(const std::string& a, const std::string& b, const std::string& why) const {
  if (given(a) && given(b)) {
    fail_input(text::format("{} and {} contradict each other: {}; leave one out", a, b, why));
  }
}

void Flags::apply() const {
  for (const Entry& entry : entries_) {
    const bool repeatable = entry.option->get_expected_max() != 1;
    if (entry.option->count() > 1 && !repeatable) {
      fail_input(
          text::format("{}: is given {} times: leave one", entry.name, entry.option->count()));
    }
    if (entry.option->count() == 0) continue;
    const std::string& value = entry.option->results().back();
    // As when a shell's variable between two flags is empty.
    if (entry.name.starts_with('-') && find(value) != nullptr) {
      fail_input(text::format("{0}: needs a value, but {1} follows (a file of that name is ./{1})",
                              entry.name, value));
    }
    entry.set(value, entry.name);
  }
}

}  // namespace verace::cli
