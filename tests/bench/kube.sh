# shellcheck shell=bash
# lib/kube beside client-go: the same API server, the same objects, the same work, at the same time where that is
# about events. KUBE_BENCH_OBJECTS sets the number of AppArmorNodes, each with 20 profiles.
CLUSTER_DIR=build/bench-kube
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
OBJECTS=${KUBE_BENCH_OBJECTS:-10000}
PROFILES=20
IDLE_SECONDS=30
ROUNDS=10
APPLIES=50 # of each round
OURS=$PWD/$BUILD/tests/bench/kube_bench
declare -A PIDS=()

# An AppArmorNode as an agent writes it.
node_json() { # NAME
    jq -n --arg name "$1" --argjson profiles "$PROFILES" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorNode",
        metadata: {$name}, status: {apparmor: "Enabled", kernelRelease: "6.1.0-40-cloud-amd64",
        featuresID: "4f1c9a7d2b3e5f60718293a4b5c6d7e8", parserVersion: "4.1.0", agentVersion: "1.0.0",
        loaded: $profiles, failed: 0, profiles: [range($profiles) | {name: "team-web-frontend-\(.)", generation: 3,
            revision: ("\(1000 + .)" * 8), state: "Loaded", mode: "Enforce",
            profileNames: ["team-web-frontend-\(.)"], lastTransitionTime: "2026-01-01T00:00:00Z"}]}}'
}

etcd_url() {
    local server
    server=$(controlplane ctl --dir "$CLUSTER_DIR/cp" status | jq '.processes["kube-apiserver"].pid')
    tr '\0' '\n' <"/proc/$server/cmdline" | sed -n 's/^--etcd-servers=//p'
}

fill() { # FLAG...
    "$CLIENTGO/fill" --etcd "$(etcd_url)" --pki "$CLUSTER_DIR/cp/pki" --objects "$OBJECTS" \
        --sample "$CLUSTER_DIR/sample" "$@"
}

bench_start() {
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s "$BUILD/tests/bench/kube_bench" && CLIENTGO=$(tests/bench/clientgo/build.sh) && controlplane_ready &&
        controlplane_start || return 1
    node_json bench-apply >"$CLUSTER_DIR/body.json"
    k create -f "$CLUSTER_DIR/body.json" >/dev/null || return 1
    fill --body "$CLUSTER_DIR/body.json" && list_bytes
}

