#!/usr/bin/env bash
# ./dev test: every tier of tests.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source-path=SCRIPTDIR source=pytest.sh
. "$(dirname "${BASH_SOURCE[0]}")/pytest.sh"

usage() {
  cat << 'EOF'
Usage: ./dev test [--fast] [--only TIER]... [--skip TIER]... [--fuzz-seconds N] [--fuzz-seed N]
                  [--e2e ARGS] [--kube ARGS] [--node [ARGS]]

Runs all tiers, or some, and ends with a table and the line "N passed, N failed". Status 1 when a test failed.
Of e2e, kube, deploy and node, which the load of the machine can disturb, up to three tests that failed run once more, unless
a sanitizer stopped them; the table says how many passed only then.

  lint      ./dev lint, and the tests of its checks
  unit      Criterion and race programs under AddressSanitizer and UndefinedBehaviorSanitizer
  race      race programs under ThreadSanitizer
  e2e       whole programs, driven by pytest, built with the same sanitizers as unit
  kube      the same against a real Kubernetes API server; left out with a sentence when its programs
            are not on this machine (./dev setup --kube)
  deploy    what deploy/ renders, by kustomize and by Helm, alone and in that API server; what needs a program
            that is not on this machine is skipped with a sentence
  fuzz      each libFuzzer target for 60 s, from the corpora in tests/fuzz
  demo      ./dev demo, and that it leaves nothing running
  install   cmake --install into a temporary prefix: programs, man pages, completions
  images    ./dev images, twice, and the images run; left out with a sentence where they can't be built
            (./dev setup images)
  node      the images on a whole Kubernetes node (./dev node): installed by kubectl and by Helm, loaded, scaled,
            updated, and with parts of it killed; left out with a sentence where no node can run

  --fast            lint without clang-tidy, unit, and the e2e tests that are not marked slow: the
                    tiers to run all day, under a minute when built
  --only TIER       only this tier; may be repeated
  --skip TIER       not this tier; may be repeated
  --fuzz-seconds N  how long each fuzz target runs (60)
  --fuzz-seed N     of their mutations (1, so that a tree that has passed passes again as far as it is run again,
                    and what is found is found again; 0: another one each time, to look further)
  --e2e ARGS        further arguments for the pytest of e2e, such as --e2e "-k drain"
  --kube ARGS       the same for that of kube, which leaves out what is marked slow
  --node [ARGS]     only the tier node, with such arguments
EOF
}

all_tiers=(lint unit race e2e kube deploy fuzz demo install images node)
offer_help "$@"
fast=0
fuzz_seconds=60
fuzz_seed=1
e2e_arguments=()
kube_arguments=()
node_arguments=()
only=()
skip=()

a_tier() {
  [[ " ${all_tiers[*]} " == *" $1 "* ]] || refuse "there is no tier $1; one of ${all_tiers[*]}"
}

