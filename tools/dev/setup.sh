#!/usr/bin/env bash
# ./dev setup: installs the Debian packages that are missing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev setup [--print] [--quiet] [--kube] [build | lint | test | bench | kube | images | node]...

Installs the Debian 12 packages that are missing for these purposes (default: all but images and node), and prints
which. Needs root or sudo, but only when something is missing. Services that come along (prometheus
for its promtool, nginx as a control, containerd) are neither started nor enabled.

  build   what ./dev build and ./dev demo need
  lint    what ./dev lint needs
  test    what ./dev test needs, build and lint included
  bench   what ./dev bench needs, build included
  kube    what the kube tier of ./dev test needs besides Kubernetes' own programs; part of test
  images  what ./dev images and the images tier of ./dev test need where there is no engine: buildah,
          debootstrap, runc
  node    what ./dev node and the node tier of ./dev test need besides Kubernetes' own programs: containerd, runc,
          CNI plugins, iptables; kube included

  --kube     kube, and these programs: finds them (KUBEBUILDER_ASSETS, PATH, ~/.cache/dpumesh), or
             builds them there once, which takes Go and some minutes; ./dev help kube tells more.
             Status 3 when they are not there and can't be built: all else works without them.
             Helm, for the tests of deploy/chart, comes along where it can
  --print    only print the names of the packages, one a line
  --quiet    say nothing when there is nothing to do
EOF
}

declare -A sets=(
  [build]="gcc libc6-dev cmake ninja-build pkg-config libc-ares-dev libjansson-dev libmicrohttpd-dev libyaml-dev libcurl4-openssl-dev libssl-dev libck-dev
    libnlopt-dev libigraph-dev"
  [lint]="clang-format-16 clang-tidy-16 shellcheck python3"
  [test]="clang-16 libclang-rt-16-dev libcriterion-dev python3-pytest python3-pytest-timeout
    python3-pytest-xdist python3-yaml python3-prometheus-client prometheus netcat-openbsd strace
    mandoc procps curl locales zsh fish graphviz"
  [bench]="nginx-light wrk python3 procps"
  [kube]="openssl python3-pytest python3-pytest-timeout python3-yaml curl"
  [images]="buildah debootstrap runc python3-pytest python3-pytest-timeout"
  [node]="containerd containernetworking-plugins gcc iproute2 iptables libc6-dev prometheus python3-prometheus-client runc tini"
)

# What stands for the packages on a system whose packages we don't know the names of.
declare -A commands=(
  [build]="gcc cmake ninja pkg-config"
  [lint]="clang-format-16 clang-tidy-16 shellcheck python3"
  [test]="clang-16 promtool nc strace mandoc dot"
  [bench]="nginx wrk"
  [kube]="openssl curl"
  [images]="buildah"
  [node]="containerd gcc ip iptables prometheus runc tini"
)
declare -A modules=([build]="jansson libcares libssl libmicrohttpd yaml-0.1 ck nlopt igraph" [lint]="" [test]="criterion" [bench]="" [kube]="" [images]="" [node]="")

offer_help "$@"
print=0
quiet=0
kube=0
purposes=()
for argument in "$@"; do
  case $argument in
    --print) print=1 ;;
    --quiet) quiet=1 ;;
    --kube) kube=1 ;;
    build | lint | kube | images) purposes+=("$argument") ;;
    node) purposes+=(kube node) ;;
    test) purposes+=(build lint test kube) ;;
    bench) purposes+=(build bench) ;;
    *) refuse "unknown argument $argument" ;;
  esac
done

# What may be refused comes first, what takes long after all that may ask for a password.
if [ "$kube" = 1 ] && [ "$print" = 0 ]; then
  options=()
  [ "$quiet" = 0 ] || options=(--quiet)
  bash tools/dev/kube.sh --check
  bash tools/dev/setup.sh "${options[@]}" kube "${purposes[@]}"
  bash tools/dev/kube.sh "${options[@]}"
  # Without these only the node tier is left out,
  bash tools/dev/kube.sh "${options[@]}" --node || [ $? -eq 3 ]
  # and without Helm only tests of deploy/chart.
  bash tools/dev/helm.sh "${options[@]}" || [ $? -eq 3 ]
  exit 0
