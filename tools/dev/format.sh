#!/usr/bin/env bash
# ./dev format: rewrites the C files as .clang-format says.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev format [FILE]...

Rewrites all C files of the tree, or the named ones, with clang-format-16 and prints those it changed.
EOF
}

offer_help "$@"
need lint
exec /usr/bin/python3 tools/lint --fix format "$@"
