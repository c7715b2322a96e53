# shellcheck shell=bash
# For test.sh: runs pytest and counts. The caller has common.sh, a directory in $scratch, and in $counts the file
# that takes "passed failed skipped".
# shellcheck disable=SC2154 # both are set when these functions run, not when this file is read

# A failure on a loaded machine is told from a fault by running what failed once more, alone: at most
# this many tests, and never one that a sanitizer stopped. What passes then counts as passed, and is
# named at the end as passed the second time.
most_again=3
second=()

count() {
  printf '%d %d %d\n' "$1" "$2" "$3" > "$counts"
}

# add_counts PASSED FAILED SKIPPED: adds these to what is counted.
add_counts() {
  local p f s
  read -r p f s < "$counts"
  count $((p + $1)) $((f + $2)) $((s + $3))
}

# run_pytest NAME DIRECTORY [ARGUMENT]...: with pytest_runner, a command and its options before pytest's own.
run_pytest() {
  local name=$1 directory=$2 status=0 verdict=0 junit=build/log/$1.xml passed skipped failed runner
  read -r -a runner <<< "${pytest_runner:-}"
  shift 2
  mkdir -p build/log
  rm -f "$junit"
  set -- -q -ra -o "cache_dir=$scratch/pytest-$name" "$@" "$directory"
  PYTHONDONTWRITEBYTECODE=1 "${runner[@]}" /usr/bin/python3 -m pytest --junitxml "$junit" "$@" < /dev/null ||
    status=$?
  [ -s "$junit" ] || return 1
  python tools/dev/junit.py --quiet --again "$most_again" --counts "$counts" "$junit" || verdict=$?
  [ "$verdict" = 3 ] || return "$status"
  printf '  what failed, once more:\n'
  read -r passed failed skipped < "$counts"
  status=0
  PYTHONDONTWRITEBYTECODE=1 "${runner[@]}" /usr/bin/python3 -m pytest --last-failed --junitxml "$scratch/again.xml" "$@" \
    < /dev/null || status=$?
  [ -s "$scratch/again.xml" ] || return 1
  python tools/dev/junit.py --quiet --counts "$counts" "$scratch/again.xml"
  join_counts "$name" "$passed" "$failed" "$skipped"
  return "$status"
}

# join_counts TIER PASSED FAILED SKIPPED: a first run's counts with those of the run of what failed in it.
join_counts() {
  local tier=$1 passed=$2 failed=$3 skipped=$4 p f s
  read -r p f s < "$counts"
  # All that failed ran again, or the second run tells nothing.
  if [ $((p + f + s)) -ne "$failed" ]; then
    count "$passed" "$failed" "$skipped"
    return
  fi
  [ "$p" = 0 ] || second+=("$tier $p")
  count $((passed + p)) "$f" $((skipped + s))
}
