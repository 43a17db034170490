#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the programs of this module, unless they are in the cache, and prints the folder that they are in.
# What it does goes to stderr. The cache is ~/.cache/apparmor-operator/clientgo (or under $XDG_CACHE_HOME), keyed by
# what is built; one version is kept.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/clientgo
key=$(sha256sum go.mod go.sum build.sh ./*/*.go | sha256sum | cut -c1-16)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ ! -d $cache/$key ]]; then
    go=$(../../controlplane/go.sh)
    echo "clientgo: building the programs with client-go, a minute the first time" >&2
    find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
    work=$(mktemp -d "$cache/.build.XXXXXX")
    CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOTOOLCHAIN=local nice -n 5 \
        "$go" build -buildvcs=false -ldflags '-s -w' -o "$work/" \
        ./apply ./denials ./fill ./follow ./load ./manager ./webhook >&2
    mv -T "$work" "$cache/$key"
fi
printf '%s\n' "$cache/$key"
