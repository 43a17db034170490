#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints where promtool is: of Debian's package prometheus, unpacked into the cache and never installed, as installing it
# would start a server.
set -euo pipefail
if command -v promtool; then
    exit
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/promtool
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -x "$cache/root/usr/bin/promtool" ]; then
    echo 'promtool: downloading the package prometheus' >&2
    work=$(mktemp -d "$cache/.unpack.XXXXXX")
    (cd "$work" && apt-get -qq -o APT::Sandbox::User=root download prometheus >&2 && dpkg-deb -x prometheus_*.deb root)
    rm -rf "$cache/root"
    mv "$work/root" "$cache/root"
    rm -rf "$work"
fi
echo "$cache/root/usr/bin/promtool"
