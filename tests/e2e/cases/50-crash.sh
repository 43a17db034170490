# shellcheck shell=bash
# The agent is killed at every third of its calls that change the node, on a machine of its own. With LONG=1 (make
# faults) at each of them; in long/60-faults.sh they fail, or the machine loses power.

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

test_a_kill_at_any_call_leaves_what_the_next_start_repairs() {
    crash_boot
    local scenario
    for scenario in load replace unload; do
        vm exec crash --timeout 600 -- env STEP="${LONG:-3}" crash.sh all $scenario kill
    done
    vm exec crash --timeout 600 -- env STEP=5 crash.sh all replace half
    vm down crash
}
