# shellcheck shell=bash
# A cluster of real nodes, for tests: what tests/e2e/cluster.sh has, with the nodes' own kubelets, and the
# programs as the pods of deploy/ from the images of `make image`. To be sourced after that file.

# The control plane of a cluster that has no operator yet; its nodes are left to their kubelets.
nodes_controlplane_start() { # NODE...
    local nodes log=$CLUSTER_DIR/controlplane.log
    nodes=$(IFS=,; echo "$*")
    rm -rf "$CLUSTER_DIR/cp"
    "$CONTROLPLANE" up --dir "$CLUSTER_DIR/cp" --nodes "$nodes" --heartbeat=false \
        --manifests tests/nodes/cluster.yaml >"$log" 2>&1 &
    CONTROLPLANE_PID=$!
    echo "$CONTROLPLANE_PID" >"$CLUSTER_DIR/controlplane.pid"
    if ! (eventually 300 'the control plane is ready' ready_or_dead) || ! kill -0 "$CONTROLPLANE_PID"; then
        tail -n 30 "$log" >&2
        return 1
    fi
}
ready_or_dead() { [ -e "$CLUSTER_DIR/cp/ready" ] || ! kill -0 "$CONTROLPLANE_PID" 2>/dev/null; }

# The API server of this rig, on the machine outside, has no way to pods. Without endpoints that it could call it would wait
# for each webhook's time-out on a machine whose network swallows such connections.
without_webhooks() {
    k delete validatingwebhookconfiguration,mutatingwebhookconfiguration apparmor-operator --ignore-not-found
}

