#!/usr/bin/env bash
# ./dev bench: measures what the README claims.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev bench [OPTION]...

Builds the release preset and runs bench/run, which measures ours beside a control and prints what,
ours, control, ratio, goal, met or not. All options go to bench/run; ./dev bench -- --help prints its own
page. It wants a quiet machine with two cores or more.
EOF
}

offer_help "$@"
[ "${1:-}" != "--" ] || shift
need bench
build release
[ -x bench/run ] || die "bench/run is not there"
exec bench/run "$@"
