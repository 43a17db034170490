#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the program of this module, unless it is in the cache, and prints the folder that it is in, with cert-manager's
# resource definitions in crds/ beside it. What it does goes to stderr. The cache is
# ~/.cache/apparmor-operator/certmanager (or under $XDG_CACHE_HOME), keyed by what is built; one version is kept.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/certmanager
key=$(sha256sum go.mod go.sum build.sh ./*.go | sha256sum | cut -c1-16)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [[ ! -d $cache/$key ]]; then
    go=$(../../controlplane/go.sh)
    echo "certmanager: building cert-manager, three minutes of processor time the first time" >&2
    find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
    work=$(mktemp -d "$cache/.build.XXXXXX")
    export CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOTOOLCHAIN=local
    nice -n 10 "$go" build -buildvcs=false -ldflags '-s -w' -o "$work/certmanager" . >&2
    mkdir "$work/crds"
    source=$("$go" list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)
    install -m 644 -t "$work/crds" "$source"/deploy/crds/cert-manager.io_{certificaterequests,certificates,clusterissuers,issuers}.yaml
    mv -T "$work" "$cache/$key"
fi
printf '%s\n' "$cache/$key"