# What a cloud provider does when a node joins: the API server reaches its kubelet here.
set_address() { # NODE
    k patch node "$1" --subresource=status --type=merge -p '{"status": {"addresses": [
        {"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "'"$1"'"}]}}'
}

OUR_IMAGES=(--image build/image/apparmor-agent.tar --image build/image/apparmor-controller.tar)
kubelet_boot() { # NODE [VM OPTION...]
    local node=$1
    shift
    vm up "$node" --kubelet "$CLUSTER_DIR/cp/kubelet-$node.guest.kubeconfig" "${OUR_IMAGES[@]}" "$@"
}

# All at once: a node's start mostly computes, but not on every processor all of the time.
kubelets_boot() { # NODE...
    local node pids=() pid failed=0
    for node in "$@"; do
        set_address "$node" >/dev/null || return 1
        kubelet_boot "$node" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || failed=1
    done
    return "$failed"
}

# What a kubelet that registers its Node itself waits for: whom a cloud provider knows is no longer tainted.
admit_node() { # NODE
    eventually 300 "the kubelet registers $1" k get node "$1"
    set_address "$1"
    k taint node "$1" node.cloudprovider.kubernetes.io/uninitialized:NoSchedule-
}

# A machine that is gone for good, as a provider's autoscaler leaves it.
remove_node() { # NODE
    vm down "$1"
    k delete node "$1" --ignore-not-found
}

# Ready in the words of the kubelet of this boot, not of an earlier one.
node_ready() { # NODE
    local boot
    boot=$(in_node "$1" cat /proc/sys/kernel/random/boot_id) &&
        k get node "$1" -o json | jq -e --arg boot "$boot" '.status.nodeInfo.bootID == $boot and
            any(.status.conditions[]; .type == "Ready" and .status == "True") and (.spec.taints // [] == [])'
}

ask_kubelet() { # NODE PATH [KUBECTL OPTION...]
    local port path=$2
    port=$(<"$VM_STATE/$1/kubelet-port")
    shift 2
    k --kubeconfig=/dev/null --server="https://127.0.0.1:$port" --insecure-skip-tls-verify "$@" get --raw "$path"
}
# The API server itself passes nothing on to an address of its own machine.
ask_kubelet_as_server() { # NODE PATH
    local pki=$CLUSTER_DIR/cp/pki
    ask_kubelet "$@" --client-certificate="$pki/kubelet-client.crt" --client-key="$pki/kubelet-client.key"
}

# --- pods ---------------------------------------------------------------------------

SYSTEM=apparmor-system

# Replace deny-write by a name of one's own.
DENY_WRITE='#include <tunables/global>
profile deny-write flags=(attach_disconnected) {
  #include <abstractions/base>
  file,
  network,
  capability,
  signal,
  deny /** w,
}'

# A pod of busybox that says what confines it, and tries to write when asked to with exec.
pod_manifest() { # NAME [JQ-FILTER for the pod]
    jq -n --arg name "$1" '{apiVersion: "v1", kind: "Pod", metadata: {name: $name}, spec: {
        automountServiceAccountToken: false, enableServiceLinks: false, terminationGracePeriodSeconds: 1, dnsPolicy: "Default",
        containers: [{name: "main", image: "localhost/busybox:1", imagePullPolicy: "Never",
            command: ["sh", "-c", "cat /proc/self/attr/current; trap \"exit 0\" TERM; while :; do sleep 1 & wait; done"]
        }]}}' | jq "${2:-.}"
}
# As users write it: confined by the profile, on a node that has it.
confined_pod() { # NAME PROFILE-OBJECT PROFILE
    pod_manifest "$1" ".spec.nodeSelector = {\"apparmor.io/profile-$2\": \"true\"} |
        .spec.containers[0].securityContext.appArmorProfile = {type: \"Localhost\", localhostProfile: \"$3\"}"
}
pod_phase_is() { [ "$(k get pod "$1" -o jsonpath='{.status.phase}')" = "$2" ]; }
pod_ready() { k wait --for=condition=Ready --timeout="${2:-300}s" "pod/$1"; }
delete_pod() { k delete pod "$1" --ignore-not-found --wait=true; }

pod_node() { k get pod "$1" -o jsonpath='{.spec.nodeName}'; }
other_node() { if [ "$1" = node-1 ]; then echo node-2; else echo node-1; fi; }
# The first line that a container of pod_manifest prints.
said_first() { k logs "$1" -c "${2:-main}" | head -n 1; }
expect_confined() { # POD PROFILE [CONTAINER]: since it started, and now
    expect_equal "what container ${3:-main} of pod $1 said first" "$2 (enforce)" "$(said_first "$1" "${3:-main}")"
    expect_equal "what confines container ${3:-main} of pod $1" "$2 (enforce)" \
        "$(k exec "$1" -c "${3:-main}" -- cat /proc/1/attr/current)"
}

agent_pod() { # NODE
    k -n "$SYSTEM" get pod -l app.kubernetes.io/name=apparmor-agent --field-selector "spec.nodeName=$1" \
        -o jsonpath='{.items[0].metadata.name}'
}
agents_ready() { # COUNT
    k -n "$SYSTEM" get daemonset apparmor-agent -o json | jq -e --argjson count "$1" '.status |
        .desiredNumberScheduled == $count and .numberReady == $count'
}
controllers_ready() { # COUNT
    [ "$(k -n "$SYSTEM" get deployment apparmor-controller -o jsonpath='{.status.readyReplicas}')" = "$1" ]
}

# --- what nodes are said to have, moment by moment ------------------------------------

# Follows the Nodes from now on. Each state that the API server has had of them is in the file.
watch_nodes() {
    WATCHED=$CLUSTER_DIR/nodes.watch
    "$KUBECTL" get nodes --watch --output-watch-events -o json >"$WATCHED" &
    WATCH_PID=$!
    eventually 300 'the watch has begun' watched 'map(.object.metadata.name) | unique | length >= 2'
}
watched() { jq -e -s "$1" "$WATCHED"; }
# Ends it: no node has been without the label.
expect_never_without() { # LABEL
    local mark=$RANDOM$RANDOM
    # A watch that had ended would have missed a change, and misses this one.
    k annotate nodes --all --overwrite "tests/mark=$mark"
    eventually 300 'the watch sees all changes' watched "[.[] | select(.object.metadata.annotations[\"tests/mark\"] == \"$mark\") |
        .object.metadata.name] | unique | length >= 2"
    kill "$WATCH_PID"
    expect_equal "the states of nodes without the label $1" 0 \
        "$(jq -s "map(select(.object.metadata.labels[\"apparmor.io/$1\"] != \"true\")) | length" "$WATCHED")"
    echo "none of $(jq -s length "$WATCHED") states of the nodes is without the label"
}

# What helps to understand a failure.
evidence_whole() {
    k get nodes,aap,aan -o wide
    k get pods -A -o wide
    k get events -A --sort-by=.lastTimestamp | tail -n 25
    k get aan -o json | jq -c '.items[] | {node: .metadata.name, profile: .status.profiles[]?}' | head -n 30
    local pod node
    for pod in $(k -n "$SYSTEM" get pods -o name); do
        echo "--- log of $pod"
        k -n "$SYSTEM" logs "$pod" --tail=12
    done
    for node in "${NODES[@]}"; do
        echo "--- kubelet on $node"
        in_node "$node" tail -n 8 /var/log/kubelet.log
    done
}
