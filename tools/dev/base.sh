# shellcheck shell=bash
# For images.sh: where the image that all others start from comes from. The caller has common.sh, the
# engine in $engine, and in $scratch a directory.
: "${scratch:?}" "${engine:?}"

base=docker.io/library/debian:bookworm-slim
# The same image under a second name says that we made it.
base_made=localhost/mubench-dpu-base:debootstrap
base_tar=${XDG_CACHE_HOME:-$HOME/.cache}/dpumesh/images/bookworm-slim.tar

image_id() {
  "$engine" images --quiet --no-trunc "$1" 2> /dev/null | head -n 1 || true
}

# A base that we made has no list of servers in it, so that no image tells this machine's: it borrows
# /etc/apt for as long as it builds.
base_is_made() {
  local id
  id=$(image_id "$base_made")
  [ -n "$id" ] && [ "$id" = "$(image_id "$base")" ]
}

# Where apt on this machine has Debian 12's packages from.
debian_address() {
  # shellcheck disable=SC2016 # apt-get replaces it
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Codename: bookworm' \
    'Component: main' 2> /dev/null | head -n 1
}

# What Debian's slim images leave out, now and in all that is installed on them later.
make_slim() {
  local root=$1
  cat > "$root/etc/dpkg/dpkg.cfg.d/docker" << 'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/groff/*
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
path-exclude /usr/share/man/*
END
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  find "$root/usr/share/doc" -type l -delete
  find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
  rm -rf "$root"/usr/share/{groff,info,lintian,linda,man}/*
  find "$root/usr/share/locale" -mindepth 1 -maxdepth 1 ! -name locale.alias -exec rm -rf {} +
}

# What tells of this machine, or of the moment.
make_nobodys() {
  local root=$1 name
  rm -rf "$root"/var/log/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/var/cache/ldconfig/aux-cache \
    "$root"/etc/apt/sources.list "$root"/etc/{passwd,shadow,group,gshadow}- \
    "$root"/tmp/*
  for name in machine-id hostname hosts resolv.conf; do
    : > "$root/etc/$name"
  done
}

# Makes $base_tar: beside its place first, so that nobody ever uses half of it.
make_base_tar() {
  local root=$scratch/base address
  [ "$(id -u)" = 0 ] ||
    die "debootstrap needs root; run ./dev images --bootstrap-base once as root, or $engine pull $base elsewhere"
  command -v debootstrap > /dev/null ||
    die "debootstrap is not there, and without it there is no base; ./dev setup images installs it"
  address=$(debian_address)
  [ -n "$address" ] || die "apt on this machine knows no Debian 12, from which debootstrap would make the base"
  mkdir -p "$(dirname "$base_tar")"
  logged images-debootstrap "make the base with debootstrap (once)" \
    debootstrap --variant=minbase bookworm "$root" "$address" || return
  make_slim "$root"
  make_nobodys "$root"
  tar --create --file "$scratch/base.tar" --directory "$root" --sort=name --numeric-owner \
    --mtime=@0 --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' . || return
  mv "$scratch/base.tar" "$base_tar.new"
  mv "$base_tar.new" "$base_tar"
  rm -rf "$root"
}

import_base() {
  local container
  if [ "$engine" = podman ]; then
    podman import --change 'CMD ["bash"]' "$base_tar" "$base" || return
  else
    container=$(buildah from scratch) || return
    buildah add --quiet "$container" "$base_tar" / &&
      buildah config --cmd bash "$container" &&
      buildah commit --quiet --timestamp 0 --rm "$container" "$base" || return
  fi
  "$engine" tag "$base" "$base_made"
}

bootstrap_base() {
  [ -s "$base_tar" ] || make_base_tar || return
  logged images-base "import the base" import_base
}

pull_base() {
  timeout 300 "$engine" pull --quiet "$base" > build/log/images-pull.log 2>&1
}

base_is_in_reach() {
  [ -n "$(image_id "$base")" ] || [ -s "$base_tar" ] || pull_base ||
    { [ "$(id -u)" = 0 ] && command -v debootstrap > /dev/null; }
}

# ensure_base ASKED: has $base in the engine's store. What lies there stays; ASKED 1 makes it ourselves.
ensure_base() {
  if [ "$1" = 1 ]; then
    base_is_made || bootstrap_base
    return
  fi
  [ -z "$(image_id "$base")" ] || return 0
  if pull_base; then
    printf '  pulled %s\n' "$base"
    return
  fi
  printf '  %s can not be pulled here (build/log/images-pull.log); making it with debootstrap instead\n' \
    "$base"
  bootstrap_base
}
