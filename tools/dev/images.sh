#!/usr/bin/env bash
# ./dev images: the container images.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage() {
  cat << 'EOF'
Usage: ./dev images [--engine ENGINE] [--tag TAG] [--only IMAGE] [--output DIR] [--bootstrap-base] [--no-cache]

Builds the images mubench-dpu-agent and mubench-dpu-operator from Dockerfile.agent and Dockerfile.operator,
writes each as an OCI archive, and prints their digests and sizes. The same tree, base and packages
give the same digest. docs/images.md tells how a cluster gets them.

  --engine ENGINE    docker (with buildx), buildah or podman; default: the first of these that works
  --tag TAG          the images' tag (latest)
  --only IMAGE       agent or operator; default: both. cell: a muBench cell in Python, for the node tier of ./dev test
  --output DIR       where the archives go (build/images): mubench-dpu-IMAGE.oci.tar
  --bootstrap-base   make debian:bookworm-slim here with debootstrap instead of pulling it, once; it
                     is kept in ~/.cache/dpumesh/images. Needs root, Debian's debootstrap, and buildah
                     or podman. Also done when it can't be pulled
  --no-cache         use nothing of earlier builds but the base

Status 2 also when no engine works here. SOURCE_DATE_EPOCH is honoured; without it, times in the images are
the last commit's.
EOF
}

engines=(docker buildah podman)
offer_help "$@"
asked=""
tag=latest
images=(agent operator)
output=build/images
bootstrap=0
cache=1
find_only=0
while [ $# -gt 0 ]; do
  case $1 in
    --engine=* | --tag=* | --only=* | --output=*)
      set -- "${1%%=*}" "${1#*=}" "${@:2}"
      continue
      ;;
    --engine | --tag | --only | --output)
      [ -n "${2:-}" ] || refuse "$1 needs a value"
      case $1 in
        --engine)
          [[ " ${engines[*]} " == *" $2 "* ]] || refuse "there is no engine $2; one of ${engines[*]}"
          asked=$2
          ;;
        --tag)
          [[ $2 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
            refuse "--tag takes letters, digits, _, . and -, such as 0.1.0, not $2"
          tag=$2
          ;;
        --only)
          [[ $2 == agent || $2 == operator || $2 == cell ]] || refuse "there is no image $2; one of agent, operator, cell"
          images=("$2")
          ;;
        --output) output=$2 ;;
      esac
      shift
      ;;
    --bootstrap-base) bootstrap=1 ;;
    --no-cache) cache=0 ;;
    # For ./dev test: only print which engine it would be; status 2 when there is none, or no base.
    --find) find_only=1 ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done

# Our build steps need no walls around them, and this way they also work where no container can run.
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}

# works ENGINE: it is installed, and can do what we ask of it.
works() {
  command -v "$1" > /dev/null || return 1
  case $1 in
    docker)
      timeout 20 docker buildx version > /dev/null 2>&1 && timeout 20 docker info > /dev/null 2>&1
      ;;
    *)
      timeout 20 "$1" info > /dev/null 2>&1 && return
      # Within a container the usual storage may not work; this one does everywhere, and is slower.
      [ -z "${STORAGE_DRIVER:-}" ] && STORAGE_DRIVER=vfs timeout 20 "$1" info > /dev/null 2>&1 &&
        export STORAGE_DRIVER=vfs
      ;;
  esac
}

# Prints nothing, sets engine.
choose_engine() {
  local candidate
  engine=""
  if [ -n "$asked" ]; then
    command -v "$asked" > /dev/null || refuse "$asked is not on this machine"
    works "$asked" || refuse "$asked is there but does not work (docker needs its daemon and buildx); try $asked info"
    engine=$asked
  fi
  for candidate in "${engines[@]}"; do
    [ "$bootstrap" = 0 ] || [ "$candidate" != docker ] || continue
    [ -n "$engine" ] || ! works "$candidate" || engine=$candidate
  done
  [ -n "$engine" ] ||
    refuse "neither docker (with buildx) nor buildah nor podman works here; ./dev setup images installs buildah"
  [ "$bootstrap" = 0 ] || [ "$engine" != docker ] ||
    refuse "--bootstrap-base works with buildah and podman; docker's builder takes its base from a registry"
}

choose_engine
command -v /usr/bin/python3 > /dev/null || die "/usr/bin/python3 is not there; ./dev setup images installs it"

