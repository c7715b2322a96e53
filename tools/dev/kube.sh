#!/usr/bin/env bash
# Finds Kubernetes' own programs for the tests against a real API server, or builds them once. Run by
# ./dev setup --kube; ./dev test, ./dev cluster and tests/kube ask it where they are.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
verb="setup --kube"

usage() {
  cat << END
Usage: ./dev setup --kube

Finds etcd and Kubernetes $minor (${control_plane[*]:1}) for
the tests against a real API server. Each program is looked for in the directory KUBEBUILDER_ASSETS,
then in PATH, then in ${cache/#"$HOME"/\~}. What is in none of them is built once from Go modules
(tools/kube/go.mod) into the last: seven to thirteen minutes for all, on two cores. That needs Go
$go_least or later, and nothing else does: without it the kube tier of ./dev test is left out, and the
exit status is 3.

Then the same for what makes a whole node of it, three to ten minutes more: ${node[*]:0:3}
of that Kubernetes, ${node[*]:3:1} and ${node[*]:4} (tools/${node[*]:3:1}, tools/${node[*]:4}).
Without these ./dev node and the node tier are left out.

tools/dev/kube.sh is behind it and takes:
  --node     besides the programs of a control plane those of a node
  --find     only print "NAME PATH" lines of programs; status 1 when one is not there
  --check    status 3 and a sentence when programs have to be built and can't be
END
}

# In this order, which is also the order in which they are built.
control_plane=(etcd kube-apiserver kube-controller-manager kubectl)
node=(kube-scheduler kube-proxy kubelet metrics-server coredns)
programs=("${control_plane[@]}")

required() { # MODULE GO.MOD
  sed -n "s|^require $1 v||p" "$2"
}
kube_version=$(required k8s.io/kubernetes tools/kube/go.mod)
etcd_version=$(required go.etcd.io/etcd/server/v3 tools/kube/etcd/go.mod)
metrics_version=$(required sigs.k8s.io/metrics-server tools/metrics-server/go.mod)
dns_version=$(required github.com/coredns/coredns tools/coredns/go.mod)
minor=${kube_version%.*}
go_least=$(sed -nE 's/^go ([0-9]+\.[0-9]+).*/\1/p' tools/kube/go.mod)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dpumesh

built_path() {
  case $1 in
    etcd) printf '%s/etcd/v%s/etcd\n' "$cache" "$etcd_version" ;;
    metrics-server) printf '%s/metrics-server/v%s/metrics-server\n' "$cache" "$metrics_version" ;;
    coredns) printf '%s/coredns/v%s/coredns\n' "$cache" "$dns_version" ;;
    *) printf '%s/kube/v%s/%s\n' "$cache" "$kube_version" "$1" ;;
  esac
}

# The version a program says it has, as "3.6" or "1.34"; nothing when it does not start.
minor_of() {
  local arguments=(--version)
  [ "$(basename "$1")" != kubectl ] || arguments=(version --client)
  timeout 20 "$1" "${arguments[@]}" 2> /dev/null < /dev/null |
    sed -nE '1s/^((Kubernetes|Client Version:|etcd Version:) |CoreDNS-)?v?([0-9]+\.[0-9]+)\..*/\3/p' || true
}

fits() { # NAME PATH
  [ -x "$2" ] || return 1
  case $1 in
    # Older ones can't say how far a watch has come, without which there are no streaming lists.
    etcd) [[ $(minor_of "$2") == 3.[56] ]] ;;
    metrics-server) [[ $(minor_of "$2") == 0.[789] ]] ;;
    coredns) [[ $(minor_of "$2") == 1.* ]] ;;
    *) [ "$(minor_of "$2")" = "$minor" ] ;;
  esac
}

# find NAME: prints where a program is.
find_program() {
  local path
  for path in "${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS/$1}" "$(command -v "$1" || true)"; do
    if [ -n "$path" ] && fits "$1" "$path"; then
      printf '%s\n' "$path"
      return
    fi
  done
  path=$(built_path "$1")
  [ -x "$path" ] && printf '%s\n' "$path"
}

# Sets found, by name, and missing.
declare -A found=()
missing=()
look() {
  local name path
  found=()
  missing=()
  for name in "${programs[@]}"; do
    if path=$(find_program "$name"); then
      found[$name]=$path
    else
      missing+=("$name")
    fi
  done
}

