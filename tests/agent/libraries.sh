#!/bin/sh
# libraries.sh AGENT: the shared libraries that the agent must not need. Its idle memory is a promise that these
# alone would break; see docs/dependencies.md. One function in the wrong file of a library is enough to pull one in.
set -eu

needed=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
[ -n "$needed" ] || {
  echo "$1: no shared library at all; is it the agent?" >&2
  exit 1
}
status=0
for library in libmicrohttpd libgnutls libyaml libcurl libnlopt libigraph; do
  case "$needed" in
    *"$library"*)
      echo "$1 needs $library; which object asks for it is in the linker's map (-Wl,-Map)" >&2
      status=1
      ;;
  esac
done
exit "$status"
