#!/usr/bin/env bash
# ./dev demo: builds, runs the example application, loads it, scales it, takes it down.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev demo [--address ADDRESS] [--brief] [--hold]

Builds the release preset, runs examples/original.yaml on this machine (service s0, which calls s1 and s2), sends
50 concurrent requests to node port 30005, then measures examples/scale.yaml at 1, 2 and 3 replicas, and takes
everything down. No cluster, no container, no root once the packages are there.

  --address ADDRESS  where the first service answers (127.0.0.1); the others follow it
  --brief            shorter measurements
  --hold             leave the application running at the end until Enter is pressed
EOF
}

offer_help "$@"
address=127.0.0.1
duration=3s
hold=0
while [ $# -gt 0 ]; do
  case $1 in
    --address)
      [ $# -ge 2 ] || refuse "--address needs an address such as 127.0.0.1"
      [[ $2 =~ ^127\.[0-9]+\.[0-9]+\.[0-9]+$ ]] || refuse "--address takes an address of 127.0.0.0/8, not $2"
      address=$2
      shift
      ;;
    --brief) duration=1s ;;
    --hold) hold=1 ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done

need build
build release dpumesh dpumesh-agent
PATH=$top/build/release/bin:$PATH

# Its own name and, if asked for, its own addresses: it may run beside other applications.
name=demo
place=()
if [ "$address" != 127.0.0.1 ]; then
  name=demo-$$
  place=(--address "$address")
fi
running=0
replica_file=build/log/demo-pids

# show COMMAND...: prints a command as one would type it.
show() {
  local word line=
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=-]+$ ]] || word="'$word'"
    line+=" $word"
  done
  printf '\n$%s\n' "$line"
}

# shown COMMAND...: prints it, and runs it.
shown() {
  show "$@"
  "$@"
}

# The ids of all processes of the application, in what `ps --json` prints.
remember_processes() {
  dpumesh ps --name "$name" --json | grep -oE '"pid": *[0-9]+' | grep -oE '[0-9]+' >> "$replica_file"
}

start() {
  : > "$replica_file"
  shown dpumesh up -f "$1" --name "$name" "${place[@]}" --detach
  running=1
}

# Those of these processes that live: a zombie, which waits for its parent only, does not.
living() {
  local pid stat
  for pid in "$@"; do
    stat=$(cat "/proc/$pid/stat" 2> /dev/null) || continue
    stat=${stat##*) }
    [[ $stat == [ZX]* ]] || printf '%s\n' "$pid"
  done
}

# stop: takes the application down and sees that none of its processes is left.
stop() {
  local all left tries
  remember_processes
  running=0
  shown dpumesh down --name "$name"
  mapfile -t all < <(sort -un "$replica_file")
  [ ${#all[@]} -gt 1 ] || die "dpumesh ps --json named no processes"
  # The supervisor answers before its last instruction.
  for ((tries = 0; tries < 20; tries++)); do
    left=$(living "${all[@]}")
    [ -n "$left" ] || break
    sleep 0.05
  done
  [ -z "$left" ] || die "still running after dpumesh down: process ${left//$'\n'/ }"
  printf 'All %d processes of it have ended.\n' ${#all[@]}
}

abandon() {
  [ "$running" = 0 ] || dpumesh down --name "$name" || true
}
trap abandon EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

body='{"s0": [{"s1": {}, "s2": {}}]}'
target=tcp://$address:30005

heading "The original's three services, and its 50 concurrent requests"
start examples/original.yaml
shown dpumesh load "$target" --concurrency 50 --requests 50 --body "$body"
stop

heading "Replicas: each may have 40 calls of 50 ms outstanding, and a request makes two"
start examples/scale.yaml
rows=()
first=
for replicas in 1 2 3; do
  shown dpumesh scale s0 "$replicas" --name "$name" | sed '/^s[12] /d; /^metrics:/d'
  remember_processes
  load=(dpumesh load "$target" --concurrency 240 --duration "$duration" --body "$body" --json)
  show "${load[@]}"
  result=$("${load[@]}")
  rate=$(sed -nE 's/.*"rate_per_s": *([0-9]+(\.[0-9]+)?).*/\1/p' <<< "$result" | head -n 1)
  [ -n "$rate" ] || die "dpumesh load --json gave no rate"
  printf '... "rate_per_s": %s ...\n' "$rate"
  first=${first:-$rate}
  rows+=("$replicas $rate $first")
done

printf '\n  REPLICAS   REQUESTS/S   RELATIVE\n'
printf '%s\n' "${rows[@]}" | awk '{ printf "  %8d %12.0f %9.2fx\n", $1, $2, $2 / $3 }'
printf '\nMetrics of s0 are at http://%s:8080/metrics as long as it runs.\n' "$address"
if [ "$hold" = 1 ]; then
  printf 'It is still running: look at it from another terminal. Enter takes it down. '
  read -r _ || true
fi
stop