# Whether missing programs can be built; says why not. A go that is too old for go.mod refuses even
# to list it, or fetches the one it needs, as its owner has set it (GOTOOLCHAIN).
can_build() {
  local reason said
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! command -v go > /dev/null; then
    reason="there is no go in PATH"
  elif ! said=$(cd tools/kube && GOWORK=off go list -m 2>&1); then
    reason="$(go version 2> /dev/null || printf 'go') can't: $(tail -n 1 <<< "$said")"
  else
    return 0
  fi
  {
    printf './dev %s: %s of Kubernetes %s can not be built: %s.\n' "$verb" "${missing[*]}" "$kube_version" "$reason"
    printf 'Install Go %s or later, or put these programs of any %s release into a directory and name it in\n' \
      "$go_least" "$minor"
    printf 'KUBEBUILDER_ASSETS. Only the %s of ./dev test needs them.\n' "$tiers"
  } >&2
  return 1
}

# build_program NAME: beside its place first, so that nobody ever runs half of it.
build_program() {
  local name=$1 folder=tools/kube package=k8s.io/kubernetes/cmd/$1 path flags="-s -w" variable
  local version=k8s.io/component-base/version variables
  path=$(built_path "$name")
  variables=("$version.gitVersion=v$kube_version" "$version.gitMajor=${minor%.*}" "$version.gitMinor=${minor#*.}")
  case $name in
    etcd)
      folder=tools/kube/etcd
      package=go.etcd.io/etcd/server/v3
      ;;
    metrics-server)
      folder=tools/metrics-server
      package=sigs.k8s.io/metrics-server/cmd/metrics-server
      variables=("sigs.k8s.io/metrics-server/pkg/version.gitVersion=v$metrics_version")
      ;;
    coredns)
      folder=tools/coredns
      package=github.com/coredns/coredns
      ;;
  esac
  for variable in "${variables[@]}"; do
    flags+=" -X $variable"
  done
  mkdir -p "$(dirname "$path")" || return
  scratch=$(mktemp -d "$(dirname "$path")/.build.XXXXXX") || return
  # -v: the package that is being compiled is what the progress lines show.
  logged "kube-$name" "build $name" env -C "$folder" CGO_ENABLED=0 GOWORK=off nice -n 19 \
    go build -v -p 2 -mod=readonly -trimpath -buildvcs=false -ldflags "$flags" -o "$scratch/$name" "$package" ||
    return
  mv "$scratch/$name" "$path" && rmdir "$scratch"
}

build_missing() {
  local name began
  began=$(now_ms)
  mkdir -p "$cache"
  scratch=""
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  # Who comes second finds what the first has built.
  exec {lock}> "$cache/kube.lock"
  if ! flock -n "$lock"; then
    printf '  another ./dev setup --kube is at work; waiting for it\n'
    flock "$lock"
  fi
  look
  [ ${#missing[@]} -gt 0 ] || return 0
  for name in "${missing[@]}"; do
    build_program "$name" ||
      die "could not build $name; the whole output is in build/log/kube-$name.log." \
        "When the network is the cause, run it again: what is built stays"
  done
  printf 'setup: built %s in %s s\n' "${missing[*]}" "$(seconds_since "$began")"
}

offer_help "$@"
quiet=0
action=setup
tiers="kube tier"
for argument in "$@"; do
  case $argument in
    --find | --check) action=${argument#--} ;;
    --node)
      programs+=("${node[@]}")
      tiers="kube and node tiers"
      ;;
    --quiet) quiet=1 ;;
    *) refuse "unknown argument $argument" ;;
  esac
done

look
case $action in
  check) can_build || exit 3 ;;
  find)
    for name in "${!found[@]}"; do
      printf '%s %s\n' "$name" "${found[$name]}"
    done
    [ ${#missing[@]} -eq 0 ]
    ;;
  setup)
    if [ ${#missing[@]} -gt 0 ]; then
      can_build || exit 3
      printf 'setup: Kubernetes %s and etcd %s, from Go modules; missing: %s\n' \
        "$kube_version" "$etcd_version" "${missing[*]}"
      build_missing
      look
    fi
    if [ "$quiet" = 0 ]; then
      for name in "${programs[@]}"; do
        printf 'setup: %s\n' "${found[$name]}"
      done
    fi
    ;;
esac
