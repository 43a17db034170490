#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints a folder with an earlier revision of this repository, built: its programs in build/release, its manifests. It is kept
# in the cache. UPGRADE_FROM names the revision; otherwise it is the newest tag before this revision, or without one, the
# last revision with other definitions than the present ones.
set -euo pipefail
cd "$(dirname "$0")/../.."
from=${UPGRADE_FROM:-$(git describe --tags --abbrev=0 HEAD~1 2>/dev/null || echo "$(git log -n 1 --format=%H -- crds)~1")}
revision=$(git rev-parse --verify "$from^{commit}")
folder=${XDG_CACHE_HOME:-$HOME/.cache}/apparmor-operator/upgrade/$revision
if [ ! -e "$folder/built" ]; then
    rm -rf "$folder"
    mkdir -p "$folder"
    git archive "$revision" | tar -x -C "$folder"
    make --no-print-directory -s -C "$folder" -j2 all VERSION="$(git describe --tags --always "$revision")" >"$folder/make.log" 2>&1 ||
        { tail -n 20 "$folder/make.log" >&2; exit 1; }
    touch "$folder/built"
fi
echo "$folder"
