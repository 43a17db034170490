# shellcheck shell=bash
# The agent on one node, beside the stock parser doing the same work by hand on the same node: F is one
# `apparmor_parser -r -K` of a profile (its median), G one parser process over a hundred files. When something happened
# is told by the API server's audit log and by the kernel's policy revision, which the guest watches.
CLUSTER_DIR=build/bench
# shellcheck source=tests/e2e/check.sh
source tests/e2e/check.sh
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
NODES=(node-1)
# USERSPACE=trixie or sid: the parser of that suite of Debian, for both sides. The goals are those for its release.
P50=0.75 P99=1 BULK=0.8 STOCK=apparmor_parser
if [ -n "${USERSPACE:-}" ]; then
    P50=1.05 P99=1.3 BULK=1.05
    STOCK='/opt/apparmor/sbin/apparmor_parser --config-file /dev/null --base /opt/apparmor/etc/apparmor.d'
    STOCK+=' -M /sys/kernel/security/apparmor/features'
    AGENT_FLAGS=(--parser=/opt/apparmor/sbin/apparmor_parser --includes=/opt/apparmor/etc/apparmor.d)
fi
ONE_BY_ONE=100
DELETES=15
AT_ONCE=100
RESTARTS=5
IDLE_SECONDS=${IDLE_SECONDS:-120}

# The API server, kubectl and the controller are on other machines than a node is; here they would take its processor.
prefer_node() {
    local task
    for task in /proc/"$(cat "$VM_STATE/node-1/pid")"/task/*; do
        renice -n -10 -p "${task##*/}" >/dev/null 2>&1
    done
    return 0
}

bench_start() {
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s all "$BUILD"/tests/bench/{revision,ready}_watch && controlplane_ready && vm image &&
        controlplane_start node-1 && node_boot node-1 --translated 1024 ${USERSPACE:+--userspace "$USERSPACE"} || return 1
    prefer_node
    agent_start node-1
    controller_start
    eventually 60 'the agent is ready' agent_ready node-1
    vm push node-1 "$BUILD/tests/bench/revision_watch" /run/revision_watch >/dev/null
    vm push node-1 "$BUILD/tests/bench/ready_watch" /run/ready_watch >/dev/null
}

# A web application's profile, the same for both sides but for its name.
policy() {
    printf '#include <tunables/global>\nprofile %s flags=(attach_disconnected,mediate_deleted) {\n' "$1"
    printf '  #include <abstractions/base>\n  #include <abstractions/nameservice>\n'
    printf '  /srv/%s/** r,\n  /usr/bin/* ix,\n  network inet tcp,\n  deny mount,\n}\n' "$1"
}
push_policies() { # PREFIX COUNT
    local i dir=$CLUSTER_DIR/policies-$1
    mkdir -p "$dir"
    for i in $(seq "$2"); do
        policy "$1-$i" >"$dir/$1-$i"
    done
    vm push node-1 "$dir" "/run/$1" >/dev/null
}

loaded_count() { k get aan node-1 -o json | jq '[.status.profiles[]? | select(.state == "Loaded")] | length'; }
labelled_count() {
    k get node node-1 -o json | jq '[.metadata.labels | keys[] | select(startswith("apparmor.io/profile-"))] | length'
}
all_there() { [ "$(loaded_count)" = "$1" ] && [ "$(labelled_count)" = "$1" ]; }
# One watch for all of them: a kubectl that starts would take a core from what is measured.
watch_start() {
    exec {LABELS}< <(exec "$KUBECTL" get node node-1 --watch -o jsonpath='{.metadata.labels}{"\n"}')
    WATCH=$!
}
labelled() {
    local labels
    while read -r -t 60 -u "$LABELS" labels; do
        [[ $labels != *"\"apparmor.io/profile-$1\""* ]] || return 0
    done
    fail "node-1 has no label of $1"
}
memory_kib() { in_node node-1 sh -c "awk '/^$1:/ { print \$2 }' /proc/\$(pidof apparmor-agent)/status"; }

