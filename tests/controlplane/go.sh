#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of a go command that can build the control plane: what the `go` line of go.mod asks for
# or newer. When the machine has none, it brings one: Debian's own go, which is too old, is enough to
# download a newer one as a Go module, checked against Go's checksum database and the sum below.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# `go mod download -json golang.org/toolchain@v0.0.1-go$pinned.linux-amd64` prints the sum of another.
pinned=1.26.11
pinned_sum=h1:KyINmJ/FQdKRmDYGuTAAXkumyeR2DyUlSNHZj7XaLFg=

say() { printf 'controlplane: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# Some CI systems have no home; what would lie in it is then just not found.
: "${HOME:=/nonexistent}"
needed=$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)

# version GO: 1.26.8, or nothing. Outside of the module, whose go.mod an old go does not understand.
version() {
    (cd / && GOTOOLCHAIN=local "$1" version 2>/dev/null) | sed -n 's/^go version go\([0-9.]*\).*/\1/p'
}

new_enough() {
    local have
    have=$(version "$1")
    [[ -n $have ]] && printf '%s\n%s\n' "$needed" "$have" | sort -V -C
}

toolchain_dir() {
    local gopath=${GOPATH:-$HOME/go}
    local modules=${GOMODCACHE:-${gopath%%:*}/pkg/mod}
    printf '%s\n' "$modules/golang.org/toolchain@v0.0.1-go$pinned.linux-amd64"
}

candidates() {
    [[ -z ${GO:-} ]] || command -v "$GO" || true
    command -v go || true
    local path
    for path in /usr/local/go/bin/go /usr/lib/go-*/bin/go "$HOME"/sdk/go*/bin/go "$(toolchain_dir)/bin/go"; do
        [[ ! -x $path ]] || printf '%s\n' "$path"
    done
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing golang-go needs root; install it, or Go $needed or newer, and run this again"
    fi
}

install_old_go() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 golang-go >&2
}

# old_go prints any go that knows modules, and installs Debian's when there is none.
old_go() {
    local path
    while IFS= read -r path; do
        if [[ -n $(version "$path") ]]; then
            printf '%s\n' "$path"
            return
        fi
    done < <(candidates)
    command -v apt-get >/dev/null || die "no go command and no apt-get here; install Go $needed or newer"
    say "no go command here: installing Debian's golang-go with apt-get, to fetch a newer one with"
    install_old_go || {
        say "refreshing apt's package lists first"
        as_root apt-get update -qq >&2
        install_old_go
    }
    command -v go || die "golang-go is installed but there is no go command in PATH"
}

field() {
    sed -n "s/^[[:space:]]*\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" <<<"$2"
}

fetch_toolchain() {
    local old=$1 folder answer dir
    [[ $(uname -sm) == "Linux x86_64" ]] ||
        die "no go command of at least $needed here, and one is brought for Linux on x86-64 only; install it"
    say "$old is Go $(version "$old"), the control plane needs $needed: downloading Go $pinned as a module (about 70 MB)"
    folder=$(mktemp -d)
    answer=$(cd "$folder" && GO111MODULE=on GOFLAGS='' GOTOOLCHAIN=local GOWORK=off \
        "$old" mod download -json "golang.org/toolchain@v0.0.1-go$pinned.linux-amd64") || {
        rm -rf "$folder"
        die "cannot download Go $pinned: $(field Error "$answer")"
    }
    rm -rf "$folder"
    [[ $(field Sum "$answer") == "$pinned_sum" ]] ||
        die "Go $pinned has the checksum $(field Sum "$answer") instead of $pinned_sum; it is not used"
    dir=$(field Dir "$answer")
    # Modules are unpacked read-only and without their executable bits.
    find "$dir/bin" "$dir/pkg/tool" -type f -exec chmod 755 {} +
    new_enough "$dir/bin/go" || die "the downloaded $dir/bin/go does not run"
    say "Go $pinned is in $dir"
    printf '%s\n' "$dir/bin/go"
}

main() {
    local path old
    while IFS= read -r path; do
        if new_enough "$path"; then
            printf '%s\n' "$path"
            return
        fi
    done < <(candidates)
    old=$(old_go)
    fetch_toolchain "$old"
}

main
