#!/usr/bin/env bash
# ./dev build: configures and compiles.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev build [--preset PRESET] [TARGET]...

Compiles everything, or the named targets, into build/PRESET; the programs are then in
build/PRESET/bin. Installs missing packages first (see ./dev setup), uses ccache when it is there.

  --preset release   optimised, with LTO; programs and benchmarks (the default)
  --preset debug     with tests
  --preset asan      with tests, under AddressSanitizer and UndefinedBehaviorSanitizer
  --preset tsan      race tests, under ThreadSanitizer
  --preset fuzz      libFuzzer programs, by clang-16
EOF
}

offer_help "$@"
preset=release
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --preset)
      [ $# -ge 2 ] || refuse "--preset needs a name"
      preset=$2
      shift
      ;;
    --preset=*) preset=${1#*=} ;;
    -*) refuse "unknown option $1" ;;
    *) targets+=("$1") ;;
  esac
  shift
done
case $preset in
  release) need build ;;
  debug | asan | tsan | fuzz) need test ;;
  *) refuse "there is no preset $preset; one of release, debug, asan, tsan, fuzz" ;;
esac

build "$preset" "${targets[@]}"
if [ ${#targets[@]} -eq 0 ] && [ -d "build/$preset/bin" ]; then
  for program in "build/$preset"/bin/*; do
    printf '  %s\n' "$program"
  done
fi
