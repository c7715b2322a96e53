#!/usr/bin/env bash
# Finds what the tests of deploy/ need besides Kubernetes' programs, or fetches it once: Helm, and the
# CRDs of the Prometheus Operator. Run by ./dev setup --kube; tests/deploy asks it where they are.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
verb="setup --kube"

usage() {
  cat << END
Usage: tools/dev/helm.sh [--find] [--quiet]

For the tests of deploy/: finds Helm 3 in PATH and in ${cache/#"$HOME"/\~}, or builds it
once from Go modules (tools/helm/go.mod) into the latter, two to three minutes on two cores; fetches
the CRDs of the Prometheus Operator (tools/prometheus/go.mod) there as well. Both need Go $go_least or
later. Without them the tests that need them are left out, and the exit status is 3.

  --find     only print "NAME PATH" lines; status 1 when one is not there
  --quiet    do not print where they are
END
}

required() { # MODULE DIRECTORY
  sed -n "s|^require $1 v||p" "tools/$2/go.mod"
}
helm_version=$(required helm.sh/helm/v3 helm)
crds_module=github.com/prometheus-operator/prometheus-operator
crds_version=$(required "$crds_module" prometheus)
go_least=$(sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' tools/helm/go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpumesh
built=$cache/helm/v$helm_version/helm
crds=$cache/prometheus-operator/v$crds_version

# Any Helm 3 of these years does.
fits() {
  [ -x "$1" ] && [[ $(timeout 20 "$1" version --short 2> /dev/null < /dev/null) =~ ^v3\.(1[4-9]|[2-9][0-9])\. ]]
}

find_helm() {
  local path
  path=$(command -v helm || true)
  if [ -n "$path" ] && fits "$path"; then
    printf 'helm %s\n' "$path"
  elif [ -x "$built" ]; then
    printf 'helm %s\n' "$built"
  else
    return 1
  fi
}

find_crds() {
  [ -d "$crds" ] && printf 'prometheus-operator %s\n' "$crds"
}

find_all() {
  local status=0
  find_helm || status=1
  find_crds || status=1
  return "$status"
}

# Whether they can be fetched; says why not.
can_fetch() {
  local reason said
  if ! command -v go > /dev/null; then
    reason="there is no go in PATH"
  elif ! said=$(cd tools/helm && GOWORK=off go list -m 2>&1); then
    reason="$(go version 2> /dev/null || printf 'go') can't: $(tail -n 1 <<< "$said")"
  else
    return 0
  fi
  {
    printf './dev %s: Helm %s or the CRDs of the Prometheus Operator are not here and can not be\n' "$verb" "$helm_version"
    printf 'fetched: %s. Install Go %s or later. Only some tests of deploy/ need them.\n' "$reason" "$go_least"
  } >&2
  return 1
}

# Both come beside their place first, so that nobody ever runs half of one.
build_helm() {
  local began flags="-s -w -X helm.sh/helm/v3/internal/version.version=v$helm_version" variable
  began=$(now_ms)
  # The Kubernetes that it takes for granted when it asks no cluster.
  for variable in Major=1 Minor=34; do
    flags+=" -X helm.sh/helm/v3/pkg/chartutil.k8sVersion$variable"
  done
  mkdir -p "$(dirname "$built")"
  scratch=$(mktemp -d "$(dirname "$built")/.build.XXXXXX")
  logged helm "build helm" env -C tools/helm CGO_ENABLED=0 GOWORK=off nice -n 19 \
    go build -v -p 2 -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$scratch/helm" \
    helm.sh/helm/v3/cmd/helm ||
    die "could not build helm; the whole output is in build/log/helm.log." \
      "When the network is the cause, run it again"
  mv "$scratch/helm" "$built" && rmdir "$scratch"
  printf 'setup: built helm in %s s\n' "$(seconds_since "$began")"
}

fetch_crds() {
  local folder name
  mkdir -p "$(dirname "$crds")"
  scratch=$(mktemp -d "$(dirname "$crds")/.fetch.XXXXXX")
  logged prometheus-crds "fetch the CRDs of the Prometheus Operator" \
    env -C tools/prometheus GOWORK=off GOFLAGS=-mod=readonly go mod download "$crds_module" ||
    die "could not fetch $crds_module; the whole output is in build/log/prometheus-crds.log"
  folder=$(cd tools/prometheus && GOWORK=off go list -mod=readonly -m -f '{{.Dir}}' "$crds_module")
  for name in podmonitors prometheusrules servicemonitors; do
    install -m 644 "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml" "$scratch/$name.yaml"
  done
  chmod 755 "$scratch"
  mv "$scratch" "$crds"
}

fetch() {
  mkdir -p "$cache"
  scratch=""
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Who comes second finds what the first has made.
  exec {lock}> "$cache/helm.lock"
  flock "$lock"
  find_helm > /dev/null || build_helm
  find_crds > /dev/null || fetch_crds
}

offer_help "$@"
quiet=0
action=setup
for argument in "$@"; do
  case $argument in
    --find) action=print ;;
    --quiet) quiet=1 ;;
    *) refuse "unknown argument $argument" ;;
  esac
done

if [ "$action" = print ]; then
  find_all
  exit
fi
if ! find_all > /dev/null; then
  can_fetch || exit 3
  fetch
fi
[ "$quiet" = 1 ] || find_all | sed 's/^[^ ]* /setup: /'
