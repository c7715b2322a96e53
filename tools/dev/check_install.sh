#!/usr/bin/env bash
# check_install.sh BUILD PREFIX COUNTS: installs a build into PREFIX and checks what a user would meet:
# programs that run and link only what they should, man pages that a formatter accepts, completions that a
# shell accepts, documented verbs that exist. Writes "passed failed skipped" into COUNTS.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
verb="test"

build_dir=$1 prefix=$2 counts=$3
passed=0 failed=0

# expect WHAT COMMAND...: one check; its output is shown when it fails.
expect() {
  local what=$1 output
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '  FAILED: %s\n' "$what"
    printf '%s\n' "$output" | head -n 20 | sed 's/^/    | /'
  fi
}

is_hardened() {
  readelf -h "$1" | grep 'Type:.*DYN' > /dev/null && readelf -d "$1" | grep BIND_NOW > /dev/null
}

readable_manual() {
  local warnings
  warnings=$(mandoc -Tlint -W warning "$1") || true
  # A page without a date is the same in every build; pages that it refers to need not be installed here.
  warnings=$(printf '%s\n' "$warnings" | grep -v -e 'missing date' -e 'referenced manual not found' -e '^$' || true)
  [ -z "$warnings" ] || {
    printf '%s\n' "$warnings"
    return 1
  }
  mandoc -Tutf8 "$1" | grep -F 'User Commands' > /dev/null
}

# Every long option that --help prints is in the manual.
manual_tells_options() {
  local program=$1 page=$2 option text lacking=0
  text=$(mandoc -Tascii "$page" | sed "s,.\x08,,g")
  for option in $("$program" --help | grep -oE -- '(^|[ ,])--[a-z][a-z-]+' | tr -d ' ,' | sort -u); do
    grep -qF -- "$option" <<< "$text" || {
      printf '%s is in --help but not in the manual\n' "$option"
      lacking=1
    }
  done
  return "$lacking"
}

logged install "cmake --install into a temporary prefix" cmake --install "$build_dir" --prefix "$prefix"

for program in dpumesh dpumesh-agent; do
  path=$prefix/bin/$program
  page=$prefix/share/man/man1/$program.1
  expect "$program is installed" test -x "$path"
  [ -x "$path" ] || continue
  expect "$program --version" "$path" --version
  expect "$program --help" "$path" --help
  expect "$program is position independent and bound at start" is_hardened "$path"
  expect "$program has a manual page" test -s "$page"
  if [ -s "$page" ]; then
    expect "the manual of $program is well formed" readable_manual "$page"
    expect "the manual of $program has the options" manual_tells_options "$path" "$page"
  fi
  completion=$prefix/share/bash-completion/completions/$program
  expect "$program has bash completions" test -s "$completion"
  [ ! -s "$completion" ] || expect "the completions of $program are bash" bash -n "$completion"
done

expect "kubectl-dpumesh is installed, where kubectl finds it" "$prefix/bin/kubectl-dpumesh" status --help
if command -v kubectl > /dev/null; then
  expect "kubectl dpumesh --help" env PATH="$prefix/bin:$PATH" kubectl dpumesh --help
fi

expect "dpumesh-agent needs no library that is too large for it" tests/agent/libraries.sh "$prefix/bin/dpumesh-agent"

# A verb that a document shows in its code is one that the program has.
mapfile -t documents < <(find . -path ./build -prune -o -name '*.md' -print)
# shellcheck disable=SC2016 # the expression matches a prompt and code marks, it expands nothing
mapfile -t verbs < <(
  sed -nE 's/^ *(\$ )?dpumesh ([a-z]+)( .*)?$/\2/p; s/.*`dpumesh ([a-z]+)( [^`]*)?`.*/\1/p' \
    "${documents[@]}" | sort -u
)
for word in "${verbs[@]}"; do
  expect "dpumesh $word, which a document mentions" "$prefix/bin/dpumesh" "$word" --help
done

# A plugin needs the installed header and nothing else of ours, and the installed agent takes it.
plugin=$prefix/wordcount.so
expect "a plugin is built with the installed header" \
  cc -std=c17 -Wall -Werror -shared -fPIC -I "$prefix/include" -o "$plugin" examples/plugin/wordcount.c
printf '{"service": "s0", "workload": {"internalService": {"plugin": {"path": "%s", "function": "wordcount"}}}}\n' \
  "$(realpath "$plugin")" > "$prefix/plugin.json"
expect "the installed agent takes the plugin" "$prefix/bin/dpumesh-agent" --config "$prefix/plugin.json" --check

for example in examples/*.yaml examples/plugin/*.yaml; do
  expect "dpumesh validate -f $example" "$prefix/bin/dpumesh" validate -f "$example"
done

# The profiles are compiled in, and lie there to be copied from: what is read must be what is known by name.
for profile in profiles/*.json; do
  name=$(basename "$profile" .json)
  copy=$prefix/share/dpumesh/profiles/$name.json
  expect "the profile $name is installed as it is in the tree" cmp "$profile" "$copy"
  expect "dpumesh predict --profile, of the copy of $name" "$prefix/bin/dpumesh" predict --profile "$copy" --rate 1000 --sample 1000
done

printf '  %d passed, %d failed\n' "$passed" "$failed"
printf '%d %d 0\n' "$passed" "$failed" > "$counts"
[ "$failed" -eq 0 ]
