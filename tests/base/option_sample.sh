#!/bin/bash
# option_sample.sh run|man|bash|zsh|fish PROGRAM: what people and shells make of an option table.
set -u
what=$1 program=$2 failures=0

fail() {
    echo "FAIL: $*"
    failures=$((failures + 1))
}

# expect STATUS TEXT ARGUMENT...: the status and a piece of the output (both streams).
expect() {
    local status=$1 text=$2 output got
    shift 2
    output=$("$program" "$@" 2>&1)
    got=$?
    [[ $got -eq $status ]] || fail "sample $*: status $got, not $status: $output"
    [[ $output == *"$text"* ]] || fail "sample $*: no '$text' in: $output"
}

need() {
    command -v "$1" >/dev/null || {
        echo "SKIP: $1 is not installed"
        exit 77
    }
}

# complete_bash WORD...: what bash offers after these words; the last one is unfinished.
complete_bash() {
    COMP_WORDS=(sample "$@") COMP_CWORD=$# COMPREPLY=()
    _sample
    echo "${COMPREPLY[*]}"
}

case $what in
run)
    expect 0 'wait=10000000000 size=65536 ratio=0.5 format=0 labels=0 operands=1' load url
    expect 0 'verbose=1 secret=0 config=x count=7' load -vfx -c7 url
    expect 2 "sample load: unknown option --cuont; did you mean --count?" load --cuont=3 url
    expect 2 "Try 'sample load --help'." load --cuont=3 url
    expect 2 "sample: unknown command laod; did you mean load?" laod
    expect 2 "sample: a command is missing" --
    expect 0 'Usage: sample [OPTION]... COMMAND' --help
    expect 0 'Usage: sample load [OPTION]... URL' load -h
    expect 0 'sample load (muBench-DPU) ' load --version
    for arguments in --help 'load --help' 'check --help'; do
        # shellcheck disable=SC2086
        wide=$("$program" $arguments | awk 'length > 79')
        [[ -z $wide ]] || fail "$arguments: wider than 79 columns: $wide"
    done
    for page in --help --print-man --print-completion=bash; do
        for command in '' load; do
            # shellcheck disable=SC2086
            "$program" $command $page | grep -q -e secret -e internal && fail "$page shows what is hidden"
        done
    done
    "$program" --help >/dev/full 2>/dev/null && fail "a full disk looks like success"
    ;;
man)
    need mandoc
    for command in '' load check; do
        # No date: it would make two builds differ.
        # shellcheck disable=SC2086
        lint=$("$program" $command --print-man | mandoc -T lint | grep -v 'missing date')
        [[ -z $lint ]] || fail "man page of '$command': $lint"
    done
    text=$("$program" load --print-man | mandoc -T utf8 | sed 's/.\x08//g' | tr -s ' \n' ' ')
    for words in 'sample-load - send requests and measure' '-c, --count=N' \
        'How many at once. (1 to 100; default: 50)' '.A second paragraph that begins' \
        'back\slash and --an-option' "What's in a paragraph" 'sample load --count=5' \
        'EXIT STATUS'; do
        [[ $text == *"$words"* ]] || fail "man page without '$words': $text"
    done
    ;;
bash)
    eval "$("$program" --print-completion=bash)" || fail "bash does not read it"
    [[ $(complete_bash '') == 'load check' ]] || fail "commands: $(complete_bash '')"
    [[ $(complete_bash lo) == 'load' ]] || fail "command: $(complete_bash lo)"
    [[ $(complete_bash load --co) == '--config= --count=' ]] || fail "$(complete_bash load --co)"
    [[ $(complete_bash load --format = '') == 'text json yaml' ]] || fail "value after ="
    [[ $(complete_bash load --format =) == 'text json yaml' ]] || fail "value at ="
    [[ $(complete_bash load --format = j) == 'json' ]] || fail "begun value after ="
    [[ $(complete_bash load -o y) == 'yaml' ]] || fail "value of a letter"
    [[ $(complete_bash load --count '') == '' ]] || fail "nothing to offer for a number"
    [[ $(complete_bash check --) == '--help --version' ]] || fail "built-in options"
    cd "$(dirname "$0")" || exit 1
    [[ $(complete_bash load --config = option_sample.c) == 'option_sample.c' ]] || fail "files"
    ;;
zsh)
    need zsh
    "$program" --print-completion=zsh >"${TMPDIR:-/tmp}/_sample.$$"
    zsh -n "${TMPDIR:-/tmp}/_sample.$$" || fail "zsh does not read it"
    # Completion functions stand on their feet only inside the line editor: drive one in a pty.
    output=$(zsh -f -c '
        zmodload zsh/zpty
        zpty z "zsh -f -i"
        zpty -w z "PS1= ; autoload -Uz compinit; compinit -D -u; source '"${TMPDIR:-/tmp}/_sample.$$"' 2>/dev/null; compdef _sample sample; print rea\"\"dy"
        zpty -r z line "*ready*"
        zpty -w -n z "sample load --for"$'"'\t'"'
        zpty -w -n z $'"'\t'"'
        sleep 0.5
        zpty -w -n z $'"'\t\t'"'
        sleep 0.5
        zpty -w -n z $'"'\C-u'"'"print d\"\"one"$'"'\n'"'
        zpty -r z line "*done*"
        print -r -- "$line"
        zpty -d z' 2>&1)
    rm -f "${TMPDIR:-/tmp}/_sample.$$"
    [[ $output == *--format=* && $output == *json* ]] || fail "zsh offers: $output"
    ;;
fish)
    need fish
    script=$("$program" --print-completion=fish)
    fish --no-config -n <(echo "$script") || fail "fish does not read it"
    offers() {
        # shellcheck disable=SC2016 # fish expands these
        fish --no-config -c 'set -l script (cat $argv[1] | string collect); eval $script
            complete -C $argv[2]' <(echo "$script") "$1" | cut -f1 | sort | tr '\n' ' '
    }
    [[ $(offers 'sample ') == 'check load ' ]] || fail "commands: $(offers 'sample ')"
    [[ $(offers 'sample load --format ') == 'json text yaml ' ]] || fail "choices"
    [[ $(offers 'sample load --co') == '--config --count ' ]] || fail "options: $(offers 'sample load --co')"
    ;;
esac
exit $((failures > 0))
