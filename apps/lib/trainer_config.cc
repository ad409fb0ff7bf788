// Training options as TOML; the only file that includes the TOML library.

// Where bad input breaks what the library takes for granted ("[= 1]" does) it calls TOML_ASSERT,
// and with NDEBUG tells the compiler that it cannot be: undefined behaviour. Here it throws.
#undef NDEBUG
namespace {
struct NotToml {};
[[noreturn]] void throw_not_toml() { throw NotToml(); }
}  // namespace
#define TOML_ASSERT(condition) ((condition) ? void() : throw_not_toml())

#include <toml++/toml.h>  // NOLINT
#include <algorithm>
#include <charconv>
#include <set>
#include <sstream>

#include "apps/lib/trainer_options.h"
#include "engine/network_options.h"
#include "kernels/check.h"
#include "kernels/format.h"

namespace verace::apps {
namespace {

// The one list of keys: calls visit(key, member) in the order of the file.
template <typename Options, typename Visitor>
void for_each_option(Options& o, Visitor&& visit) {
  visit("data", o.data);
  visit("allow-leak", o.allow_leak);
  visit("strict", o.strict);
  visit("fit", o.fit);
  visit("resize", o.resize);
  visit("workers", o.workers);
  visit("cache-mb", o.cache_mb);
  visit("flip", o.flip);
  visit("balanced-sampling", o.balanced_sampling);
  visit("pseudo-fakes", o.pseudo_fakes);
  visit("weights", o.weights);
  visit("keep-head", o.keep_head);
  visit("variant", o.overrides.variant);
  visit("pool", o.overrides.pool);
  visit("input-scale", o.overrides.input_scale);
  visit("bn-epsilon", o.overrides.bn_epsilon);
  visit("force", o.overrides.force);
  visit("input-size", o.input_size);
  visit("stem-channels", o.stem_channels);
  visit("head", o.head_hidden);
  visit("init", o.initialisation);
  visit("freeze", o.freeze);
  visit("frozen-bn", o.frozen_bn);
  visit("epochs", o.epochs);
  visit("batch", o.batch);
  visit("lr", o.learning_rate);
  visit("adam", o.adam);
  visit("adam-epsilon", o.adam_epsilon);
  visit("loss", o.loss);
  visit("class-weights", o.class_weights);
  visit("recalibrate", o.recalibrate);
  visit("seed", o.seed);
  visit("fpr", o.fpr);
  visit("device", o.device);
  visit("launch", o.launch);
  visit("plans", o.plans);
  visit("precision", o.precision);
  visit("threads", o.threads);
  visit("out", o.out);
  visit("resume", o.resume);
  visit("trace", o.trace);
  visit("print-plan", o.print_plan);
  visit("quiet", o.quiet);
  visit("max-steps", o.max_steps);
  visit("save-every", o.save_every);
}

constexpr const char* kActivation = "activation";  // a text for head_slope, so not in the list

// The library's search for white space has undefined behaviour on letters outside of ASCII, also in
// texts that are damaged; so it never sees one. Each of their bytes, and each '~', is "~" and two
// hexadecimal digits while it parses; outside of quotes that is no TOML, as the letters are not.
std::string without_letters(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x80 || c == '~' ? text::format("~{:02x}", byte) : std::string(1, c);
  }
  return out;
}

// The inverse, for what was parsed.
std::string with_letters(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    unsigned byte = 0;
    const char* end = text.data() + std::min<size_t>(text.size(), 3);
    const bool coded = text[0] == '~' && text.size() >= 3 &&
                       std::from_chars(text.data() + 1, end, byte, 16).ptr == end;
    out += coded ? static_cast<char>(byte) : text[0];
    text.remove_prefix(coded ? 3 : 1);
  }
  return out;
}

