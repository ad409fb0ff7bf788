// Every command of the README, of docs/ and of the help's own examples exists, with the flags that
// it is shown with.
#include <map>
#include <optional>
#include <sstream>

#include "tests/cli/world.h"

namespace verace::documented_commands_test {
namespace {

namespace fs = std::filesystem;
using test::Finished;
using test::Process;
using test::read_text;
using test::TempFolder;
using test::Words;

// The help of a command ("attack fgsm"; "" for the program's own), or nothing where there is none.
std::optional<std::string> help_of(const std::string& command) {
  static std::map<std::string, std::optional<std::string>> known;
  const auto found = known.find(command);
  if (found != known.end()) return found->second;
  Words words;
  std::istringstream in(command);
  for (std::string word; in >> word;) words.push_back(word);
  words.push_back("--help");
  const TempFolder folder;
  const Finished finished = Process(test::verace_program(), words, folder.path()).wait();
  const bool exists = finished.code == 0 && finished.err.empty();
  return known[command] = exists ? std::optional(finished.out) : std::nullopt;
}

// The words of a line of shell up to a comment, a pipe or a redirection, without the brackets of
// what may be left out.
Words words_of(const std::string& line) {
  Words words;
  std::istringstream in(line);
  for (std::string word; in >> word;) {
    if (word[0] == '#' || word[0] == '|' || word[0] == '>' || word[0] == '&' || word == "2>") break;
    std::erase_if(
        word, [](char c) { return std::string_view("[]`\"'").find(c) != std::string_view::npos; });
    const bool last = word.ends_with(';');
    if (last) word.pop_back();
    if (!word.empty()) words.push_back(word);
    if (last) break;
  }
  return words;
}

bool is_program(const std::string& word) { return word == "verace" || word.ends_with("/verace"); }

// What calls the program in a text: lines in fenced blocks, indented lines (as the help shows its
// examples), `spans` of code. Lines that end in a backslash go on.
std::vector<std::string> calls_in(const std::string& text) {
  std::vector<std::string> calls;
  std::istringstream in(text);
  bool fenced = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) fenced = !fenced;
    for (std::string more; line.ends_with('\\') && std::getline(in, more);) {
      line.pop_back();
      line += more;
    }
    if (fenced || line.starts_with("  ")) {
      std::istringstream first(line);
      std::string word;
      while (first >> word && (word == "$" || word.find('=') != std::string::npos)) {
      }
      if (is_program(word)) calls.push_back(line.substr(line.find(word)));
    }
    if (fenced) continue;
    for (size_t begin = line.find('`'); begin != std::string::npos;) {
      const size_t end = line.find('`', begin + 1);
      if (end == std::string::npos) break;
      const std::string span = line.substr(begin + 1, end - begin - 1);
      if (is_program(span.substr(0, span.find(' ')))) calls.push_back(span);
      begin = line.find('`', end + 1);
    }
  }
  return calls;
}

// Whether a line of the help begins with the flag: its examples name flags too, and prove nothing.
bool lists(const std::string& help, const std::string& flag) {
  std::istringstream in(help);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("  -h,")) line.replace(0, 5, "  ");
    if (!line.starts_with("  " + flag)) continue;
    const char next = line.size() > 2 + flag.size() ? line[2 + flag.size()] : ' ';
    if (next == ' ') return true;
  }
  return false;
}

// What is wrong with a call; empty: nothing. "COMMAND" stands for any command.
std::string fault_in(const std::string& call) {
  const Words words = words_of(call);
  std::string command;
  size_t i = 1;
  for (; i < words.size() && words[i][0] != '-'; ++i) {
    const std::string longer = command + (command.empty() ? "" : " ") + words[i];
    // Words behind a command are its arguments; only groups of commands list further ones.
    if (!command.empty() && help_of(command)->find("Subcommands:") == std::string::npos) break;
    if (words[i] == "COMMAND") return "";
    if (!help_of(longer)) return "there is no command '" + longer + "'";
    command = longer;
  }
  const std::string help = help_of(command).value();
  for (; i < words.size(); ++i) {
    if (!words[i].starts_with("--")) continue;
    const std::string flag = words[i].substr(0, words[i].find_first_of("=,|)"));
    if (flag.size() > 2 && !lists(help, flag)) return flag + " is no flag of " + command;
  }
  return "";
}

int check_calls(const std::string& text, const std::string& name) {
  int count = 0;
  for (const std::string& call : calls_in(text)) {
    const std::string fault = fault_in(call);
    CHECK_MESSAGE(fault.empty(), name, ": `", call, "`: ", fault);
    ++count;
  }
  return count;
}

TEST_CASE("this test finds commands and flags that do not exist") {
  const std::vector<std::string> calls = calls_in(
      "```sh\nverace eval --mode X\nA=1 build/release/verace train --data D \\\n  --lr 1 # --no\n"
      "```\n    verace nothing\nSee `verace attack fgsm --epsilo 1` and `verace weights look "
      "F`.\n");
  REQUIRE(calls.size() == 5);
  CHECK(fault_in(calls[0]) == "--mode is no flag of eval");  // though --model is one
  CHECK(fault_in(calls[1]).empty());
  CHECK(fault_in(calls[2]) == "there is no command 'nothing'");
  CHECK(fault_in(calls[3]) == "--epsilo is no flag of attack fgsm");
  CHECK(fault_in(calls[4]) == "there is no command 'weights look'");
  CHECK(fault_in("verace predict --model M face.jpg [--json] | less --nothing").empty());
  CHECK(fault_in("verace --help").empty());
  CHECK(lists("Options:\n  --fit HOW  How\n", "--fit"));
  CHECK_FALSE(lists("Options:\n  --fit HOW  Not --fat\n\nExamples:\n  verace x --fat\n", "--fat"));
}

TEST_CASE("documented commands exist with their flags") {
  const fs::path root = fs::path(VERACE_GOLDENS).parent_path().parent_path();
  REQUIRE(fs::exists(root / "README.md"));
  int count = check_calls(read_text(root / "README.md"), "README.md");
  CHECK(count >= 10);
  for (const char* folder : {"docs", "bench/results"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".md") continue;
      count += check_calls(read_text(entry.path()), entry.path().lexically_relative(root).string());
    }
  }
  CHECK(count >= 15);
}

TEST_CASE("the help's examples") {
  std::istringstream list(help_of("")->substr(help_of("")->find("Subcommands:")));
  std::string line;
  std::getline(list, line);
  int commands = 0;
  while (std::getline(list, line) && line.starts_with("  ")) {
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    INFO(name);
    std::optional<std::string> help = help_of(name);
    REQUIRE(help);
    if (name == "attack") help = help_of("attack fgsm");
    if (name == "dataset") help = help_of("dataset inspect");
    if (name == "weights") {
      help = "";
      for (const char* command : {"inspect", "convert", "diff", "fetch"}) {
        *help += help_of(text::format("weights {}", command)).value();
      }
    }
    const size_t examples = help->find("Examples:");
    REQUIRE(examples != std::string::npos);
    CHECK(check_calls(help->substr(examples), name + " --help") >= 1);
    ++commands;
  }
  CHECK(commands >= 8);
}

}  // namespace
}  // namespace verace::documented_commands_test
