# shellcheck shell=bash
# A cluster of the real parts, for the tests, the demo and the benchmarks: kube-apiserver, etcd, scheduler and
# controller manager on this machine, nodes in VMs with real kernels, the programs as built. To be sourced.
#
#   CLUSTER_DIR   state, logs and credentials (default build/e2e)
#   CLUSTER_LOUD  say each step (for the demo)

CLUSTER_DIR=$(realpath -m "${CLUSTER_DIR:-build/e2e}")
BUILD=${BUILD:-build/release}
export VM_STATE=$CLUSTER_DIR/vm
export KUBECONFIG=$CLUSTER_DIR/cp/admin.kubeconfig
KUBECTL=
CONTROLPLANE=

vm() { tests/vm/vm "$@"; }
k() { "$KUBECTL" "$@"; }
controlplane() { "$CONTROLPLANE" "$@"; }
say() { printf '%s\n' "$*" >&2; }

# --- parts ---------------------------------------------------------------------

# The control plane program, built on first use.
controlplane_ready() {
    CONTROLPLANE=$(tests/controlplane/build.sh) || return 1
    KUBECTL=$(dirname "$CONTROLPLANE")/kubectl
}

CONTROLPLANE_FLAGS=() # more of them
controlplane_start() { # NODE...
    local nodes log=$CLUSTER_DIR/controlplane.log waited=0
    nodes=$(IFS=,; echo "$*")
    mkdir -p "$CLUSTER_DIR"
    rm -rf "$CLUSTER_DIR/cp"
    # The program itself, not the function: $! must be what takes the signal at the end.
    "$CONTROLPLANE" up --dir "$CLUSTER_DIR/cp" --nodes "$nodes" "${CONTROLPLANE_FLAGS[@]}" >"$log" 2>&1 &
    CONTROLPLANE_PID=$!
    echo "$CONTROLPLANE_PID" >"$CLUSTER_DIR/controlplane.pid"
    until [ -e "$CLUSTER_DIR/cp/ready" ]; do
        if ! kill -0 "$CONTROLPLANE_PID" 2>/dev/null || [ "$waited" -gt 600 ]; then
            say "the control plane did not start:"
            tail -n 30 "$log" >&2
            return 1
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
}

