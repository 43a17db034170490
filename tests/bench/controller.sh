# shellcheck shell=bash
# The controller over a large cluster: how much memory and time it takes to know all that the nodes report, and
# what a change of one profile on all of them costs. CONTROLLER_BENCH_NODES sets the number of nodes, each with 100
# profiles. The goals are for 5,000 nodes (64 MiB, 10 s of CPU); figures per node stand for any number. CPU is the program's
# own: what its compilers take, once for each text, is on top.
CLUSTER_DIR=build/bench-controller
# shellcheck source=tests/e2e/check.sh
source tests/e2e/check.sh
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
COUNT=${CONTROLLER_BENCH_NODES:-1000}
PROFILES=100
GOAL_NODES=5000
# No kubelet says that they are Ready: they would be lost in the middle.
CONTROLLER_FLAGS=(--agent-lost-after=86400)
GOAL_KIB=$((64 * 1024))
GOAL_CPU_US=10000000

etcd_url() {
    local server
    server=$(controlplane ctl --dir "$CLUSTER_DIR/cp" status | jq '.processes["kube-apiserver"].pid')
    tr '\0' '\n' <"/proc/$server/cmdline" | sed -n 's/^--etcd-servers=//p'
}
fill() { # FLAG...
    "$CLIENTGO/fill" --etcd "$(etcd_url)" --pki "$CLUSTER_DIR/cp/pki" --objects "$COUNT" \
        --sample "$CLUSTER_DIR/sample" "$@"
}

# Named as the AppArmorNodes are that fill stores.
nodes_json() {
    jq -n --argjson count "$COUNT" '{apiVersion: "v1", kind: "List", items: [range($count) |
        "bench-node-\("0000\(.)"[-5:])" as $name | {apiVersion: "v1", kind: "Node", metadata: {name: $name, labels: {
        "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": $name,
        "node.kubernetes.io/instance-type": "m5.4xlarge", "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": "eu-central-1a", "apparmor.io/enabled": "true"}}}]}'
}
profiles_json() {
    jq -n --argjson count "$PROFILES" '{apiVersion: "v1", kind: "List", items: [range($count) |
        "team-web-frontend-\(.)" as $name | {apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile",
        metadata: {$name}, spec: {policy: "profile \($name) {\n  /srv/** r,\n}\n"}}]}'
}
# An AppArmorNode with every profile loaded but the first, which fails with a message that fill --change changes.
node_json() {
    k get aap -o json | jq '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorNode",
        metadata: {name: "bench"}, status: {apparmor: "Enabled", kernelRelease: "6.1.0-40-cloud-amd64",
        featuresID: "4f1c9a7d2b3e5f60718293a4b5c6d7e8", parserVersion: "4.1.0", agentVersion: "1.0.0",
        loaded: (.items | length - 1), failed: 1, profiles: [.items[] | {name: .metadata.name, generation: 1,
            revision: .status.revision, state: "Loaded", mode: "Enforce", profileNames: [.metadata.name],
            lastTransitionTime: "2026-01-01T00:00:00Z"}]}} |
        .status.profiles[0] += {state: "Failed", reason: "LoadFailed", message: "version-of-the-sample"}'
}

# --- the controller --------------------------------------------------------------

controller_page() { curl -s --max-time 10 "http://127.0.0.1:$CONTROLLER_PORT$1"; }
controller_ready() { controller_page /readyz | grep -qx ready; }
controller_metric() { controller_page /metrics | sed -n "s|^$1 ||p"; }
controller_memory() { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$(<"$CLUSTER_DIR/controller.pid")/status"; }
controller_cpu_us() {
    awk -v hertz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000000 / hertz }' \
        "/proc/$(<"$CLUSTER_DIR/controller.pid")/stat"
}
controller_end() {
    kill -TERM "$(<"$CLUSTER_DIR/controller.pid")"
    wait "$(<"$CLUSTER_DIR/controller.pid")" || { say "the controller ended with status $?"; return 1; }
}
controller_idle() { [ "$(controller_metric apparmor_controller_queue_depth)" = 0 ]; }
# Of one profile: what the controller's compiler finds meanwhile of the others is written, too.
status_writes() { # PROFILE
    jq -r --arg name "$1" 'select(.objectRef.subresource == "status" and .objectRef.resource == "apparmorprofiles") |
        select(.objectRef.name == $name) | .verb' "$CLUSTER_DIR/cp/audit.log" | wc -l
}
all_compiled() { k get aap -o json | jq -e '.items | all(.status.validation != null)'; }
all_summaries_are() { ! k get aap -o json | jq -r '.items[].status.nodes.summary' | grep -qvx "$1"; }
first_message_is() { [ "$(k get aap team-web-frontend-0 -o json | jq -r '.status.conditions[0].message')" = "$1" ]; }
message_of_all() { # MESSAGE: what a profile says that fails on all nodes alike
    printf '0 of %s nodes loaded; bench-node-00000 and %s others: %s' "$COUNT" "$((COUNT - 1))" "$1"
}
now_ms() { echo "${EPOCHREALTIME/./}" | cut -c1-13; }

