#!/usr/bin/env bash
# For ./dev test: where the image of a muBench cell (tests/node/cell) lies as an OCI archive. Made once for each version of
# the cell, which takes Debian's packages, and kept; status 1 when it is not there and can't be made.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

folder=${XDG_CACHE_HOME:-$HOME/.cache}/dpumesh/images
version=$(cat tests/node/cell/* | sha256sum | cut -c 1-16)
archive=$folder/cell-$version.oci.tar
if [ ! -s "$archive" ]; then
  mkdir -p "$folder"
  scratch=$(mktemp -d "$folder/cell.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  bash tools/dev/images.sh --only cell --output "$scratch" >&2 || exit 1
  mv "$scratch/mubench-dpu-cell.oci.tar" "$archive"
fi
printf '%s\n' "$archive"