# percentile P: of the numbers on standard input, one a line.
percentile() {
    sort -n | awk -v p="$1" '{ x[NR] = $1 } END { i = int((NR - 1) * p / 100 + 0.5) + 1; print x[i] }'
}

# --- time -----------------------------------------------------------------------------

# What to add to the guest's uptime: by the quickest of some questions.
clock_offset() {
    local i from to up
    for i in $(seq 20); do
        from=$EPOCHREALTIME
        up=$(in_node node-1 cat /proc/uptime)
        to=$EPOCHREALTIME
        echo "$from $to ${up%% *}"
    done | awk '{ if (!best || $2 - $1 < best) { best = $2 - $1; offset = ($1 + $2) / 2 - $3 } } END { printf "%.6f", offset }'
}
# The moments at which the kernel's policy changed, as "K <seconds since the epoch>", into a file of the guest.
watch_kernel() {
    in_node node-1 sh -c '/run/revision_watch >/run/moments 2>&1 &'
}
kernel_moments() { in_node node-1 cat /run/moments | awk -v offset="$1" '{ printf "%.3f K\n", $1 + offset }'; }

# Writes, as "<seconds> C|D|L|S NAME": an object applied or deleted (when it was asked for), the Node's labels or the
# AppArmorNode written by the agent (when it was answered).
written_moments() {
    jq -r 'def seconds: capture("(?<s>.*)\\.(?<f>[0-9]+)Z") | ((.s + "Z") | fromdate) + ((.f | tonumber) / pow(10; .f | length));
        .objectRef as $what | (.user.extra["authentication.kubernetes.io/node-name"][0]? != null) as $agent |
        if $what.resource == "apparmorprofiles" and $what.subresource == null and .verb == "delete" then
            "\(.requestReceivedTimestamp | seconds) D \($what.name)"
        elif $what.resource == "apparmorprofiles" and $what.subresource == null and .userAgent[:7] == "kubectl" then
            "\(.requestReceivedTimestamp | seconds) C \($what.name)"
        elif $agent and $what.resource == "nodes" then "\(.stageTimestamp | seconds) L \($what.name)"
        elif $agent and $what.resource == "apparmornodes" then "\(.stageTimestamp | seconds) S \($what.name)"
        else empty end' "$CLUSTER_DIR/cp/audit.log"
}

# --- one after the other ----------------------------------------------------------------

# Many loads at once by hand are done without the agent, which would look at them meanwhile.
# shellcheck disable=SC2016
without_agent() {
    in_node node-1 sh -c 'kill -STOP $(pidof apparmor-agent)'
    "$@"
    in_node node-1 sh -c 'kill -CONT $(pidof apparmor-agent)'
}

# The milliseconds of one, with the resolution of /proc/uptime.
by_hand() { # FILE
    # shellcheck disable=SC2016
    in_node node-1 sh -c 'read -r from rest </proc/uptime; '"$STOCK"' -r -K '"$1"'; read -r to rest </proc/uptime
        echo "$from $to"' | awk '{ print ($2 - $1) * 1000 }'
}

# After each C or D: how long until the policy changed (kernel) and until label and status told (visible).
follow() { # C|D FILE-OF-MOMENTS
    sort -n "$2" | awk -v begins="$1" '
        function out() { if (kernel && label && status) printf "%.0f %.0f\n", (kernel - begin) * 1000,
            ((label > status ? label : status) - kernel) * 1000 }
        $2 == begins { out(); begin = $1; kernel = label = status = 0 }
        $2 == "K" && begin && !kernel { kernel = $1 }
        $2 == "L" && kernel && !label { label = $1 }
        $2 == "S" && kernel && !status { status = $1 }
        END { out() }'
}

