# shellcheck shell=bash
# What the verbs of ./dev share; sourced by each of them first. Sets top (the checkout) and goes
# there. A verb defines usage() before it calls anything here.

export LC_ALL=C.UTF-8
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
verb=$(basename "${BASH_SOURCE[1]}" .sh)
cd "$top" || exit 1

# Status 2 is a wrong command line, 1 a thing that failed.
die() {
  printf './dev %s: %s\n' "$verb" "$*" >&2
  exit 1
}

refuse() {
  printf './dev %s: %s; see ./dev %s --help\n' "$verb" "$*" "$verb" >&2
  exit 2
}

# Prints the page of a verb when the arguments ask for it, and ends.
offer_help() {
  local argument
  for argument in "$@"; do
    case $argument in
      --) return ;;
      -h | --help)
        usage
        exit 0
        ;;
    esac
  done
}

no_more() {
  [ $# -eq 0 ] || refuse "unknown argument $1"
}

now_ms() {
  local us=${EPOCHREALTIME//[!0-9]/}
  printf '%d' $((us / 1000))
}

# seconds_since MS: the time since now_ms printed MS, as "12.3".
seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

heading() {
  printf '\n== %s\n' "$*"
}

# A job that shows that something is still going on: every 15 s, how long and the log's last line.
# It sleeps in a builtin, so that ending it leaves no child behind that would hold our output open.
tick() {
  local log=$1 began=$2 never line
  exec {never}<> <(:)
  while :; do
    read -r -t 15 -u "$never" line || true
    line=$(tail -c 2000 "$log" 2> /dev/null | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-90 || true)
    printf '    %s s: %s\n' "$(seconds_since "$began")" "$line"
  done
}

# logged NAME WHAT COMMAND...: runs a long step with its output in build/log/NAME.log. Prints a line
# when it begins, one now and then, and one at the end; on failure the last lines of the log (30, or
# log_tail). Returns the command's status.
logged() {
  local name=$1 what=$2 status=0 began ticker log
  shift 2
  log=build/log/$name.log
  mkdir -p build/log
  began=$(now_ms)
  printf '  %s ...\n' "$what"
  : > "$log"
  tick "$log" "$began" &
  ticker=$!
  "$@" > "$log" 2>&1 < /dev/null || status=$?
  kill "$ticker" 2> /dev/null || true
  wait "$ticker" 2> /dev/null || true
  if [ "$status" -eq 0 ]; then
    printf '  %s: done in %s s\n' "$what" "$(seconds_since "$began")"
  else
    printf '  %s: failed with status %d after %s s; all of it is in %s\n' \
      "$what" "$status" "$(seconds_since "$began")" "$log"
    tail -n "${log_tail:-30}" "$log" | sed 's/^/    | /'
  fi
  return "$status"
}

# How many jobs to run at once.
jobs_count() {
  nproc 2> /dev/null || printf '2\n'
}

# The interpreter that Debian's python3-* packages belong to, not one that stands before it in PATH.
python() {
  /usr/bin/python3 "$@"
}

# Installs what is missing for these purposes, silently when nothing is.
need() {
  bash tools/dev/setup.sh --quiet "$@"
}

# configure PRESET: makes or refreshes build/PRESET.
configure() {
  local preset=$1 dir=build/$1 options=()
  # A checkout that was moved can't use its old build directories.
  if [ -f "$dir/CMakeCache.txt" ] &&
    ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$top" "$dir/CMakeCache.txt"; then
    printf '  %s was configured elsewhere; starting afresh\n' "$dir"
    rm -rf "$dir"
  fi
  # Ninja configures again by itself when a CMakeLists.txt changes, but does not know of the presets.
  if [ ! -f "$dir/build.ninja" ] || [ CMakePresets.json -nt "$dir/build.ninja" ]; then
    if command -v ccache > /dev/null; then
      options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache)
    fi
    logged "configure-$preset" "configure $dir" cmake --preset "$preset" "${options[@]}" || return
    touch "$dir/build.ninja"
  fi
}

# build PRESET [TARGET...]: configures when that is due, and compiles.
build() {
  local preset=$1
  shift
  configure "$preset" || return
  logged "build-$preset" "build build/$preset${*:+ ($*)}" \
    cmake --build "build/$preset" ${1:+--target "$@"}
}