# --- the phases -------------------------------------------------------------------

bench_start() {
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s "$BUILD/apparmor-controller" && CLIENTGO=$(tests/bench/clientgo/build.sh) &&
        controlplane_ready && controlplane_start || return 1
    say "storing $COUNT nodes"
    nodes_json | k create -f - >/dev/null && profiles_json | k create -f - >/dev/null
}

# Without any report: what the program takes by itself, and the revisions of the profiles.
bench_empty() {
    controller_start
    eventually 60 "the controller is ready" controller_ready
    eventually 60 "all profiles have a status" all_summaries_are 0/0
    eventually 300 "the controller has compiled them all" all_compiled
    EMPTY_KIB=$(controller_memory VmRSS)
    EMPTY_CPU_US=$(controller_cpu_us)
    say "before any report: $EMPTY_KIB KiB resident, $EMPTY_CPU_US us of CPU"
    controller_end
}

bench_cold_start() {
    local cpu resident anonymous from
    node_json >"$CLUSTER_DIR/body.json"
    fill --body "$CLUSTER_DIR/body.json" || return 1
    # The server's cache takes a moment to have what went to etcd behind it.
    eventually 300 "the API server has them all" all_stored
    from=$(now_ms)
    controller_start
    eventually 300 "the controller is ready" controller_ready
    say "ready after $(($(now_ms) - from)) ms"
    eventually 60 "the failing profile says so" first_message_is "$(message_of_all 1.0.0)"
    eventually 60 "nothing waits" controller_idle
    cpu=$(controller_cpu_us) resident=$(controller_memory VmRSS) anonymous=$(controller_memory RssAnon)
    say "over $COUNT nodes: $resident KiB resident, $anonymous KiB anonymous, $(controller_memory VmHWM) KiB at most"
    figure controller.memory_resident "$resident" KiB 'the goal, 64 MiB' "$GOAL_KIB" 1
    figure controller.memory_per_node "$(ratio $((resident - EMPTY_KIB)) "$COUNT")" KiB \
        'the goal, 64 MiB for 5,000 nodes' "$(ratio "$GOAL_KIB" "$GOAL_NODES")" 1
    figure controller.cold_start_cpu_per_node "$(ratio "$cpu" "$COUNT")" us \
        'the goal, 10 s for 5,000 nodes' "$(ratio "$GOAL_CPU_US" "$GOAL_NODES")" 1
}
all_stored() { [ "$(k get --raw "/apis/apparmor.io/v1alpha1/apparmornodes?limit=1" |
    jq '.metadata.remainingItemCount + 1')" = "$COUNT" ]; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", a / b }'; }

# delivered FROM-VERSION: writes down when a watch has been sent as many events as there are nodes. That the API
# server is behind etcd is not the controller's doing.
delivered() {
    {
        k get --raw "/apis/apparmor.io/v1alpha1/apparmornodes?watch=1&timeoutSeconds=300&resourceVersion=$1" &
        echo $! >"$CLUSTER_DIR/watch.pid"
    } | head -n "$COUNT" >/dev/null
    now_ms >"$CLUSTER_DIR/delivered"
    kill "$(<"$CLUSTER_DIR/watch.pid")" 2>/dev/null
}

bench_change() {
    local cpu writes began seen seconds version
    version=$(k get --raw '/apis/apparmor.io/v1alpha1/apparmornodes?limit=1' | jq -r .metadata.resourceVersion)
    delivered "$version" &
    local watcher=$!
    k wait --for=jsonpath='{.status.conditions[0].message}'="$(message_of_all 1.0.1)" \
        aap/team-web-frontend-0 --timeout=300s >/dev/null &
    local waiter=$!
    cpu=$(controller_cpu_us) writes=$(status_writes team-web-frontend-0) began=$(now_ms)
    fill --change || return 1
    wait "$waiter" || return 1
    seen=$(now_ms)
    wait "$watcher"
    eventually 60 "nothing waits" controller_idle
    cpu=$(($(controller_cpu_us) - cpu)) writes=$(($(status_writes team-web-frontend-0) - writes))
    seconds=$(((seen - began + 999) / 1000))
    say "a change on $COUNT nodes, delivered within $(($(<"$CLUSTER_DIR/delivered") - began)) ms: $cpu us of CPU," \
        "$writes writes in $seconds s; $(controller_memory VmRSS) KiB resident"
    figure controller.change_to_status "$(most 0 $((seen - $(<"$CLUSTER_DIR/delivered"))))" ms \
        'a write each second, and one on its way' 2000 1
    figure controller.change_writes "$writes" writes 'seconds, with the first and the last' "$((seconds + 2))" 1
    figure controller.change_cpu_per_node "$(ratio "$cpu" "$COUNT")" us \
        'a cold start, per node' "$(ratio "$GOAL_CPU_US" "$GOAL_NODES")" 1
}
most() { [ "$1" -gt "$2" ] && echo "$1" || echo "$2"; }

trap cluster_down EXIT
bench_start && bench_empty && bench_cold_start && bench_change