bench_one_by_one() {
    local i f offset moments=$CLUSTER_DIR/moments
    push_policies hand "$ONE_BY_ONE"
    watch_kernel
    watch_start
    # By turns, so that both meet the same machine.
    for i in $(seq "$ONE_BY_ONE"); do
        by_hand "/run/hand/hand-$i" >>"$CLUSTER_DIR/by-hand"
        policy "one-$i" | profile_manifest "one-$i" | k apply --server-side -f - >/dev/null
        labelled "one-$i"
        eventually 30 "the status tells of one-$i" node_entry_is node-1 "one-$i" Loaded
    done
    eventually 30 'all are there' all_there "$ONE_BY_ONE"
    kill "$WATCH"
    f=$(percentile 50 <"$CLUSTER_DIR/by-hand")
    offset=$(clock_offset)
    { kernel_moments "$offset"; written_moments; } >"$moments"
    follow C "$moments" >"$CLUSTER_DIR/one-by-one"
    expect_equal 'profiles that were followed' "$ONE_BY_ONE" "$(wc -l <"$CLUSTER_DIR/one-by-one")"
    figure agent.apply_to_kernel_p50 "$(cut -d' ' -f1 "$CLUSTER_DIR/one-by-one" | percentile 50)" ms 'apparmor_parser -r -K (F)' "$f" $P50
    figure agent.apply_to_kernel_p99 "$(cut -d' ' -f1 "$CLUSTER_DIR/one-by-one" | percentile 99)" ms 'apparmor_parser -r -K (F)' "$f" $P99
    figure agent.kernel_to_visible_p99 "$(cut -d' ' -f2 "$CLUSTER_DIR/one-by-one" | percentile 99)" ms 'the goal' 300 1
    bench_deletes
    bench_repair "$f"
    forget_profiles
}

bench_deletes() {
    local i offset
    for i in $(seq "$DELETES"); do
        k delete aap "one-$i" --wait=false >/dev/null
        eventually 30 'it goes' no_node_entry node-1 "one-$i"
    done
    offset=$(clock_offset)
    { kernel_moments "$offset"; written_moments | grep ' D '; } | sort -n | awk '
        $2 == "D" { begin = $1 } $2 == "K" && begin { printf "%.0f\n", ($1 - begin) * 1000; begin = 0 }' >"$CLUSTER_DIR/deletes"
    figure agent.delete_to_gone_p50 "$(percentile 50 <"$CLUSTER_DIR/deletes")" ms 'the goal' 500 1
}

