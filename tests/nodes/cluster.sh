# shellcheck shell=bash
# A cluster of real nodes, for tests: what tests/e2e/cluster.sh has, with the nodes' own kubelets, and the
# programs as the pods of deploy/ from the images of `make image`. To be sourced after that file.

# The control plane with the manifests of deploy/; its nodes are left to their kubelets.
nodes_controlplane_start() { # NODE...
    local nodes log=$CLUSTER_DIR/controlplane.log
    nodes=$(IFS=,; echo "$*")
    rm -rf "$CLUSTER_DIR/cp"
    "$CONTROLPLANE" up --dir "$CLUSTER_DIR/cp" --nodes "$nodes" --heartbeat=false >"$log" 2>&1 &
    CONTROLPLANE_PID=$!
    echo "$CONTROLPLANE_PID" >"$CLUSTER_DIR/controlplane.pid"
    if ! (eventually 60 'the control plane is ready' ready_or_dead) || ! kill -0 "$CONTROLPLANE_PID"; then
        tail -n 30 "$log" >&2
        return 1
    fi
}
ready_or_dead() { [ -e "$CLUSTER_DIR/cp/ready" ] || ! kill -0 "$CONTROLPLANE_PID" 2>/dev/null; }

# What a cloud provider does when a node joins: the API server reaches its kubelet here.
set_address() { # NODE
    k patch node "$1" --subresource=status --type=merge -p '{"status": {"addresses": [
        {"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": "'"$1"'"}]}}'
}

kubelet_boot() { # NODE [VM OPTION...]
    local node=$1
    shift
    set_address "$node" >/dev/null &&
        vm up "$node" --kubelet "$CLUSTER_DIR/cp/kubelet-$node.guest.kubeconfig" \
            --image build/image/apparmor-agent.tar --image build/image/apparmor-controller.tar "$@"
}

# Ready in the words of the kubelet of this boot, not of an earlier one.
node_ready() { # NODE
    local boot
    boot=$(in_node "$1" cat /proc/sys/kernel/random/boot_id) &&
        k get node "$1" -o json | jq -e --arg boot "$boot" '.status.nodeInfo.bootID == $boot and
            any(.status.conditions[]; .type == "Ready" and .status == "True") and (.spec.taints // [] == [])'
}

# --- pods ---------------------------------------------------------------------------

SYSTEM=apparmor-system

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
pod_ready() { k wait --for=condition=Ready --timeout="${2:-180}s" "pod/$1"; }
delete_pod() { k delete pod "$1" --ignore-not-found --wait=true; }

agent_pod() { # NODE
    k -n "$SYSTEM" get pod -l app.kubernetes.io/name=apparmor-agent --field-selector "spec.nodeName=$1" \
        -o jsonpath='{.items[0].metadata.name}'
}
agents_ready() { # COUNT
    [ "$(k -n "$SYSTEM" get daemonset apparmor-agent -o jsonpath='{.status.numberReady}')" = "$1" ]
}
controllers_ready() {
    [ "$(k -n "$SYSTEM" get deployment apparmor-controller -o jsonpath='{.status.readyReplicas}')" = "$1" ]
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
