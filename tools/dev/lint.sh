#!/usr/bin/env bash
# ./dev lint: format, static analysis, the dependency rule and the documents.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev lint [--quick] [CHECK]...

Runs all checks, or the named ones, and prints FILE:LINE: SENTENCE for what they refuse.

  --quick    without clang-tidy, which takes a minute or more after a header changed
  --list     list the checks

clang-tidy remembers in build/lint-cache which files it found clean; it looks again at a file only when it, a
header it includes, .clang-tidy or the compiler's flags changed.
EOF
}

offer_help "$@"
need build lint
quick=0
for argument in "$@"; do
  case $argument in
    --quick | --list) quick=1 ;;
  esac
done
# clang-tidy reads the compiler's flags from here.
if [ "$quick" = 0 ]; then
  need test
  configure debug
  ninja -C build/debug build.ninja > build/log/configure-debug.log 2>&1 ||
    die "cmake failed; see build/log/configure-debug.log"
fi
exec /usr/bin/python3 tools/lint "$@"