fi
[ "$kube" = 0 ] || purposes+=(kube)
[ ${#purposes[@]} -gt 0 ] || purposes=(build lint test bench kube)

packages=()
for purpose in "${purposes[@]}"; do
  read -r -d '' -a more <<< "${sets[$purpose]}" || true
  packages+=("${more[@]}")
done
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
if [ "$print" = 1 ]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

# elsewhere: not Debian 12. Looks for what the packages bring, and says what is not there.
elsewhere() {
  local name=$1 purpose word absent=()
  for purpose in "${purposes[@]}"; do
    for word in ${commands[$purpose]}; do
      command -v "$word" > /dev/null || absent+=("the command $word")
    done
    for word in ${modules[$purpose]}; do
      pkg-config --exists "$word" 2> /dev/null || absent+=("the library $word (for pkg-config)")
    done
  done
  if [ ${#absent[@]} -gt 0 ]; then
    {
      printf './dev setup: this is %s; the names of packages are known for Debian 12 only.\n' "$name"
      printf 'Looked for the commands and libraries themselves instead; not found:\n'
      printf '  %s\n' "${absent[@]}"
      printf 'On Debian 12 they are in these packages:\n  %s\n' "${packages[*]}"
    } >&2
    exit 1
  fi
  [ "$quiet" = 1 ] || printf 'setup: %s, not Debian 12, but every command and library is there\n' "$name"
  exit 0
}

if [ -r /etc/os-release ]; then
  # shellcheck disable=SC1091 # the machine's own file
  system=$(. /etc/os-release && printf '%s %s' "${ID:-unknown}" "${VERSION_ID:-}")
else
  system="a system without /etc/os-release"
fi
[ "$system" = "debian 12" ] || elsewhere "$system"

mapfile -t missing < <(
  comm -23 <(printf '%s\n' "${packages[@]}") <(
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2> /dev/null |
      sed -n 's/^installed //p' | sort -u
  )
)
if [ ${#missing[@]} -eq 0 ]; then
  [ "$quiet" = 1 ] || printf 'setup: nothing to install for %s (%d packages are there)\n' \
    "$(printf '%s\n' "${purposes[@]}" | sort -u | paste -s -d ' ')" ${#packages[@]}
  exit 0
fi
printf 'setup: missing: %s\n' "${missing[*]}"

as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo > /dev/null; then
    die "installing packages needs root, and there is no sudo here;" \
      "run as root: apt-get install --no-install-recommends ${missing[*]}"
  fi
  if ! sudo -n true 2> /dev/null && ! { [ -t 0 ] && sudo -v; }; then
    die "installing packages needs root, and sudo asks for a password that nobody can type here;" \
      "run as root: apt-get install --no-install-recommends ${missing[*]}"
  fi
  as_root=(sudo)
fi

# Nothing that we install may start a daemon: Debian asks this file (invoke-rc.d(8)). One that is
# there already is the administrator's and stays as it is.
policy=/usr/sbin/policy-rc.d
policy_ours=0
forget_policy() {
  [ "$policy_ours" = 0 ] || "${as_root[@]}" rm -f "$policy"
}
trap forget_policy EXIT
if [ ! -e "$policy" ]; then
  policy_ours=1
  printf '#!/bin/sh\n# Made by ./dev setup for as long as it runs.\nexit 101\n' |
    "${as_root[@]}" tee "$policy" > /dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Use-Pty=0
  -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
if ! logged apt-update "apt-get update" "${apt[@]}" update; then
  printf '  going on with the package lists that are there\n'
fi
logged apt-install "apt-get install (${#missing[@]} packages and what they need)" \
  "${apt[@]}" install --no-install-recommends "${missing[@]}" ||
  die "could not install the packages; the whole output is in build/log/apt-install.log." \
    "When the network is the cause, run ./dev setup again"

# Nor at the next boot, when it was us who brought it.
if command -v systemctl > /dev/null && [ -d /run/systemd/system ]; then
  for package in "${missing[@]}"; do
    case $package in
      prometheus) "${as_root[@]}" systemctl disable --quiet prometheus.service || true ;;
      nginx-light) "${as_root[@]}" systemctl disable --quiet nginx.service || true ;;
      containerd) "${as_root[@]}" systemctl disable --quiet containerd.service || true ;;
    esac
  done
fi
printf 'setup: installed %s\n' "${missing[*]}"
