#!/usr/bin/env bash
# ./dev clean: removes what was built.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev clean

Removes build/ and the caches that Python leaves in the tree. Installed packages stay.
EOF
}

offer_help "$@"
no_more "$@"
rm -rf build .pytest_cache
find tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
printf 'clean: build/ is gone\n'
