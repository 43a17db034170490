#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints a folder with the resource definitions of Flux, Argo CD and the Prometheus operator for which examples/gitops and
# deploy/prometheus are written, out of their Go modules, kept in the cache. Each file is what it was when its digest was noted here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/gitops
key=$(sha256sum definitions.sh | cut -c1-16)
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -d "$cache/$key" ]; then
    go=$(../controlplane/go.sh)
    echo 'install: fetching the definitions of Flux, Argo CD and the Prometheus operator' >&2
    find "$cache" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
    work=$(mktemp -d "$cache/.fetch.XXXXXX")
    cd "$work"
    while read -r digest module file; do
        # The digest says that it is the right file; a checksum database need not be reached.
        folder=$(GOFLAGS=-mod=mod GOWORK=off GOTOOLCHAIN=local GONOSUMDB='*' "$go" mod download -json "$module" | jq -er .Dir) ||
            { echo "install: $module cannot be fetched" >&2; exit 1; }
        cp "$folder/$file" .
        sha256sum --check --status <<<"$digest  ${file##*/}" ||
            { echo "install: $file of $module is another than it was" >&2; exit 1; }
    done <<'END'
6a79e5692f0f6de31fa1ea241d9d9aa9f3e1282dace7dbc8a41a66f2d83511a2 github.com/fluxcd/source-controller@v1.8.0 config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml
cdc8286a3c88ed441b486288416c7c3090cfeb0595ec2f15730cd3dac7be7f98 github.com/fluxcd/kustomize-controller@v1.7.3 config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml
277acfc67f7d5646c398be72105a80fb8b9ee79706eb08b7d985ffc713b1e2f8 github.com/argoproj/argo-cd/v3@v3.1.0 manifests/crds/application-crd.yaml
f229e79e7e7e90ce38c7a4954077466060d93c81f96183b79dc6f4a9d9618531 github.com/prometheus-operator/prometheus-operator@v0.88.0 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
49b1a18537152d774ff3c6bcb1b5af941b1ae4d1ab4f2084c2e551f32fdc939c github.com/prometheus-operator/prometheus-operator@v0.88.0 example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml
END
    chmod 644 ./*
    cd ..
    mv -T "$work" "$cache/$key"
fi
printf '%s\n' "$cache/$key"
