// The flags of a command: where their values go, and how bad ones are reported.
//
// A thin layer over CLI11, which only flags.cc and command_line.cc include (it is slow to compile).
// Values are converted by setters of ours, so that every message names the flag and says what to
// do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace verace::cli {

// Stores the text of a flag; throws Error(kInput) that starts with the flag's name.
using Setter = std::function<void(const std::string& text, const std::string& flag)>;

Setter into(std::string& target);
Setter into(std::filesystem::path& target);
Setter into(uint64_t& target);
// Whole numbers from `least` to `most`.
inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();
Setter into(int64_t& target, int64_t least, int64_t most = kNoLimit);
Setter into(int& target, int least, int most);
Setter into(std::optional<int64_t>& target, int64_t least, int64_t most = kNoLimit);
// Finite numbers that are at least `least`, or (above) more than it.
enum class Bound { kAtLeast, kAbove };
Setter into(double& target, double least, Bound bound = Bound::kAtLeast);
Setter into(std::optional<double>& target, double least, Bound bound = Bound::kAtLeast);
// Numbers from `low` to `high`, or (below) to less than it.
enum class Top { kIncluded, kExcluded };
Setter into_range(std::optional<double>& target, double low, double high, Top top = Top::kIncluded);
// One of several words; the position of the chosen one.
Setter into_choice(std::vector<std::string> words, std::function<void(size_t)> choose);

class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}

  // Flags declared from now on stand under this title in the help.
  void group(const std::string& title) { group_ = title; }
  // "--lr" with one value.
  void value(const std::string& name, const std::string& placeholder, const std::string& help,
             Setter set);
  // A flag without value that sets `target` to `on`.
  void toggle(const std::string& name, const std::string& help, bool& target, bool on = true);
  // An argument without a flag, in the order of declaration; whether it is required is the
  // command's question.
  void argument(const std::string& name, const std::string& help, std::string& target);
  // One or more arguments without a flag.
  void arguments(const std::string& name, const std::string& help,
                 std::vector<std::string>& target);

  bool given(const std::string& name) const;
  // Throw Error(kInput): name is missing; `hint` says what to give.
  void require(const std::string& name, const std::string& hint) const;
  // Throw Error(kInput) if both are given.
  void refuse_both(const std::string& a, const std::string& b, const std::string& why) const;
  // Calls the setters of all flags that were given.
  void apply() const;

 private:
  struct Entry {
    std::string name;
    Setter set;
    CLI::Option* option;
  };
  const Entry* find(const std::string& name) const;

  CLI::App& app_;
  std::string group_ = "Options";
  std::vector<Entry> entries_;
};

// What stands behind "verace NAME": "train", or "weights inspect" inside of a group.
struct Command {
  std::string name, summary, details, examples;
  std::function<void(Flags&)> declare;
  std::function<int(const Flags&)> run;  // the exit code
};

}  // namespace verace::cli
