#!/usr/bin/env bash
# ./dev campaign: what takes too long for every day.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev campaign [--hours H | --minutes M] [--seed N]

The operator in trouble, for long, against a real Kubernetes API server (./dev setup --kube). Ends with
the counts and the line "N passed, N failed". Status 1 when something failed.

  leases    4000 seeds (or LEASE_SEEDS) of the world in which candidates, clocks and networks misbehave (test_lease_state)
  kills     SIGKILL after each API call of a start, creation, update, scaling, removal and deletion, with
            real lease times: who comes next is another one and waits for the lease
  leaders   two and three operators with real lease times: killed, stopped, cut off, terminated
  outages   the API server away for two minutes, etcd restarted, token and authority rotated
  slow      all other tests of tests/kube that are marked slow
  random    all faults at random while DpuServices come, change and go

  --hours H    how long the faults at random go on (1); 0.5 is half an hour
  --minutes M  the same in minutes
  --seed N     of the faults at random; without it, one that is drawn and printed

Logs are build/log/campaign-*.log.
EOF
}

offer_help "$@"
seconds=3600
while [ $# -gt 0 ]; do
  case $1 in
    --hours | --minutes | --seed)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      case $1 in
        --seed)
          [[ $2 =~ ^[0-9]{1,9}$ ]] || refuse "--seed takes a number, not $2"
          export SEED=$2
          ;;
        *)
          [[ $2 =~ ^[0-9]{1,4}(\.[0-9]{1,3})?$ ]] || refuse "$1 takes a number, not $2"
          seconds=$(awk -v number="$2" -v unit="$1" 'BEGIN { print int(number * (unit == "--hours" ? 3600 : 60)) }')
          [ "$seconds" -ge 1 ] || refuse "$1 takes a number above 0, not $2"
          ;;
      esac
      shift
      ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done

export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99:detect_leaks=1}
export LEASE_SEEDS=${LEASE_SEEDS:-4000}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpumesh-campaign.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

names=()
results=()
total_passed=0 total_failed=0

# result NAME PASSED FAILED BEGAN
result() {
  names+=("$1")
  results+=("$(printf '%7d %7d %9s' "$2" "$3" "$(seconds_since "$4")")")
  total_passed=$((total_passed + $2))
  total_failed=$((total_failed + $3))
}

# kube NAME ARGUMENT...: a part that pytest runs. Its counts are printed as they come.
kube() {
  local name=$1 status=0 began passed=0 failed=0 skipped=0 junit=$scratch/$1.xml
  shift
  began=$(now_ms)
  heading "$name"
  PYTHONDONTWRITEBYTECODE=1 DPUMESH_CAMPAIGN=1 DURATION=${seconds}s DPUMESH_BIN_DIR=$top/build/asan/bin \
    python -m pytest -q -p no:cacheprovider -rfE --junitxml "$junit" "$@" < /dev/null 2>&1 |
    tee "build/log/campaign-$name.log" || status=$?
  if [ -s "$junit" ] && python tools/dev/junit.py --quiet --counts "$scratch/counts" "$junit"; then
    read -r passed failed skipped < "$scratch/counts"
  fi
  [ "$skipped" -eq 0 ] || printf '  %d skipped\n' "$skipped"
  # What could not even count has failed.
  if [ "$failed" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$passed" -eq 0 ]; }; then
    failed=1
  fi
  result "$name" "$passed" "$failed" "$began"
}

leases() {
  local began failed=0
  began=$(now_ms)
  heading leases
  logged campaign-leases "candidates, clocks and networks of $LEASE_SEEDS seeds" \
    build/asan/tests/kube/test_kube_lease_state || failed=1
  grep -E '^lease_state:' build/log/campaign-leases.log || true
  result leases $((1 - failed)) "$failed" "$began"
}

need test
mkdir -p build/log
bash tools/dev/kube.sh --find > "$scratch/programs" ||
  die "Kubernetes' programs are not on this machine; ./dev setup --kube finds or builds them"
build asan || die "it does not build"
started=$(now_ms)
ignored=()
for part in killed leaders outages troubles; do
  ignored+=(--ignore "tests/kube/test_operator_$part.py")
done
leases
kube kills tests/kube/test_operator_killed.py
kube leaders tests/kube/test_operator_leaders.py
kube outages tests/kube/test_operator_outages.py
kube slow -m slow --ignore tests/kube/test_operator_killed.py --ignore tests/kube/test_operator_leaders.py \
  --ignore tests/kube/test_operator_outages.py --ignore tests/kube/test_operator_troubles.py tests/kube
kube random tests/kube/test_operator_troubles.py

heading "summary ($(seconds_since "$started") s)"
printf '  %-8s %7s %7s %9s\n' part passed failed seconds
for i in "${!names[@]}"; do
  printf '  %-8s %s\n' "${names[i]}" "${results[i]}"
done
grep -hE 'kill points$|fail-over in|faults in|away for' build/log/campaign-*.log | sed 's/^ */  /' || true
printf '\n%d passed, %d failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