# The agent as a tree of files to put over a VM's.
agent_overlay() { # DIRECTORY [KUBECONFIG]
    rm -rf "$1"
    install -D -m 755 "$BUILD/apparmor-agent" "$1/usr/sbin/apparmor-agent"
    # libwebsockets loads it by name, so that no ELF file says that it is needed.
    local plugin
    plugin=$(dpkg -L libwebsockets-evlib-uv | grep 'evlib_uv\.so$')
    install -D -m 644 "$plugin" "$1$plugin"
    # What policy may include, of every package here.
    mkdir -p "$1/etc/apparmor.d"
    cp -r /etc/apparmor.d/{abi,abstractions,apache2.d,local,tunables} "$1/etc/apparmor.d/"
    if [ $# -gt 1 ]; then
        install -D -m 600 "$2" "$1/etc/apparmor-operator/kubeconfig"
    fi
}

# Agents in VMs are services of their nodes. Where a DaemonSet has pods, a node without a Ready one is lost after some
# minutes, and here no kubelet would ever run them.
agents_are_services() {
    k -n apparmor-system delete daemonset apparmor-agent --ignore-not-found --cascade=orphan >/dev/null
    k -n apparmor-system delete pod -l app.kubernetes.io/name=apparmor-agent --force --grace-period=0 >/dev/null 2>&1
    [ -z "$(k -n apparmor-system get pod -l app.kubernetes.io/name=apparmor-agent -o name)" ]
}

node_boot() { # NODE [VM OPTION...]
    local node=$1 overlay=$CLUSTER_DIR/overlay-$1
    shift
    eventually 30 'there are no pods of agents' agents_are_services
    agent_overlay "$overlay" "$CLUSTER_DIR/cp/agent-$node.guest.kubeconfig"
    vm up "$node" --overlay "$overlay" "$@"
}

in_node() { # NODE COMMAND...
    local node=$1
    shift
    vm exec "$node" -- "$@"
}

# --- programs ------------------------------------------------------------------

AGENT_PORT=9781
AGENT_FLAGS=() # more of them
AGENT_ENV=()   # NAME=VALUE
agent_start() { # NODE
    # One log per node over all its runs; each run is a background command of the VM.
    rm -f "$CLUSTER_DIR/agent-$1.status"
    {
        status=0
        tests/vm/vm exec "$1" -- env "${AGENT_ENV[@]}" apparmor-agent --node-name="$1" \
            --kubeconfig=/etc/apparmor-operator/kubeconfig --listen="127.0.0.1:$AGENT_PORT" \
            --log-format=json "${AGENT_FLAGS[@]}" >>"$CLUSTER_DIR/agent-$1.log" 2>&1 || status=$?
        echo "$status" >"$CLUSTER_DIR/agent-$1.status"
    } &
}

agent_pid_in_guest() { in_node "$1" pidof apparmor-agent; }
agent_running() { agent_pid_in_guest "$1" >/dev/null; }
agent_ready() { in_node "$1" wget -q -O /dev/null "http://127.0.0.1:$AGENT_PORT/readyz"; }
agent_metrics() { in_node "$1" wget -q -O - "http://127.0.0.1:$AGENT_PORT/metrics"; }
# agent_metric NODE NAME: the sum over its series.
agent_metric() { agent_metrics "$1" | awk -v name="$2" '$1 ~ "^" name "({|$)" { sum += $2 } END { print sum + 0 }'; }

agent_end() { # NODE SIGNAL: waits until it has left; its exit status is in agent-NODE.status
    in_node "$1" sh -c "kill -$2 \$(pidof apparmor-agent)"
    eventually 20 "the agent on $1 leaves" test -s "$CLUSTER_DIR/agent-$1.status"
}
agent_stop() {
    agent_end "$1" TERM
    expect_equal "exit status of the agent on $1 after SIGTERM" 0 "$(<"$CLUSTER_DIR/agent-$1.status")"
}
agent_kill() { agent_end "$1" KILL; }

CONTROLLER_PORT=
CONTROLLER_FLAGS=() # more of them
controller_start() {
    CONTROLLER_PORT=${CONTROLLER_PORT:-$((20000 + RANDOM % 10000))}
    "$BUILD/apparmor-controller" --kubeconfig="$CLUSTER_DIR/cp/controller.kubeconfig" \
        --listen="127.0.0.1:$CONTROLLER_PORT" --log-format=json "${CONTROLLER_FLAGS[@]}" >>"$CLUSTER_DIR/controller.log" 2>&1 &
    echo $! >"$CLUSTER_DIR/controller.pid"
}

cluster_down() {
    vm down --all >/dev/null 2>&1
    local name
    for name in controller controlplane; do
        [ ! -f "$CLUSTER_DIR/$name.pid" ] || end_process "$(<"$CLUSTER_DIR/$name.pid")"
        rm -f "$CLUSTER_DIR/$name.pid"
    done
}
end_process() { # PID: and waits until it is gone, whoever started it
    kill -TERM "$1" 2>/dev/null || return 0
    timeout 30 tail --pid="$1" -f /dev/null || kill -KILL "$1" 2>/dev/null
}

# --- what is where ----------------------------------------------------------------

label() { # NODE NAME: the value of the label apparmor.io/NAME, or nothing
    k get node "$1" -o json | jq -r --arg key "apparmor.io/$2" '.metadata.labels[$key] // ""'
}
label_is() { [ "$(label "$1" "$2")" = "$3" ]; }
no_label() { label_is "$1" "$2" ''; }

node_entry() { # NODE OBJECT [JQ-PATH]: the object's entry in the AppArmorNode
    k get aan "$1" -o json |
        jq -r --arg name "$2" "first(.status.profiles[]? | select(.name == \$name)) | ${3:-.}"
}
node_entry_is() { [ "$(node_entry "$1" "$2" .state)" = "$3" ]; }
node_entry_reason_is() { [ "$(node_entry "$1" "$2" .reason)" = "$3" ]; }
no_profile() { [[ $(k get aap "$1" 2>&1) == *NotFound* ]]; }
ready_message() { k get aap "$1" -o json | jq -r '.status.conditions[] | select(.type == "Ready").message'; }
ready_message_has() { [[ $(ready_message "$1") == *"$2"* ]]; }
no_node_entry() { [ -z "$(node_entry "$1" "$2" .name)" ]; }
condition() { k get aap "$1" -o json | jq -r --arg type "$2" '.status.conditions[] | select(.type == $type).status'; }
jsonpath_is() { [ "$(k get "$1" -o jsonpath="$2")" = "$3" ]; }

KERNEL_POLICY=/sys/kernel/security/apparmor
in_kernel() { in_node "$1" grep -q "^$2 (" "$KERNEL_POLICY/profiles"; }
not_in_kernel() { in_node "$1" sh -c "! grep -q '^$2 (' $KERNEL_POLICY/profiles"; }
kernel_mode() { in_node "$1" sed -n "s|^$2 (\(.*\))\$|\1|p" "$KERNEL_POLICY/profiles"; }
kernel_mode_is() { [ "$(kernel_mode "$1" "$2")" = "$3" ]; }
kernel_digest() { # NODE PROFILE
    in_node "$1" sh -c "cd $KERNEL_POLICY/policy/profiles && for d in *; do
        [ \"\$(cat \$d/name)\" = '$2' ] && cat \$d/sha1 \$d/sha256 2>/dev/null; done; true"
}
kernel_digest_is() { [ "$(kernel_digest "$1" "$2")" = "$3" ]; }

# agent_writes NODE [RESOURCE]: write requests that the node's agent has made, Events aside, from the API server's
# audit log.
agent_writes() {
    jq -r --arg node "$1" --arg resource "${2:-}" '
        select(.user.extra["authentication.kubernetes.io/node-name"][0]? == $node) | .objectRef.resource |
        select(. != "events" and ($resource == "" or . == $resource))' \
        "$CLUSTER_DIR/cp/audit.log" | wc -l
}

# --- profiles ----------------------------------------------------------------------

profile_manifest() { # NAME [MODE]: policy text on standard input
    jq -R -s --arg name "$1" --arg mode "${2:-}" '{apiVersion: "apparmor.io/v1alpha1",
        kind: "AppArmorProfile", metadata: {name: $name}, spec: ({policy: .} +
        if $mode == "" then {} else {mode: $mode} end)}'
}
apply_profile() { profile_manifest "$@" | k apply --server-side -f - ; }

# Deletes every profile and waits until the nodes have none of ours.
forget_profiles() {
    # An object goes when no node has its profile any more.
    k delete aap --all --wait=true --timeout=300s >/dev/null || return 1
    local node
    for node in "${NODES[@]}"; do
        eventually 300 "$node forgets its profiles" node_is_empty "$node"
    done
}
node_is_empty() { [ "$(k get aan "$1" -o json | jq '.status.profiles // [] | length')" = 0 ]; }

# What helps to understand a failure.
evidence() { evidence_whole | cut -c1-400; }
evidence_whole() {
    k get aap,aan -o wide | head -n 30
    k get aan -o json | jq -c '.items[] | {node: .metadata.name, profile: .status.profiles[]?}' | head -n 30
    local node
    for node in "${NODES[@]}"; do
        echo "--- log of the agent on $node"
        tail -n 12 "$CLUSTER_DIR/agent-$node.log"
    done
    echo "--- log of the controller"
    tail -n 12 "$CLUSTER_DIR/controller.log"
}

# A shell in a node that runs under a profile; what it is told to do, the same process does.
confined_shell() { # NODE PROFILE
    shell_on "$1" aa-exec -p "$2" -- sh
}
shell_on() { # NODE COMMAND...
    local node=$1
    shift
    coproc CONFINED { tests/vm/vm exec "$node" -i -- "$@" 2>&1; }
    SHELL_IN=${CONFINED[1]} SHELL_OUT=${CONFINED[0]} SHELL_PID=$CONFINED_PID
    echo 'echo $$' >&"$SHELL_IN"
    read -r -t 30 SHELL_GUEST_PID <&"$SHELL_OUT" || fail "no shell on $node: $*"
    [[ $SHELL_GUEST_PID =~ ^[0-9]+$ ]] || fail "no shell on $node: $*: $SHELL_GUEST_PID"
}
# shell_says COMMAND ANSWER: the last line that the command prints is the answer.
shell_says() {
    local line last=
    echo "$1; echo end-of-answer" >&"$SHELL_IN"
    while read -r -t 30 line <&"$SHELL_OUT" && [ "$line" != end-of-answer ]; do
        echo "  shell: $line"
        last=$line
    done
    expect_equal "$1" "$2" "$last"
}
end_shell() {
    echo exit >&"$SHELL_IN"
    wait "$SHELL_PID" || true
}
