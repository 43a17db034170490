# shellcheck shell=bash
# The agent is killed, fails or loses power at each of its calls that change the node, one after the other, on a
# machine of its own. With FAULTS=all (make faults) every mishap at every call, else a part of them.

crash_boot() { # [VM OPTION...]
    local overlay=$CLUSTER_DIR/overlay-crash
    vm down crash >/dev/null 2>&1 || true # of a test that failed
    agent_overlay "$overlay"
    make --no-print-directory -s "$BUILD/tests/e2e/inject.so"
    install -D -m 755 "$BUILD/tests/e2e/inject.so" "$overlay/usr/lib/inject.so"
    install -D -m 755 tests/e2e/crash.sh "$overlay/usr/bin/crash.sh"
    vm up crash --overlay "$overlay" "$@"
    in_node crash crash.sh prepare
}

each() { # COUNT: every so manieth call
    if [ "${FAULTS:-}" = all ]; then echo 1; else echo "$1"; fi
}

test_a_kill_at_any_call_leaves_what_the_next_start_repairs() {
    crash_boot
    local scenario
    for scenario in load replace unload; do
        vm exec crash --timeout 600 -- crash.sh all $scenario kill
    done
    vm exec crash --timeout 600 -- env STEP="$(each 2)" crash.sh all replace half
    vm down crash
}

test_an_error_of_any_call_harms_nothing() {
    crash_boot
    local scenario errors error
    for scenario in load replace unload; do
        if [ "${FAULTS:-}" = all ]; then errors='EIO ENOSPC EROFS'; else errors='EIO,ENOSPC,EROFS'; fi
        for error in $errors; do
            # shellcheck disable=SC2086
            vm exec crash --timeout 600 -- env STEP="$(each 2)" crash.sh all $scenario ${error//,/ }
        done
    done
    vm down crash
}

# The guest's disk keeps what was synced, and of the rest what the kernel had got round to.
test_a_power_failure_at_any_call_leaves_whole_files() {
    local disk=$CLUSTER_DIR/crash.img number=1 boot
    rm -f "$disk"
    crash_boot --disk "$disk" --reboot-ok
    in_node crash sh -c 'cp -r /expected /etc/apparmor.d/.expected; cp /etc/precious /etc/apparmor.d/.precious; sync'
    while :; do
        in_node crash crash.sh before replace
        in_node crash sync
        boot=$(in_node crash cat /proc/sys/kernel/random/boot_id)
        power_fails_at "$number" "$boot" || break
        in_node crash sh -c 'mkdir -p /manifests; cp -r /etc/apparmor.d/.expected /expected; cp /etc/apparmor.d/.precious /etc/precious
            echo "profile foreign { /foreign r, }" | apparmor_parser -a; . /usr/bin/crash.sh want replace'
        in_node crash env POWER=1 crash.sh after replace
        number=$((number + $(each 3)))
    done
    echo "lost power at the calls up to $number"
    [ "$number" -gt 5 ] || fail 'too few calls were counted'
    vm down crash
}
# Fails when there is no such call.
power_fails_at() { # NUMBER BOOT
    in_node crash env BELOW=/etc/apparmor.d:/sys/kernel/security/apparmor crash.sh mishap replace power "$1" &&
        fail 'it did not lose power'
    eventually 30 'it is there again' in_node crash true
    [ "$(in_node crash cat /proc/sys/kernel/random/boot_id)" != "$2" ]
}
