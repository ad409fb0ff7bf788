// Following links, one name after the other.
#include "weights/hdf5/objects.h"

#include <utility>

#include "kernels/format.h"
#include "weights/hdf5/advice.h"
#include "weights/tensor_table.h"

namespace verace::weights::hdf5 {

Object Objects::root() { return object("/", file_->root()); }

Object Objects::at(const Object& start, std::string_view path) {
  Object here = start;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty()) continue;
    std::optional<Object> next = find(here, name);
    if (!next) {
      file_->source().unsupported(
          text::format("group {} lacks {}", in_quotes(here.path), in_quotes(std::string(name))),
          kFetch);
    }
    here = std::move(*next);
  }
  return here;
}

std::optional<Object> Objects::find(const Object& start, std::string_view name) {
  const Group& group = links(start);
  const auto found = group.find(name);
  if (found == group.end()) return {};
  std::string path = start.path + (start.path.ends_with('/') ? "" : "/") + std::string(name);
  const char* kind = nullptr;
  switch (found->second.kind) {
    case Link::Kind::kHard:
      return object(std::move(path), found->second.address);
    case Link::Kind::kSoft:
      kind = "a soft link";
      break;
    case Link::Kind::kExternal:
      kind = "an external link (to another file)";
      break;
    case Link::Kind::kOther:
      kind = "a link of unknown kind";
      break;
  }
  file_->source().unsupported(text::format("{} is {}", in_quotes(path), kind), kResave);
}

const Group& Objects::links(const Object& group) {
  file_->spend(1);
  auto found = groups_.find(group.address);
  if (found == groups_.end()) {
    found = groups_.emplace(group.address, read_group(*file_, group.messages, group.path)).first;
  }
  return found->second;
}

Object Objects::object(std::string path, uint64_t address) {
  auto found = headers_.find(address);
  if (found == headers_.end()) {
    found = headers_.emplace(address, read_object_header(*file_, address)).first;
  }
  return {std::move(path), address, found->second};
}

}  // namespace verace::weights::hdf5