bench_repair() { # F
    local took
    took=$(in_node node-1 sh -c '
        read -r from rest </proc/uptime; printf one-100 >/sys/kernel/security/apparmor/.remove
        until grep -q "^one-100 (" /sys/kernel/security/apparmor/profiles; do usleep 5000; done
        read -r to rest </proc/uptime; awk "BEGIN { printf \"%.0f\", ($to - $from) * 1000 }"')
    figure agent.removed_to_repaired "$took" ms 'the goal, 300 ms and a load' "$(awk -v f="$1" 'BEGIN { print 300 + f / 10 }')" 1
}

# --- many at once -----------------------------------------------------------------------

# The milliseconds of one process for all, which are removed again.
hundred_by_hand() {
    # shellcheck disable=SC2016
    without_agent in_node node-1 sh -c 'read -r from rest </proc/uptime; '"$STOCK"' -r -K /run/bulk/*
        read -r to rest </proc/uptime; awk "BEGIN { printf \"%.0f\", ($to - $from) * 1000 }"'
    without_agent in_node node-1 sh -c "$STOCK -R /run/bulk/*" >/dev/null
}

# By hand before and after, as the machine may not be the same all the time.
bench_at_once() {
    local i hand agent writes
    push_policies bulk "$AT_ONCE"
    without_agent in_node node-1 sh -c "$STOCK -R /run/hand/*"
    hand=$(hundred_by_hand)
    for i in $(seq "$AT_ONCE"); do
        policy "all-$i" | profile_manifest "all-$i"
    done >"$CLUSTER_DIR/all.json"
    writes=$(agent_writes node-1)
    k apply --server-side -f "$CLUSTER_DIR/all.json" >/dev/null
    eventually 600 'all are there' all_there "$AT_ONCE"
    agent=$(written_moments | sort -n | awk '$3 == "all-1" { from = $1 } $2 == "L" { to = $1 } END { printf "%.0f", (to - from) * 1000 }')
    writes=$(($(agent_writes node-1) - writes))
    hand=$(((hand + $(hundred_by_hand)) / 2))
    figure agent.hundred_at_once "$agent" ms 'apparmor_parser over 100 files (G)' "$hand" $BULK
    figure agent.writes_for_hundred_installs "$writes" writes 'the goal' 6 1
}

delete_at_once() {
    local writes
    writes=$(agent_writes node-1)
    k delete aap --all --wait=false >/dev/null
    eventually 300 'all are gone' node_is_empty node-1
    figure agent.writes_for_hundred_deletes "$(($(agent_writes node-1) - writes))" writes 'the goal' 6 1
}

# --- restarts and rest ------------------------------------------------------------------

# Starts the agent in the guest and prints the milliseconds until it is ready.
start_and_wait() {
    # shellcheck disable=SC2016
    in_node node-1 sh -c 'read -r from rest </proc/uptime
        apparmor-agent --node-name=node-1 --kubeconfig=/etc/apparmor-operator/kubeconfig --listen=127.0.0.1:'"$AGENT_PORT"' \
            --log-format=json '"${AGENT_FLAGS[*]}"' </dev/null >/run/agent.log 2>&1 &
        /run/ready_watch '"$AGENT_PORT"'
        read -r to rest </proc/uptime; awk "BEGIN { printf \"%.0f\", ($to - $from) * 1000 }"'
}
# shellcheck disable=SC2016
stop_agent() { in_node node-1 sh -c 'kill $(pidof apparmor-agent); while pidof apparmor-agent >/dev/null; do usleep 10000; done'; }
# The kernel as a boot leaves it, the cache warm.
empty_kernel() {
    # shellcheck disable=SC2016
    in_node node-1 sh -c 'cut -d" " -f1 /sys/kernel/security/apparmor/profiles | grep -v // | while read -r name; do
        printf %s "$name" >/sys/kernel/security/apparmor/.remove; done'
}
all_in_kernel() { [ "$(in_node node-1 grep -c '^all-' /sys/kernel/security/apparmor/profiles)" = "$AT_ONCE" ]; }

bench_restart() {
    local writes took
    writes=$(agent_writes node-1)
    took=$(for _ in $(seq "$RESTARTS"); do
        stop_agent
        start_and_wait
        echo
    done | percentile 50)
    figure agent.restart_to_ready "$took" ms 'the goal' 500 1
    figure agent.restart_compiles "$(agent_metric node-1 apparmor_compiles_total)" compiles 'profiles' "$AT_ONCE" 0
    figure agent.restart_writes "$(($(agent_writes node-1) - writes))" writes 'profiles' "$AT_ONCE" 0
    stop_agent
    empty_kernel
    took=$(start_and_wait)
    eventually 60 'all are in the kernel' all_in_kernel
    figure agent.reboot_to_ready "$took" ms 'the goal' 3000 1
    figure agent.reboot_compiles "$(agent_metric node-1 apparmor_compiles_total)" compiles 'profiles' "$AT_ONCE" 0
}

# Times that any thread of the agent was woken.
switches() {
    in_node node-1 sh -c 'cat /proc/$(pidof apparmor-agent)/task/*/status | awk "/^voluntary_ctxt/ { n += \$2 } END { print n }"'
}

bench_idle() {
    local before writes
    writes=$(agent_writes node-1)
    before=$(switches)
    timeout "$IDLE_SECONDS" tail -f /dev/null
    # A connection's keepalive, watch bookmarks and renewals.
    figure agent.idle_wakeups "$(($(switches) - before))" wake-ups 'seconds' "$IDLE_SECONDS" 0.5
    figure agent.idle_writes "$(($(agent_writes node-1) - writes))" writes 'seconds' "$IDLE_SECONDS" 0
    figure agent.memory_anonymous "$(memory_kib RssAnon)" KiB 'the goal, 4 MiB' 4096 1
    figure agent.memory_resident "$(memory_kib VmRSS)" KiB 'the goal, 16 MiB' 16384 1
}

trap cluster_down EXIT
bench_start && bench_one_by_one && bench_at_once && bench_restart && bench_idle && delete_at_once