class Writer {
 public:
  template <typename T>
  void operator()(const char* key, const T& value) {
    if constexpr (requires { value.has_value(); }) {
      if (value) (*this)(key, *value);
    } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
      put(key, value.string());
    } else if constexpr (requires { engine::to_string(value); }) {
      put(key, std::string(engine::to_string(value)));
    } else if constexpr (requires { to_text(value); }) {
      put(key, to_text(value));
    } else if constexpr (std::is_same_v<T, int> || std::is_same_v<T, uint64_t>) {
      put(key, static_cast<int64_t>(value));
    } else {
      put(key, value);
    }
  }
  std::string text() const { return with_letters(out_.str()); }

 private:
  // One entry at a time: a whole table would be sorted by key.
  template <typename T>
  void put(const char* key, const T& value) {
    toml::table entry;
    if constexpr (std::is_same_v<T, std::string>) {
      entry.insert(key, without_letters(value));
    } else {
      entry.insert(key, value);
    }
    out_ << entry << '\n';
  }
  std::ostringstream out_;
};

engine::Variant parse_choice(const std::string& text, const std::string& where, engine::Variant) {
  return engine::parse_variant(text, where);
}
engine::PoolMode parse_choice(const std::string& text, const std::string& where, engine::PoolMode) {
  return engine::parse_pool_mode(text, where);
}
engine::InputScale parse_choice(const std::string& text, const std::string& where,
                                engine::InputScale) {
  return engine::parse_input_scale(text, where);
}

class Reader {
 public:
  Reader(const toml::table& table, std::string where) : table_(table), where_(std::move(where)) {}

  template <typename T>
  void operator()(const char* key, T& value) {
    known_.insert(key);
    const toml::node* node = table_.get(key);
    if (node != nullptr) read(*node, key, value);
  }

  void check_keys() const {
    for (const auto& [key, node] : table_) {
      if (!known_.contains(std::string(key.str()))) {
        fail_input(text::format("{}: '{}' is no option: see verace train --help", place(node),
                                with_letters(key.str())));
      }
    }
  }

 private:
  std::string place(const toml::node& node) const {
    return text::format("{}:{}", where_, node.source().begin.line);
  }
  template <typename T>
  T expect(const toml::node& node, const char* key, const char* kind) const {
    const auto value = node.value_exact<T>();
    if (!value) fail_input(text::format("{}: {} must be {}", place(node), key, kind));
    return *value;
  }
  template <typename T>
  void read(const toml::node& node, const char* key, T& value) {
    if constexpr (std::is_same_v<T, std::optional<int64_t>>) {
      value = expect<int64_t>(node, key, "a whole number");
    } else if constexpr (std::is_same_v<T, bool>) {
      value = expect<bool>(node, key, "true or false");
    } else if constexpr (std::is_integral_v<T>) {
      const auto number = expect<int64_t>(node, key, "a whole number");
      if (!std::in_range<T>(number)) {
        fail_input(text::format("{}: {} = {} is out of range", place(node), key, number));
      }
      value = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::optional<double>>) {
      value = node.is_integer() ? static_cast<double>(expect<int64_t>(node, key, "a number"))
                                : expect<double>(node, key, "a number");
    } else {
      read_text(with_letters(expect<std::string>(node, key, "a text in quotes")),
                place(node) + ": " + key, value);
    }
  }
  template <typename T>
  void read_text(const std::string& text, const std::string& where, T& value) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::filesystem::path>) {
      value = text;
    } else if constexpr (requires { value.has_value(); }) {
      value = parse_choice(text, where, typename T::value_type{});
    } else {
      parse_text(text, where, value);
    }
  }

  const toml::table& table_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace

std::string config_text(const TrainOptions& options) {
  Writer writer;
  for_each_option(options, writer);
  writer(kActivation, activation_text(options.head_slope));
  return writer.text();
}

void read_config(const std::string& text, const std::string& where, TrainOptions& options) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string_view content = text;
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  toml::table table;
  try {
    table = toml::parse(without_letters(content));
  } catch (const toml::parse_error& error) {
    fail_input(text::format("{}:{}: {}: see the TOML syntax", where, error.source().begin.line,
                            error.description()));
  } catch (const NotToml&) {
    fail_input(where + ": is not TOML, or damaged: see the TOML syntax");
  }
  Reader reader(table, where);
  for_each_option(options, reader);
  std::string activation = activation_text(options.head_slope);
  reader(kActivation, activation);
  options.head_slope = parse_activation(activation, where + ": " + kActivation);
  reader.check_keys();
}

}  // namespace verace::apps
