// A checker of XML 1.0 for pages and SVG files: what is not well-formed is named, and what is can
// be looked into as a list of elements.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace verace::test {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  // entities resolved
  std::string text;                               // directly inside, entities resolved
  int parent = -1;                                // position in the list

  std::string operator[](const std::string& attribute) const {
    const auto found = attributes.find(attribute);
    return found == attributes.end() ? "" : found->second;
  }
};

// Elements in the order of their start tags. error: empty, or what is wrong and after how many
// bytes.
struct XmlDocument {
  std::vector<XmlElement> elements;
  std::string error;

  std::vector<const XmlElement*> all(const std::string& name, const std::string& css = "") const {
    std::vector<const XmlElement*> found;
    for (const XmlElement& e : elements) {
      if (e.name == name && (css.empty() || e["class"] == css)) found.push_back(&e);
    }
    return found;
  }
};

// Knows elements, attributes, the five entities and &#N;, one DOCTYPE at the beginning, and that
// all of it is UTF-8 without control characters. Not: comments, CDATA, processing instructions,
// which our files have not got.
class XmlParser {
 public:
  explicit XmlParser(std::string_view text) : text_(text) {}

  XmlDocument parse() {
    check_characters();
    if (rest().starts_with("<!DOCTYPE html>\n")) at_ += 16;
    while (document_.error.empty() && at_ < text_.size()) step();
    if (document_.error.empty() && !open_.empty()) fail("not closed: " + current().name);
    if (document_.error.empty() && roots_ != 1) fail("not one root element");
    return std::move(document_);
  }

 private:
  std::string_view rest() const { return text_.substr(at_); }
  XmlElement& current() { return document_.elements[static_cast<size_t>(open_.back())]; }
  void fail(const std::string& what) {
    if (document_.error.empty()) document_.error = what + " at byte " + std::to_string(at_);
  }

  void check_characters() {
    int following = 0;
    for (const char c : text_) {
      const auto byte = static_cast<unsigned char>(c);
      if (following > 0) {
        if ((byte & 0xC0) != 0x80) return fail("not UTF-8");
        --following;
      } else if (byte >= 0x80) {
        following = byte >= 0xF0 && byte < 0xF5   ? 3
                    : byte >= 0xE0 && byte < 0xF0 ? 2
                    : byte >= 0xC2 && byte < 0xE0 ? 1
                                                  : -1;
        if (following < 0) return fail("not UTF-8");
      } else if (byte < 0x20 && c != '\n') {
        return fail("a control character");
      }
    }
    if (following > 0) fail("not UTF-8");
  }

  void step() {
    if (rest().starts_with("</")) return end_tag();
    if (rest()[0] == '<') return start_tag();
    const size_t end = std::min(text_.find('<', at_), text_.size());
    const std::string text = resolved(text_.substr(at_, end - at_));
    if (!open_.empty()) {
      current().text += text;
    } else if (text.find_first_not_of(" \n") != std::string::npos) {
      fail("text outside of the root");
    }
    at_ = end;
  }

  std::string name() {
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                  text_[at_] == '-' || text_[at_] == ':' || text_[at_] == '_')) {
      ++at_;
    }
    if (at_ == begin) fail("a name is missing");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }

  void end_tag() {
    at_ += 2;
    const std::string closed = name();
    if (open_.empty() || current().name != closed) return fail("</" + closed + "> closes nothing");
    if (!rest().starts_with(">")) return fail("> is missing");
    ++at_;
    open_.pop_back();
  }

  void start_tag() {
    ++at_;
    XmlElement element;
    element.name = name();
    element.parent = open_.empty() ? -1 : open_.back();
    for (spaces(); document_.error.empty() && !rest().starts_with(">") && !rest().starts_with("/>");
         spaces()) {
      attribute(element);
    }
    if (!document_.error.empty()) return;
    const bool empty = rest()[0] == '/';
    at_ += empty ? 2 : 1;
    if (open_.empty()) ++roots_;
    if (const std::string id = element["id"]; !id.empty() && !ids_.insert(id).second) {
      fail("the id " + id + " is used twice");
    }
    document_.elements.push_back(std::move(element));
    if (!empty) open_.push_back(static_cast<int>(document_.elements.size()) - 1);
  }

  void attribute(XmlElement& element) {
    const std::string key = name();
    if (!rest().starts_with("='") && !rest().starts_with("=\"")) return fail("=' is missing");
    const char quote = rest()[1];
    at_ += 2;
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) return fail("a quote is not closed");
    const std::string_view value = text_.substr(at_, end - at_);
    if (value.find('<') != std::string_view::npos) return fail("< in an attribute");
    if (!element.attributes.emplace(key, resolved(value)).second) fail(key + " is given twice");
    at_ = end + 1;
    const std::string_view after = rest();
    if (!after.starts_with(">") && !after.starts_with("/>") && !after.starts_with(" ") &&
        !after.starts_with("\n")) {
      fail("a space is missing");
    }
  }

  std::string resolved(std::string_view text) {
    static const std::map<std::string_view, const char*> known = {
        {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"#39", "'"}};
    std::string out;
    while (!text.empty()) {
      if (text[0] != '&') {
        out += text[0];
        text.remove_prefix(1);
        continue;
      }
      const size_t end = text.find(';');
      const auto found =
          end == std::string_view::npos ? known.end() : known.find(text.substr(1, end - 1));
      if (found == known.end()) {
        fail("an & that begins no known entity");
        return out;
      }
      out += found->second;
      text.remove_prefix(end + 1);
    }
    return out;
  }

  std::string_view text_;
  size_t at_ = 0;
  XmlDocument document_;
  std::vector<int> open_;
  std::set<std::string> ids_;
  int roots_ = 0;
};

inline XmlDocument parse_xml(std::string_view text) { return XmlParser(text).parse(); }

}  // namespace verace::test
