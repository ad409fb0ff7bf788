#!/usr/bin/env bash
# Compares the shared libraries of a binary with the committed list: check_ldd.sh BINARY [LIST]
#
# LIST has one soname per line: `a|b` means one of them, a leading `?` that it may be absent, `#` is
# a comment. A library outside the list, an absent one of the list, and one not found are failures.
set -uo pipefail

binary=${1:?usage: check_ldd.sh BINARY [LIST]}
list=${2:-$(dirname "${BASH_SOURCE[0]}")/ldd_minimal.txt}
[ -x "$binary" ] || { echo "check_ldd: $binary is not an executable" && exit 1; }
output=$(LC_ALL=C ldd "$binary") || { echo "check_ldd: ldd $binary failed: $output" && exit 1; }

failures=0
fail() {
  echo "check_ldd: $*"
  failures=$((failures + 1))
}

found=()
while read -r name arrow target _; do
  [ "$arrow $target" = "=> not" ] && fail "$name: the loader does not find it"
  found+=("${name##*/}")
done <<<"$output"

allowed=()
while read -r entry _; do
  case $entry in '' | '#'*) continue ;; esac
  optional=0
  [[ $entry == '?'* ]] && optional=1
  IFS='|' read -ra choices <<<"${entry#'?'}"
  allowed+=("${choices[@]}")
  present=0
  for name in "${found[@]}"; do
    for choice in "${choices[@]}"; do [ "$name" = "$choice" ] && present=1; done
  done
  ((present || optional)) || fail "$binary does not load $entry, which $list names"
done <"$list"

for name in "${found[@]}"; do
  known=0
  for choice in "${allowed[@]}"; do [ "$name" = "$choice" ] && known=1; done
  ((known)) || fail "$binary loads $name, which $list does not name"
done

((failures == 0)) && echo "check_ldd: ${#found[@]} shared libraries, all as listed"
exit $((failures > 0))
