# shellcheck shell=bash
# The agent on one node, beside the stock parser doing the same work by hand on the same node: F is one
# `apparmor_parser -r -K` of a profile, G one parser process over all files.
CLUSTER_DIR=build/bench
# shellcheck source=tests/e2e/check.sh
source tests/e2e/check.sh
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
NODES=(node-1)
ONE_BY_ONE=30
AT_ONCE=100

bench_start() {
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s all && controlplane_ready && vm image &&
        controlplane_start node-1 && node_boot node-1 || return 1
    agent_start node-1
    controller_start
    eventually 60 'the agent is ready' agent_ready node-1
}

# A web application's profile, the same for both sides but for its name.
policy() {
    printf '#include <tunables/global>\nprofile %s flags=(attach_disconnected,mediate_deleted) {\n' "$1"
    printf '  #include <abstractions/base>\n  #include <abstractions/nameservice>\n'
    printf '  /srv/%s/** r,\n  /usr/bin/* ix,\n  network inet tcp,\n  deny mount,\n}\n' "$1"
}
manifests() { # PREFIX COUNT
    local i
    for i in $(seq "$2"); do
        policy "$1-$i" | profile_manifest "$1-$i"
    done
}
push_policies() { # PREFIX COUNT
    local i dir=$CLUSTER_DIR/policies-$1
    mkdir -p "$dir"
    for i in $(seq "$2"); do
        policy "$1-$i" >"$dir/$1-$i"
    done
    vm push node-1 "$dir" "/run/$1" >/dev/null
}

now_ms() { echo "${EPOCHREALTIME/./}" | cut -c1-13; }
loaded_count() { k get aan node-1 -o json | jq '[.status.profiles[]? | select(.state == "Loaded")] | length'; }
labelled_count() {
    k get node node-1 -o json | jq '[.metadata.labels | keys[] | select(startswith("apparmor.io/profile-"))] | length'
}
all_there() { [ "$(loaded_count)" = "$1" ] && [ "$(labelled_count)" = "$1" ]; }
memory_kib() { in_node node-1 sh -c "awk '/^$1:/ { print \$2 }' /proc/\$(pidof apparmor-agent)/status"; }

bench_one_by_one() {
    local hand agent
    push_policies hand "$ONE_BY_ONE"
    hand=$(in_node node-1 sh -c '
        read from rest </proc/uptime
        for f in /run/hand/*; do apparmor_parser -r -K "$f"; done
        read to rest </proc/uptime
        awk "BEGIN { printf \"%.0f\", ($to - $from) * 1000 / '"$ONE_BY_ONE"' }"')
    manifests one "$ONE_BY_ONE" | k apply --server-side -f - >/dev/null
    eventually 300 'all are there' all_there "$ONE_BY_ONE"
    agent=$(agent_metrics node-1 | awk '/^apparmor_(compile|load)_duration_seconds_sum/ { sum += $2 }
        /^apparmor_compile_duration_seconds_count/ { count += $2 } END { printf "%.0f", sum * 1000 / count }')
    figure agent.compile_and_load "$agent" ms 'apparmor_parser -r -K (F)' "$hand" 1
    forget_profiles
}

bench_at_once() {
    local hand from agent writes
    push_policies bulk "$AT_ONCE"
    hand=$(in_node node-1 sh -c '
        read from rest </proc/uptime
        apparmor_parser -r -K /run/bulk/*
        read to rest </proc/uptime
        awk "BEGIN { printf \"%.0f\", ($to - $from) * 1000 }"')
    manifests all "$AT_ONCE" >"$CLUSTER_DIR/all.json"
    writes=$(agent_writes node-1)
    from=$(now_ms)
    k apply --server-side -f "$CLUSTER_DIR/all.json" >/dev/null
    eventually 600 'all are there' all_there "$AT_ONCE"
    agent=$(($(now_ms) - from))
    figure agent.hundred_at_once "$agent" ms 'apparmor_parser over 100 files (G)' "$hand" 1.05
    figure agent.api_writes_for_hundred "$(($(agent_writes node-1) - writes))" writes 'profiles' "$AT_ONCE" 0.5
}

bench_restart() {
    local writes
    agent_stop node-1
    writes=$(agent_writes node-1)
    agent_start node-1
    eventually 60 'the agent is ready' agent_ready node-1
    figure agent.restart_compiles "$(agent_metric node-1 apparmor_compiles_total)" compiles 'profiles' "$AT_ONCE" 0
    figure agent.restart_writes "$(($(agent_writes node-1) - writes))" writes 'profiles' "$AT_ONCE" 0
    figure agent.memory_anonymous "$(memory_kib RssAnon)" KiB 'the goal, 4 MiB' 4096 1
    figure agent.memory_resident "$(memory_kib VmRSS)" KiB 'the goal, 16 MiB' 16384 1
}

trap cluster_down EXIT
bench_start && bench_one_by_one && bench_at_once && bench_restart