while [ $# -gt 0 ]; do
  case $1 in
    --fast) fast=1 ;;
    --only | --skip | --fuzz-seconds | --fuzz-seed | --e2e | --kube)
      [ $# -ge 2 ] || refuse "$1 needs a value"
      case $1 in
        --only)
          a_tier "$2"
          only+=("$2")
          ;;
        --skip)
          a_tier "$2"
          skip+=("$2")
          ;;
        --fuzz-seconds)
          [[ $2 =~ ^[1-9][0-9]{0,4}$ ]] || refuse "--fuzz-seconds takes a number of seconds, not $2"
          fuzz_seconds=$2
          ;;
        --fuzz-seed)
          [[ $2 =~ ^(0|[1-9][0-9]{0,8})$ ]] || refuse "--fuzz-seed takes a number from 0 to 999999999, not $2"
          fuzz_seed=$2
          ;;
        --e2e) read -r -a e2e_arguments <<< "$2" ;;
        --kube) read -r -a kube_arguments <<< "$2" ;;
      esac
      shift
      ;;
    --node)
      only+=(node)
      if [ $# -ge 2 ] && [[ $2 != --* ]]; then
        read -r -a node_arguments <<< "$2"
        shift
      fi
      ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done

tiers=("${all_tiers[@]}")
[ "$fast" = 0 ] || tiers=(lint unit e2e)
[ ${#only[@]} -eq 0 ] || tiers=("${only[@]}")
for tier in "${skip[@]}"; do
  mapfile -t tiers < <(printf '%s\n' "${tiers[@]}" | grep -vx -- "$tier")
done

# A finding in any process that a test starts must end that process with a status of its own.
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:exitcode=99:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:exitcode=99:second_deadlock_stack=1}

# clang's runtime has no symbolizer of its own; binutils' will do for a stack trace now and then.
if ! command -v llvm-symbolizer-16 > /dev/null; then
  fuzz_symbolizer=$(command -v addr2line || true)
else
  fuzz_symbolizer=$(command -v llvm-symbolizer-16)
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpumesh-test.XXXXXX")
children=()
clean_up() {
  local pid
  for pid in "${children[@]}"; do
    kill "$pid" 2> /dev/null || true
  done
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Each tier writes "passed failed skipped" into this file.
counts=$scratch/counts

# The checks, and the tests of the checks.
tier_lint() {
  local status=0 options=(--counts "$scratch/checks") passed failed skipped p f s
  [ "$fast" = 0 ] || options+=(--quick)
  bash tools/dev/lint.sh "${options[@]}" || status=$?
  [ -s "$scratch/checks" ] || return 1
  read -r passed failed skipped < "$scratch/checks"
  run_pytest lint tests/lint || status=$?
  [ -s "$counts" ] || return 1
  read -r p f s < "$counts"
  count $((passed + p)) $((failed + f)) $((skipped + s))
  return "$status"
}

# run_ctest PRESET NAME LABELS: runs a build's CTest programs of these labels.
run_ctest() {
  local preset=$1 name=$2 labels=$3 status=0 junit jobs
  jobs=$(jobs_count)
  # Many of them wait most of their time; alone, when all run, so that what measures time is left alone.
  [ "$fast" = 0 ] || jobs=$((jobs * 2 + 1))
  junit=$top/build/log/$name.xml
  build "$preset" || return
  rm -f "$junit"
  log_tail=0 logged "$name" "ctest, tests labelled $labels" \
    ctest --test-dir "build/$preset" -L "$labels" \
    -j "$jobs" --output-junit "$junit" --no-tests=error \
    --test-output-size-passed 1000000 --test-output-size-failed 1000000 || status=$?
  if [ ! -s "$junit" ]; then
    tail -n 20 "build/log/$name.log"
    return 1
  fi
  python tools/dev/junit.py --counts "$counts" "$junit"
  # Such as no test with these labels: then CTest's own words are all there is.
  if [ "$status" -ne 0 ] && [ "$(cut -d ' ' -f 2 "$counts")" = 0 ]; then
    tail -n 5 "build/log/$name.log" | sed 's/^/    | /'
  fi
  return "$status"
}

# With --fast without the race programs: they have their tier, and take as long as all the others.
tier_unit() {
  if [ "$fast" = 0 ]; then
    run_ctest asan unit 'unit|race'
  else
    run_ctest asan unit unit
  fi
}

tier_race() {
  run_ctest tsan race race
}

tier_e2e() {
  local options=("${e2e_arguments[@]}")
  build asan || return
  # One at a time when all run, so that what measures time is left alone.
  [ "$fast" = 0 ] || options+=(-m "not slow" -n 3)
  DPUMESH_BIN_DIR=$top/build/asan/bin run_pytest e2e tests/e2e "${options[@]}"
}

# Without Kubernetes' programs there is nothing to run: no test failed, and the table says so.
tier_kube() {
  if ! bash tools/dev/kube.sh --find > "$scratch/kube"; then
    printf '  left out: all that needs a real Kubernetes API server, because its programs are not on\n'
    printf '  this machine. ./dev setup --kube finds or builds them.\n'
    return "$left_out"
  fi
  sed 's/^/  /' "$scratch/kube"
  build asan || return
  # The slow ones take minutes each: ./dev campaign runs them.
  DPUMESH_BIN_DIR=$top/build/asan/bin run_pytest kube tests/kube -m "not slow" "${kube_arguments[@]}"
}

tier_deploy() {
  build asan || return
  DPUMESH_BIN_DIR=$top/build/asan/bin run_pytest deploy tests/deploy
}

# Fuzzers run two at a time or one a core; each works on a copy of its corpus, so that a run changes
# nothing in the tree. What it finds stays in build/fuzz-artifacts. With the same addresses (where the
# machine lets a process have them) and nothing read back in the midst, a seed says what is tried.
tier_fuzz() {
  local target name corpus targets=() passed=0 failed=0 running=0
  local artifacts=build/fuzz-artifacts same_addresses=()
  build fuzz || return
  mapfile -t targets < <(find build/fuzz -type f -name 'fuzz_*' -perm -u+x | sort)
  [ ${#targets[@]} -gt 0 ] || {
    printf '  no program named fuzz_* under build/fuzz\n'
    return 1
  }
  mkdir -p "$artifacts" build/log
  ! setarch -R true 2> /dev/null || same_addresses=(setarch -R)
  printf '  %d targets, %d s each, %d at a time, seed %d\n' ${#targets[@]} "$fuzz_seconds" "$(jobs_count)" "$fuzz_seed"
  local -A pids=()
  for target in "${targets[@]}"; do
    name=$(basename "$target")
    if [ "$running" -ge "$(jobs_count)" ]; then
      wait_fuzzer
    fi
    corpus=$scratch/$name
    mkdir -p "$corpus"
    [ ! -d "tests/fuzz/corpus/${name#fuzz_}" ] || cp -r "tests/fuzz/corpus/${name#fuzz_}/." "$corpus/"
    printf '  %s: from %d inputs\n' "$name" "$(find "$corpus" -type f | wc -l)"
    # exec makes the pid the fuzzer's own.
    (ASAN_SYMBOLIZER_PATH=$fuzz_symbolizer exec "${same_addresses[@]}" "$target" -seed="$fuzz_seed" -reload=0 \
      -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$artifacts/$name-" "$corpus" > "build/log/$name.log" 2>&1 < /dev/null) &
    pids[$!]=$name
    children+=($!)
    running=$((running + 1))
  done
  while [ "$running" -gt 0 ]; do
    wait_fuzzer
  done
  count "$passed" "$failed" 0
  [ "$failed" -eq 0 ]
}

# Waits for one of tier_fuzz's children and judges it.
wait_fuzzer() {
  local pid status=0 name
  wait -n -p pid "${!pids[@]}" || status=$?
  name=${pids[$pid]}
  unset "pids[$pid]"
  running=$((running - 1))
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
    printf '  %s: ok, %s\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: */runs: /p' "build/log/$name.log")"
  else
    failed=$((failed + 1))
    printf '  %s: FAILED with status %d; the end of build/log/%s.log (inputs in build/fuzz-artifacts):\n' \
      "$name" "$status" "$name"
    tail -n 40 "build/log/$name.log" | sed 's/^/    | /'
  fi
}

tier_demo() {
  # An address of its own, so that it may run beside a `dpumesh up` of the developer's.
  local output=$top/build/log/demo.log grown
  mkdir -p "$top/build/log"
  bash tools/dev/demo.sh --address 127.78.0.1 --brief < /dev/null | tee "$output" | grep -v '^\[Client' || return
  # Three replicas answer three times what one does; a loaded machine may spoil some of it, not half.
  grown=$(sed -nE 's/^ +3 +[0-9]+ +([0-9.]+)x$/\1/p' "$output")
  if ! awk -v grown="${grown:-0}" 'BEGIN { exit !(grown > 2) }'; then
    printf '  FAILED: three replicas answer only %s times what one does\n' "${grown:-?}"
    count 1 1 0
    return 1
  fi
  count 2 0 0
}

tier_install() {
  build release || return
  bash tools/dev/check_install.sh build/release "$scratch/prefix" "$counts"
}

# Without an engine, or without a base to build on, no test failed, as with kube.
tier_images() {
  local engine
  if ! engine=$(bash tools/dev/images.sh --find 2>&1); then
    printf '  left out: all that builds images. %s\n' "$engine"
    return "$left_out"
  fi
  printf '  with %s\n' "$engine"
  # Building is most of it, and takes as long as the machine and its network do.
  run_pytest images tests/images -m "not slow" -o timeout=900
}

# The images are those of this tree. All but building them happens in a world of its own, which has no network to fetch
# anything from.
tier_node() {
  local reason
  if ! reason=$(/usr/bin/python3 tests/node/world.py --check 2>&1) ||
    ! reason=$(bash tools/dev/images.sh --find 2>&1 > /dev/null); then
    printf '  left out: all that needs a Kubernetes node. %s\n' "$reason"
    return "$left_out"
  fi
  bash tools/dev/images.sh --output "$scratch/images" || return
  local cell
  cell=$(bash tools/dev/cell.sh) ||
    printf "  no image of a muBench cell, which takes Debian's packages: what needs one is skipped\n"
  build release dpumesh || return
  run_pytest world tests/node/outside || return
  local passed failed skipped status=0
  read -r passed failed skipped < "$counts"
  DPUMESH_BIN_DIR=$top/build/release/bin DPUMESH_IMAGES=$scratch/images DPUMESH_CELL_IMAGE=$cell \
    pytest_runner="/usr/bin/python3 tests/node/world.py --bare" run_pytest node tests/node --ignore=tests/node/outside \
    "${node_arguments[@]}" || status=$?
  [ ! -s "$counts" ] || add_counts "$passed" "$failed" "$skipped"
  return "$status"
}

# What a tier returns that can't run on this machine.
left_out=77
declare -A brings=([kube]="./dev setup --kube" [images]="./dev setup images" [node]="./dev setup images node and ./dev setup --kube")
left=()
names=()
results=()
times=()
total_passed=0 total_failed=0 total_skipped=0
run_tier() {
  local tier=$1 status=0 began passed=0 failed=0 skipped=0 result=ok
  began=$(now_ms)
  heading "$tier"
  rm -f "$counts"
  "tier_$tier" || status=$?
  if [ "$status" = "$left_out" ] && [ ! -s "$counts" ]; then
    left+=("$tier")
    # What was asked for by name and can't run has failed.
    [[ " ${only[*]} " != *" $tier "* ]] || total_failed=$((total_failed + 1))
    return
  fi
  [ ! -s "$counts" ] || read -r passed failed skipped < "$counts"
  # A tier that could not even count is one failure, not none.
  if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
  elif [ "$status" -eq 0 ] && [ $((passed + failed + skipped)) -eq 0 ]; then
    printf '  nothing ran in this tier\n'
    failed=1
  fi
  [ "$failed" -eq 0 ] || result=FAILED
  names+=("$tier")
  results+=("$(printf '%-7s %7d %7d %8d' "$result" "$passed" "$failed" "$skipped")")
  times+=("$(seconds_since "$began")")
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
}

started=$(now_ms)
need test
for tier in "${tiers[@]}"; do
  run_tier "$tier"
done

heading "summary ($(seconds_since "$started") s)"
printf '  %-8s %-7s %7s %7s %8s %9s\n' tier result passed failed skipped seconds
for i in "${!names[@]}"; do
  printf '  %-8s %s %9s\n' "${names[i]}" "${results[i]}" "${times[i]}"
done
for tier in "${all_tiers[@]}"; do
  if [[ " ${left[*]} " == *" $tier "* ]]; then
    printf '  %-8s left out: %s brings what it needs\n' "$tier" "${brings[$tier]}"
  elif [[ " ${names[*]} " != *" $tier "* ]]; then
    printf '  %-8s not run\n' "$tier"
  fi
done
for tier in "${second[@]}"; do
  printf '  %s: %d passed only the second time\n' "${tier% *}" "${tier#* }"
done
line="$total_passed passed, $total_failed failed"
[ "$total_skipped" -eq 0 ] || line+=", $total_skipped skipped"
printf '\n%s\n' "$line"
[ "$total_failed" -eq 0 ]
