# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Applications under a profile that is learnt from nothing: in mode Complain, by doing what `kubectl apparmor suggest`
# says and nothing else, then enforced. To be sourced.

APP_ROUNDS=8

plugin() { PATH=$(realpath "$BUILD"):$PATH "$KUBECTL" apparmor "$@"; }

# --- containers --------------------------------------------------------------------

# app_starts PROFILE ROOT COMMAND...: in a mount namespace whose root is that folder of node-1, under the profile from
# the exec of the command on.
app_starts() {
    local profile=$1 root=$2
    shift 2
    # shellcheck disable=SC2016
    tests/vm/vm exec node-1 -- unshare -m sh -c 'echo $$ >/run/app.pid &&
        mount --bind "$0" "$0" && cd "$0" && mount -t proc proc proc && mount --bind /dev dev && mount -t tmpfs tmpfs tmp &&
        mkdir -p dev/shm && mount -t tmpfs tmpfs dev/shm && chmod 1777 tmp dev/shm && mount --move . / &&
        exec chroot . /bin/busybox sh -c "echo exec \$0 >/proc/self/attr/exec && exec \"\$@\"" "$@"' \
        "$root" "$profile" "$@" >>"$CLUSTER_DIR/$profile.log" 2>&1 &
    APP_PID=$!
}
# In the root, unconfined.
app_does() { # ROOT COMMAND...
    local root=$1
    shift
    in_node node-1 chroot "$root" "$@"
}

# --- learning ----------------------------------------------------------------------

app_violations() { agent_metrics node-1 | awk -v name="apparmor_violations_total{profile=\"$1" 'index($0, name) == 1 { sum += $NF } END { print sum + 0 }'; }
app_status_counts() { # PROFILE
    k get aan node-1 -o json | jq --arg name "$1" '[.status.violations[]? | select(.object == $name) | .allowed + .denied] | add // 0'
}
app_told() { [ "$(app_status_counts "$1")" -ge "$2" ]; } # PROFILE COUNT
app_count_rests() { # what comes late has come: the same twice
    local now
    now=$(app_violations "$1")
    [ "$now" = "${APP_COUNT:-}" ] || { APP_COUNT=$now; false; }
}
app_settled() { [ "$(k get aap "$1" -o json | jq -r '.metadata.generation == .status.observedGeneration and
    (.status.conditions[] | select(.type == "Ready").status) == "True"')" = true ]; }

# app_learns NAME: runs NAME_works, which starts, exercises and ends the application, until suggest has nothing to say.
app_learns() {
    local name=$1 round before file=$CLUSTER_DIR/$1.yaml
    { printf 'apiVersion: apparmor.io/v1alpha1\nkind: AppArmorProfile\nmetadata:\n  name: %s\nspec:\n  mode: Complain\n' "$name"
      printf '  policy: |\n    include <tunables/global>\n    profile %s flags=(attach_disconnected) {\n    }\n' "$name"; } >"$file"
    for round in $(seq "$APP_ROUNDS"); do
        k apply --server-side -f "$file" >/dev/null
        eventually 60 "$name is loaded" app_settled "$name"
        before=$(app_violations "$name")
        "${name}_works"
        eventually 60 'all has been counted' app_count_rests "$name"
        echo "round $round: $((APP_COUNT - before)) accesses beyond the profile"
        [ "$APP_COUNT" -gt "$before" ] || return 0
        eventually 90 'the AppArmorNode tells of them' app_told "$name" $((APP_COUNT - before))
        plugin suggest "$name" -f "$file" >"$CLUSTER_DIR/$name.patch" && { cat "$CLUSTER_DIR/$name.patch"; fail 'there is nothing to suggest'; }
        patch -s "$file" "$CLUSTER_DIR/$name.patch"
        plugin lint --features "$CLUSTER_DIR/features" "$file"
    done
    fail "not learnt after $APP_ROUNDS rounds"
}
# app_is_enforced NAME: and works, with no denial.
app_is_enforced() {
    local before
    plugin promote "$1" --force --apply
    eventually 60 "$1 is enforced" kernel_mode_is node-1 "$1" enforce
    eventually 60 "$1 is loaded" app_settled "$1"
    before=$(app_violations "$1")
    "${1}_works"
    eventually 60 'all has been counted' app_count_rests "$1"
    expect_equal 'denials' "$before" "$(app_violations "$1")"
    echo "the profile of $1:"
    k get aap "$1" -o jsonpath='{.spec.policy}'
}
app_test() { # NAME
    [ -d "$CLUSTER_DIR/features" ] || {
        mkdir -p "$CLUSTER_DIR/features"
        in_node node-1 sh -c "cp -r $KERNEL_POLICY/features /run/ && cd /run/features && tar c ." | tar x -C "$CLUSTER_DIR/features"
    }
    app_learns "$1"
    app_is_enforced "$1"
    k delete aap "$1" --wait=false >/dev/null
}
app_ends() { # SIGNAL
    in_node node-1 sh -c "kill -$1 \$(cat /run/app.pid)"
    wait "$APP_PID" 2>/dev/null || true
}
app_answers() { in_node node-1 wget -q -O - "http://127.0.0.1:$1" | grep -q "$2"; } # PORT/PATH TEXT
