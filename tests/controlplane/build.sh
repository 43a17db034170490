#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
#   build.sh [controlplane | kubelet]
#
# Builds the control plane of the tests, or the kubelet of their nodes, unless it is in the cache, and prints
# the path of the program as the last line of stdout. A symlink `kubectl` lies beside the control plane. What
# it does goes to stderr.
#
# The cache is ~/.cache/apparmor-operator/controlplane (or under $XDG_CACHE_HOME), keyed by what is built.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'controlplane: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Go needs a home for its own caches; some CI systems have none.
choose_cache() {
    if [[ -n ${HOME:-} && -d $HOME && -w $HOME && $HOME != / ]]; then
        cache=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/controlplane
        return
    fi
    [[ -n ${XDG_CACHE_HOME:-} ]] ||
        die "HOME (${HOME:-unset}) is not a folder to write to; set HOME, or XDG_CACHE_HOME to a folder of yours"
    cache=$XDG_CACHE_HOME/apparmor-operator/controlplane
    export HOME=$cache/home GOPATH=$cache/home/go GOCACHE=$cache/home/go-build
    mkdir -p "$HOME"
}

kubernetes_version() {
    sed -n 's/^\tk8s\.io\/kubernetes \(v[0-9.]*\)$/\1/p' go.mod
}

# The key covers the flags below as well, as they are part of the result.
compute_key() {
    { sha256sum go.mod go.sum "$package_dir"/*.go; printf '%s\n' "$ldflags"; } | sha256sum | cut -c1-16
}

# report PID LOG: a line every ten seconds until the compiler ends.
report() {
    local begin=$SECONDS next=10
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - begin >= next)); then
            say "building, $((SECONDS - begin)) s:" \
                "$(grep -c '^go: downloading' "$2" || true) modules downloaded," \
                "$(grep -vc '^go: ' "$2" || true) of about 2700 packages compiled"
            next=$((next + 10))
        fi
    done
}

build() {
    local work=$1 pid status=0
    CGO_ENABLED=0 GOFLAGS='' GOWORK=off GOTOOLCHAIN=local nice -n 5 \
        "$go" build -v -buildvcs=false -ldflags "$ldflags" -o "$work/$program" "$package_dir" 2>"$work/log" &
    pid=$!
    trap 'kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
    report "$pid" "$work/log"
    wait "$pid" || status=$?
    if ((status != 0)); then
        grep -v '^[a-z0-9./_-]*$' "$work/log" | grep -v '^go: downloading' | tail -30 >&2 || true
        die "go build failed with status $status (see above)"
    fi
    [[ $program != controlplane ]] || ln -s controlplane "$work/kubectl"
    rm -f "$work/log"
    chmod 755 "$work"
}

# Earlier versions are of use while one goes back and forth between commits; a handful is enough.
prune() {
    local old
    find "$cache" -mindepth 1 -maxdepth 1 -type d -name '.build.*' -exec rm -rf {} +
    find "$cache" -mindepth 2 -maxdepth 2 -name "$program" -printf '%T@ %h\n' | sort -rn |
        tail -n +5 | cut -d' ' -f2- | while IFS= read -r old; do rm -rf "$old"; done
}

main() {
    local version key work begin=$SECONDS
    program=${1:-controlplane}
    case $program in
    controlplane) package_dir=. ;;
    kubelet) package_dir=./kubelet ;;
    *) die "there is no program '$program' to build: controlplane or kubelet" ;;
    esac
    choose_cache
    mkdir -p "$cache"
    version=$(kubernetes_version)
    [[ $version =~ ^v([0-9]+)\.([0-9]+)\. ]] || die "go.mod does not require a release of k8s.io/kubernetes"
    ldflags="-s -w"
    for package in k8s.io/client-go/pkg/version k8s.io/component-base/version; do
        ldflags+=" -X $package.gitVersion=$version -X $package.gitTreeState=clean"
        ldflags+=" -X $package.gitMajor=${BASH_REMATCH[1]} -X $package.gitMinor=${BASH_REMATCH[2]}"
    done
    key=$(compute_key)

    if [[ ! -x $cache/$key/$program ]]; then
        exec 9>"$cache/lock"
        if ! flock -n 9; then
            say "another build is running; waiting for it"
            flock 9
        fi
    fi
    if [[ ! -x $cache/$key/$program ]]; then
        go=$(./go.sh)
        say "building $program of Kubernetes $version with $("$go" version | cut -d' ' -f3): about 6 minutes on two cores" \
            "the first time, seconds once Go has compiled its packages"
        prune
        work=$(mktemp -d "$cache/.build.XXXXXX")
        build "$work"
        mv -T "$work" "$cache/$key"
        trap - EXIT
        say "built in $((SECONDS - begin)) s"
    fi
    # The newest to prune() is the one used last.
    touch "$cache/$key/$program"
    printf '%s\n' "$cache/$key/$program"
}

main "$@"
