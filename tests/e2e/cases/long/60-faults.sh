# shellcheck shell=bash
# As 50-crash.sh, which has the parts: every call fails with every error, half of what is written arrives, the power
# fails. And the agent is killed at each of its writes to the API.

test_half_of_any_write_leaves_what_the_next_start_repairs() {
    crash_boot
    local scenario
    for scenario in load replace unload; do
        vm exec crash --timeout 600 -- crash.sh all $scenario half
    done
    vm down crash
}

test_an_error_of_any_call_harms_nothing() {
    crash_boot
    local scenario error
    for scenario in load replace unload; do
        for error in EIO ENOSPC EROFS; do
            vm exec crash --timeout 600 -- crash.sh all $scenario $error
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
        number=$((number + 1))
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

# Before each write of label or status, and after it was sent, its answer unread.
test_a_kill_at_any_write_to_the_api_leaves_what_the_next_start_repairs() {
    local scenario how number
    make --no-print-directory -s "$BUILD/tests/e2e/inject.so"
    vm push node-1 "$BUILD/tests/e2e/inject.so" /usr/lib/inject.so >/dev/null
    for scenario in load replace unload; do
        for how in kill sent; do
            number=1
            while api_mishap "$scenario" "$how" "$number"; do
                number=$((number + 1))
            done
            echo "$scenario, $how: $((number - 1)) writes"
            [ "$number" -gt 2 ] || [ "$scenario" != load ] || fail 'too few writes were counted'
            [ "$number" -gt 1 ] || fail 'no write was counted'
        done
    done
}
api_version() { apply_profile e2e-api <<<"profile e2e-api { /$1 r, }" >/dev/null; }
api_before() { # SCENARIO
    agent_running node-1 || agent_start node-1
    k delete aap e2e-api --ignore-not-found --timeout=60s >/dev/null
    case $1 in
    replace | unload)
        api_version v1
        k wait --for=condition=Ready --timeout=60s aap/e2e-api >/dev/null
        API_BEFORE=$(kernel_digest node-1 e2e-api)
        ;;
    esac
    agent_stop node-1
    case $1 in
    load) api_version v1 ;;
    replace) api_version v2 ;;
    unload) k delete aap e2e-api --wait=false >/dev/null ;;
    esac
}
api_settled() { # SCENARIO
    case $1 in
    unload) no_profile e2e-api && not_in_kernel node-1 e2e-api && no_label node-1 profile-e2e-api ;;
    *)
        node_entry_is node-1 e2e-api Loaded && label_is node-1 profile-e2e-api true && in_kernel node-1 e2e-api &&
            [ "$(k get aap e2e-api -o json | jq '.metadata.generation == .status.observedGeneration and
                any(.status.conditions[]; .type == "Ready" and .status == "True")')" = true ] &&
            { [ "$1" != replace ] || ! kernel_digest_is node-1 e2e-api "$API_BEFORE"; }
        ;;
    esac
}
api_ended() { [ -s "$CLUSTER_DIR/agent-node-1.status" ] || api_settled "$1"; }
# Fails when there is no such write.
api_mishap() { # SCENARIO INJECT NUMBER
    local AGENT_ENV AGENT_FLAGS
    api_before "$1"
    AGENT_ENV=(INJECT_API=1 "INJECT=$2" "INJECT_AT=$3" INJECT_LOG=/run/calls LD_PRELOAD=/usr/lib/inject.so)
    AGENT_FLAGS=(--self-confinement=off)
    agent_start node-1
    eventually 60 'it is killed or done' api_ended "$1"
    if [ ! -s "$CLUSTER_DIR/agent-node-1.status" ]; then
        agent_stop node-1
        return 1
    fi
    expect_equal "$1: the agent's end at write $3" 137 "$(<"$CLUSTER_DIR/agent-node-1.status")"
    if label_is node-1 profile-e2e-api true && ! in_kernel node-1 e2e-api; then
        fail "$1: labelled, and not in the kernel, after a kill at write $3"
    fi
    AGENT_ENV=() AGENT_FLAGS=()
    agent_start node-1
    eventually 60 "$1: all is as it should be, after a kill at write $3" api_settled "$1"
}