# What a list of all has. The server answers when its cache has caught up with etcd, or refuses after seconds.
list_bytes() {
    local try
    for try in $(seq 20); do
        if k get --raw /apis/apparmor.io/v1alpha1/apparmornodes >"$CLUSTER_DIR/list" 2>"$CLUSTER_DIR/list.err"; then
            BYTES=$(wc -c <"$CLUSTER_DIR/list")
            rm "$CLUSTER_DIR/list"
            return
        fi
        say "list $try: $(<"$CLUSTER_DIR/list.err")"
    done
    return 1
}
bench_stop() {
    [ ${#PIDS[@]} -eq 0 ] || kill -TERM "${PIDS[@]}" 2>/dev/null
    [ -z "${CONTROLPLANE_PID:-}" ] || kill -TERM "$CONTROLPLANE_PID" 2>/dev/null
    wait 2>/dev/null
}

# --- followers: ours, ours-projected, client-go, client-go-projected -------------

follower_phase() { # FOLLOWER PHASE: what it reported of it
    grep "\"phase\":\"$2\"" "$CLUSTER_DIR/$1.out"
}
await_phase() { # FOLLOWER PHASE
    local deadline=$((SECONDS + 120))
    until follower_phase "$1" "$2" >/dev/null; do
        if ! readlink -q "/proc/${PIDS[$1]}/exe" >/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            say "$1 has not reported its $2: $(tail -n 3 "$CLUSTER_DIR/$1.err")"
            return 1
        fi
        sleep 0.1
    done
}
follow() { # FOLLOWER COMMAND...
    local name=$1
    shift
    "$@" >"$CLUSTER_DIR/$name.out" 2>"$CLUSTER_DIR/$name.err" &
    PIDS[$name]=$!
    await_phase "$name" list
}

FOLLOWERS=(ours ours-projected client-go client-go-projected)
start_followers() {
    follow ours "$OURS" --updates "$OBJECTS" follow &&
        follow client-go "$CLIENTGO/follow" --updates "$OBJECTS" &&
        follow ours-projected "$OURS" --updates "$OBJECTS" --project follow &&
        follow client-go-projected "$CLIENTGO/follow" --updates "$OBJECTS" --project
}

compare_phase() { # PHASE
    local suffix follower ours theirs
    for follower in "${FOLLOWERS[@]}"; do
        follower_phase "$follower" "$1" | jq -r --arg name "$follower" --argjson mb "$((BYTES / 1000000))" '
            (.cpu_us / 1e6) as $s | "\(.phase) \($name): \(.events) events in \($s) s of CPU and \(.wall_us / 1e6) s: " +
            "\(.events / $s | round) events and \($mb / $s | round) MB for each second of CPU"' >&2
    done
    for suffix in '' -projected; do
        ours=$(follower_phase "ours$suffix" "$1" | jq '.cpu_us / .events * 10 | round / 10')
        theirs=$(follower_phase "client-go$suffix" "$1" | jq '.cpu_us / .events * 10 | round / 10')
        figure "kube.$1_event_cpu${suffix/-/_}" "$ours" us "client-go, the same objects" "$theirs" 0.5
    done
}

bench_events() {
    local follower
    start_followers || return 1
    fill --change || return 1
    for follower in "${FOLLOWERS[@]}"; do
        await_phase "$follower" burst || return 1
    done
    compare_phase list
    compare_phase burst
}

# --- idle --------------------------------------------------------------------------

# Times that any of the process's threads has gone to sleep, hence been woken.
switches() { # PID
    cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt_switches:/ { sum += $2 } END { print sum }'
}
connections() { # PID: its established TCP connections
    local inodes
    inodes=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n' | paste -sd ' ')
    cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" |
        awk -v inodes="$inodes" 'BEGIN { split(inodes, list, " "); for (i in list) mine[list[i]] = 1 }
            $4 == "01" && ($10 in mine) { count++ } END { print count + 0 }'
}
memory() { # FOLLOWER FIELD: KiB
    awk -v field="$2:" '$1 == field { print $2 }' "/proc/${PIDS[$1]}/status"
}

bench_idle() {
    local follower suffix
    local -A before woken
    sleep 5 # what follows the burst: garbage collection, acknowledgements
    for follower in "${FOLLOWERS[@]}"; do
        before[$follower]=$(switches "${PIDS[$follower]}")
    done
    sleep "$IDLE_SECONDS"
    for follower in "${FOLLOWERS[@]}"; do
        woken[$follower]=$(($(switches "${PIDS[$follower]}") - ${before[$follower]}))
        say "idle $follower: woken ${woken[$follower]} times in $IDLE_SECONDS s, $(memory "$follower" VmRSS) KiB" \
            "resident, $(memory "$follower" RssAnon) KiB anonymous, $(memory "$follower" VmHWM) KiB at most"
    done
    figure kube.idle_connections "$(connections "${PIDS[ours]}")" sockets 'one' 1 1
    figure kube.idle_wakeups "${woken[ours]}" wakeups "client-go, in $IDLE_SECONDS s" "${woken[client-go]}" 1
    for suffix in '' -projected; do
        figure "kube.memory_resident${suffix/-/_}" "$(memory "ours$suffix" VmRSS)" KiB \
            'client-go, the same objects' "$(memory "client-go$suffix" VmRSS)" 0.25
        figure "kube.memory_anonymous${suffix/-/_}" "$(memory "ours$suffix" RssAnon)" KiB \
            'client-go, the same objects' "$(memory "client-go$suffix" RssAnon)" 0.25
    done
}

stop_followers() {
    local follower status=0
    kill -TERM "${PIDS[@]}"
    for follower in "${FOLLOWERS[@]}"; do
        wait "${PIDS[$follower]}" || { say "$follower ended with status $?"; status=1; }
    done
    PIDS=()
    return "$status"
}

# --- one request after the other ------------------------------------------------------

percentile() { sort -n "$1" | awk -v percent="$2" '{ value[NR] = $1 } END { print value[int((NR * percent + 99) / 100)] }'; }

apply_ours() { # ROUND
    "$OURS" --body "$CLUSTER_DIR/body.json" --count "$APPLIES" --agent-version "c-$1" apply >>"$CLUSTER_DIR/apply-ours"
}
apply_theirs() { # ROUND
    "$CLIENTGO/apply" --body "$CLUSTER_DIR/body.json" --count "$APPLIES" --agent-version "go-$1" \
        >>"$CLUSTER_DIR/apply-client-go"
}

# In short turns, each first as often as second, so that what else the machine does falls on both.
bench_apply() {
    local round percent
    for round in $(seq "$ROUNDS"); do
        if ((round % 2)); then
            apply_ours "$round" && apply_theirs "$round" || return 1
        else
            apply_theirs "$round" && apply_ours "$round" || return 1
        fi
    done
    # The tenth is what remains when nobody else wants the processors.
    for percent in 50 10; do
        figure "kube.apply_latency_p$percent" "$(percentile "$CLUSTER_DIR/apply-ours" "$percent")" us \
            'client-go, server-side apply' "$(percentile "$CLUSTER_DIR/apply-client-go" "$percent")" 1
    done
}

trap bench_stop EXIT
bench_start && bench_events && bench_idle && stop_followers && bench_apply