mkdir -p build/log
scratch=$(mktemp -d "${TMPDIR:-/tmp}/dpumesh-images.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# shellcheck source-path=SCRIPTDIR source=base.sh
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

if [ "$find_only" = 1 ]; then
  [ "$engine" = docker ] || base_is_in_reach ||
    refuse "$base is not here, can not be pulled, and only root with debootstrap could make it"
  printf '%s\n' "$engine"
  exit 0
fi

# What the labels say; a tree without git has neither time nor revision.
mapfile -t sources < <(sed -n 's/^!//p' .dockerignore)
revision=$(git rev-parse --verify --quiet HEAD 2> /dev/null || printf 'unknown')
if [ "$revision" != unknown ] &&
  [ -n "$(git status --porcelain -- .dockerignore Dockerfile.agent Dockerfile.operator "${sources[@]}")" ]; then
  revision+=-changed
fi
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || printf '0')}
[[ $epoch =~ ^[0-9]{1,12}$ ]] || refuse "SOURCE_DATE_EPOCH is a number of seconds, not $epoch"
version=$(sed -nE 's/^project\(.* VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
facts=(--build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "VERSION=$version" --build-arg "REVISION=$revision"
  --build-arg "CREATED=$(date --utc --date "@$epoch" +%Y-%m-%dT%H:%M:%SZ)")

# In full, because containerd knows images by this name and Kubernetes asks for it so.
image_name() {
  printf 'docker.io/library/mubench-dpu-%s:%s' "$1" "$tag"
}

# What an image is built from: its Dockerfile, and the folder that COPY reads.
declare -A dockerfiles=([agent]=Dockerfile.agent [operator]=Dockerfile.operator [cell]=tests/node/cell/Dockerfile)
declare -A contexts=([agent]=. [operator]=. [cell]=tests/node/cell)

# docker's own builder writes no OCI layout; one of this kind does.
docker_builder() {
  docker buildx inspect mubench-dpu > /dev/null 2>&1 ||
    docker buildx create --name mubench-dpu --driver docker-container
}

build_by_docker() {
  local options=()
  [ "$cache" = 1 ] || options+=(--no-cache)
  SOURCE_DATE_EPOCH=$epoch docker buildx build --builder mubench-dpu --progress plain --provenance=false \
    "${options[@]}" "${facts[@]}" --file "${dockerfiles[$1]}" --tag "$(image_name "$1")" \
    --output "type=oci,tar=false,rewrite-timestamp=true,dest=$scratch/$1" "${contexts[$1]}"
}

# buildah and podman take the same words.
build_by_buildah() {
  local options=(--layers)
  [ "$cache" = 1 ] || options+=(--no-cache)
  ! base_is_made || options+=(--volume /etc/apt:/etc/apt:ro)
  "$engine" build "${options[@]}" "${facts[@]}" --build-arg "BASE=$base" --timestamp "$epoch" --format oci \
    --file "${dockerfiles[$1]}" --tag "$(image_name "$1")" "${contexts[$1]}" &&
    "$engine" push "$(image_name "$1")" "oci:$scratch/$1:$(image_name "$1")" || return
  [ "$cache" = 1 ] || drop_steps "$1"
}

# Without the cache nobody will ever ask for the steps between again, and each holds its disk space.
drop_steps() {
  local id whole
  whole=$(image_id "$(image_name "$1")")
  for id in $(sed -nE 's/^--> ([0-9a-f]+)$/\1/p' "build/log/images-$1.log" | tac); do
    [[ ${whole#sha256:} == "$id"* ]] || "$engine" rmi "$id" > /dev/null 2>&1 || true
  done
}

# build_image IMAGE: leaves an OCI layout in $scratch/IMAGE.
build_image() {
  case $engine in
    docker) build_by_docker "$1" ;;
    *) build_by_buildah "$1" ;;
  esac
}

mkdir -p "$output"
printf '  with %s, into %s\n' "$engine" "$output"
if [ "$engine" = docker ]; then
  logged images-builder "look for docker's builder" docker_builder || die "docker can't make a builder"
else
  ensure_base "$bootstrap" || die "there is no base to build on; see build/log"
fi
rows=()
for image in "${images[@]}"; do
  logged "images-$image" "build mubench-dpu-$image" build_image "$image" ||
    die "could not build mubench-dpu-$image; the whole output is in build/log/images-$image.log"
  archive=$output/mubench-dpu-$image.oci.tar
  figures=$(python tools/dev/oci.py pack "$scratch/$image" "$scratch/$image.tar") || die "could not pack $archive"
  mv "$scratch/$image.tar" "$archive"
  read -r -a figures <<< "$figures"
  rows+=("$(printf '%-21s %s %15s %11s' "mubench-dpu-$image" "${figures[@]}")")
done

printf '\n  %-21s %-71s %15s %11s\n' image digest "over base (MB)" packed
printf '  %s\n' "${rows[@]}"
