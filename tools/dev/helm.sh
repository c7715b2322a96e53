#!/usr/bin/env bash
# Finds Helm for the tests of the chart (tests/deploy), or builds it once. Run by ./dev setup --kube.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
verb="setup --kube"

usage() {
  cat << END
Usage: tools/dev/helm.sh [--find | --check] [--quiet]

Finds Helm 3 for the tests of deploy/chart, in PATH and in ${cache/#"$HOME"/\~}, or builds
it once from Go modules (tools/helm/go.mod) into the latter: one to three minutes, on two cores. That
needs Go $go_least or later. Without Helm the tests that need it are left out, and the exit status is 3.

  --find     only print the program's path; status 1 when it is not there
  --check    status 3 and a sentence when it has to be built and can't be
  --quiet    do not print where it is
END
}

version=$(sed -n 's|^require helm.sh/helm/v3 v||p' tools/helm/go.mod)
go_least=$(sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' tools/helm/go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpumesh
built=$cache/helm/v$version/helm

# Any Helm 3 of these years does.
fits() {
  [ -x "$1" ] && [[ $(timeout 20 "$1" version --short 2> /dev/null < /dev/null) =~ ^v3\.(1[4-9]|[2-9][0-9])\. ]]
}

find_helm() {
  local path
  path=$(command -v helm || true)
  if [ -n "$path" ] && fits "$path"; then
    printf '%s\n' "$path"
  elif [ -x "$built" ]; then
    printf '%s\n' "$built"
  else
    return 1
  fi
}

# Whether it can be built; says why not.
can_build() {
  local reason said
  if ! command -v go > /dev/null; then
    reason="there is no go in PATH"
  elif ! said=$(cd tools/helm && GOWORK=off go list -m 2>&1); then
    reason="$(go version 2> /dev/null || printf 'go') can't: $(tail -n 1 <<< "$said")"
  else
    return 0
  fi
  {
    printf './dev %s: Helm %s can not be built: %s.\n' "$verb" "$version" "$reason"
    printf 'Install Go %s or later, or any Helm from 3.14 into PATH. Only the tests of deploy/chart need it.\n' \
      "$go_least"
  } >&2
  return 1
}

# Beside its place first, so that nobody ever runs half of it.
build_helm() {
  local began flags
  began=$(now_ms)
  flags="-s -w -X helm.sh/helm/v3/internal/version.version=v$version"
  # What it takes to be the newest Kubernetes when no cluster is asked.
  flags+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34"
  mkdir -p "$(dirname "$built")"
  scratch=""
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  exec {lock}> "$cache/helm.lock"
  flock "$lock" # who comes second finds what the first has built
  ! find_helm > /dev/null || return 0
  scratch=$(mktemp -d "$(dirname "$built")/.build.XXXXXX")
  logged helm "build helm" env -C tools/helm CGO_ENABLED=0 GOWORK=off nice -n 19 \
    go build -v -p 2 -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$scratch/helm" \
    helm.sh/helm/v3/cmd/helm ||
    die "could not build helm; the whole output is in build/log/helm.log." \
      "When the network is the cause, run it again"
  mv "$scratch/helm" "$built"
  printf 'setup: built helm in %s s\n' "$(seconds_since "$began")"
}

offer_help "$@"
quiet=0
action=setup
for argument in "$@"; do
  case $argument in
    --find | --check) action=${argument#--} ;;
    --quiet) quiet=1 ;;
    *) refuse "unknown argument $argument" ;;
  esac
done

case $action in
  find) find_helm ;;
  check) find_helm > /dev/null || can_build || exit 3 ;;
  setup)
    if ! find_helm > /dev/null; then
      can_build || exit 3
      build_helm
    fi
    [ "$quiet" = 1 ] || printf 'setup: %s\n' "$(find_helm)"
    ;;
esac
