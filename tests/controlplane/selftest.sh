#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests the rig itself: builds it, starts it, and tries to break each promise that other tests rely on.
# One line per check, `ok - ...` or `not ok - ...`; exits 1 when one failed.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rig=$("$here/build.sh")
kubectl=$(dirname "$rig")/kubectl
manifests=(--manifests "$here/testdata/definitions" "$here/testdata/cluster")
top=$(mktemp -d)
dir=$top/rig
passed=0
failed=0
rigs=()

# shellcheck disable=SC2317
cleanup() {
    local pid
    for pid in "${rigs[@]}"; do
        kill "$pid" 2>/dev/null && wait "$pid" || true
    done
    rm -rf "$top"
}
trap cleanup EXIT

# check NAME COMMAND...: what the command says is shown when it fails.
check() {
    local name=$1 output status
    shift
    # Not as a condition, under which the shell would not stop at a command that fails.
    set +e
    output=$(set -e; "$@" 2>&1)
    status=$?
    set -e
    if ((status == 0)); then
        printf 'ok - %s\n' "$name"
        passed=$((passed + 1))
    else
        printf 'not ok - %s\n' "$name"
        sed 's/^/    /' <<<"$output" | tail -20
        failed=$((failed + 1))
    fi
}

# refused PATTERN COMMAND...: the command fails and says why.
refused() {
    local pattern=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'expected a refusal, got: %s\n' "$output"
        return 1
    fi
    grep -qE -- "$pattern" <<<"$output" || { printf 'expected /%s/, got: %s\n' "$pattern" "$output"; return 1; }
}

equals() { [[ $1 == "$2" ]] || { printf 'expected "%s", got "%s"\n' "$2" "$1"; return 1; }; }

# eventually SECONDS COMMAND...: asks again until it succeeds or the time is up.
eventually() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { "$@"; return; }
        sleep 0.1
    done
}

# up DIR FLAG...: starts a rig and returns when it is ready.
up() {
    local where=$1
    shift
    "$rig" up --dir "$where" "$@" >"$where.out" 2>&1 &
    rigs+=($!)
    until [[ -e $where/ready ]]; do
        kill -0 "${rigs[-1]}" 2>/dev/null || { cat "$where.out"; return 1; }
        sleep 0.1
    done
}

# as NAME ARG...: kubectl with NAME.kubeconfig of the first rig.
as() { "$kubectl" --kubeconfig="$dir/$1.kubeconfig" "${@:2}"; }
ctl() { "$rig" ctl --dir "$dir" "$@"; }
ready_field() { sed "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/" "$2/ready"; }
claim() {
    as "$1" auth whoami -o 'jsonpath={.status.userInfo.extra.authentication\.kubernetes\.io/node-name[0]}'
}
pids() { "$rig" ctl --dir "$1" status | sed -n 's/^ *"pid": \([0-9]*\).*/\1/p'; }

all_gone() {
    local pid
    for pid in "$@"; do
        ! kill -0 "$pid" 2>/dev/null || { printf 'process %s still runs\n' "$pid"; return 1; }
    done
}


named() { as admin --tls-server-name="$1" get --raw /readyz; }

schedulable() {
    local state
    state=$(as admin get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.taints}')
    equals "$state" "True "
}

guest_config_works() {
    local server
    server=$("$kubectl" --kubeconfig="$dir/agent-node-1.guest.kubeconfig" config view \
        -o 'jsonpath={.clusters[0].cluster.server}')
    equals "$server" "https://10.0.2.2:$(ready_field port "$dir")"
    as agent-node-1.guest --server="https://127.0.0.1:$(ready_field port "$dir")" \
        --tls-server-name=10.0.2.2 get node node-1
}

audited() {
    as admin label node node-1 audited=yes
    grep '"stage":"ResponseComplete"' "$dir/audit.log" | grep '"verb":"patch"' | grep '"username":"admin"' |
        grep -q '"resource":"nodes","name":"node-1"'
    ! grep -qE '"verb":"(get|list|watch)"' "$dir/audit.log" || { echo "reads are in the audit log"; return 1; }
}

pod_is_scheduled() {
    as admin apply -f - <<'POD'
apiVersion: v1
kind: Pod
metadata: {name: scheduled}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  containers: [{name: main, image: none.invalid/none}]
POD
    as admin wait --for=condition=PodScheduled pod/scheduled --timeout=10s
    equals "$(as admin get pod scheduled -o 'jsonpath={.spec.nodeName}')" node-2
}

renewed() { [[ $(as admin -n kube-node-lease get lease node-1 -o 'jsonpath={.spec.renewTime}') != "$1" ]]; }

restart_keeps() {
    local port
    port=$(ready_field port "$dir")
    as admin create configmap survivor --from-literal=key=value
    ctl restart-apiserver "$@"
    equals "$(as admin get configmap survivor -o 'jsonpath={.data.key}')" value
    equals "$(claim agent-node-1)" node-1
    refused "not this token's node" as agent-node-1 label node node-2 "restarted=$RANDOM"
    as admin --server="https://127.0.0.1:$port" get --raw /readyz
    as admin delete configmap survivor
}

stop_and_start() {
    ctl stop-apiserver
    refused 'refused' as admin get nodes
    ctl status | grep -A2 kube-apiserver | grep -q '"stopped"'
    refused 'stopped already' ctl stop-apiserver
    ctl start-apiserver
    refused 'runs already' ctl start-apiserver
    as admin get nodes
}

# feature NAME VALUE: 1 when the API server has it switched on.
feature() {
    local metrics
    metrics=$(as admin get --raw /metrics)
    grep -q "^kubernetes_feature_enabled{name=\"$1\",.*} $2\$" <<<"$metrics"
}

starts_with_flags() {
    feature WatchList 1
    ctl restart-apiserver --feature-gates=WatchList=false
    feature WatchList 0
    refused 'no flag of the API server' ctl restart-apiserver now
    ctl restart-apiserver
    feature WatchList 1
}

# A page's token names a revision; without the watch cache, whose snapshots keep what etcd has forgotten.
compacted() {
    local token revision
    ctl restart-apiserver --watch-cache=false
    token=$(as admin get --raw '/api/v1/nodes?limit=1' | sed 's/.*"continue":"\([^"]*\)".*/\1/')
    as admin get --raw "/api/v1/nodes?limit=1&continue=$token"
    as admin label node node-1 --overwrite "compacted=$RANDOM"
    revision=$(ctl compact)
    [[ $revision =~ ^[0-9]+$ ]]
    refused 'too old|expired' as admin get --raw "/api/v1/nodes?limit=1&continue=$token"
    ctl restart-apiserver
}

node_comes_and_goes() {
    ctl add-node node-3
    schedulable node-3
    equals "$(claim agent-node-3)" node-3
    refused 'already exists' ctl add-node node-3
    ctl delete-node node-3
    refused 'not found' as admin get node node-3
    ctl add-node node-3
    equals "$(claim agent-node-3)" node-3
    refused 'cannot be a Node' ctl add-node Node_3
}

token_of() {
    local answer
    answer=$("$kubectl" --kubeconfig=/dev/null --server="https://127.0.0.1:$(ready_field port "$dir")" \
        --certificate-authority="$dir/pki/ca.crt" --token="$(ctl token "$@")" auth whoami \
        -o 'jsonpath={.status.userInfo.username} {.status.userInfo.extra.authentication\.kubernetes\.io/node-name[0]}')
    printf '%s' "$answer"
}

second_rig() {
    [[ $(ready_field port "$top/second") != "$(ready_field port "$dir")" ]]
    equals "$("$kubectl" --kubeconfig="$top/second/admin.kubeconfig" get nodes -o name)" ""
}

# dies_with PID SIGNAL RIG MESSAGE: after the signal the whole rig ends, says so, and leaves nothing.
dies_with() {
    local left
    mapfile -t left < <(pids "$3")
    kill "-$2" "$1"
    eventually 20 all_gone "${left[@]}"
    [[ -z $4 ]] || grep -q "$4" "$3.out" || { cat "$3.out"; return 1; }
}

scheduler_of() { "$rig" ctl --dir "$1" status | grep -A1 kube-scheduler | sed -n 's/.*"pid": \([0-9]*\).*/\1/p'; }

children() {
    grep -lsE "^PPid:[[:space:]]+$1\$" /proc/[0-9]*/status | cut -d/ -f3
}

# The API server's process is there, and far from ready, when its log appears.
interrupted_start() {
    local supervisor left status=0
    "$rig" up --dir "$top/third" "${manifests[@]}" >"$top/third.out" 2>&1 &
    supervisor=$!
    eventually 20 test -s "$top/third/kube-apiserver.log"
    mapfile -t left < <(children "$supervisor")
    ((${#left[@]} == 2)) || { echo "expected etcd and kube-apiserver, got: ${left[*]}"; return 1; }
    kill "$supervisor"
    wait "$supervisor" || status=$?
    equals "$status" 1
    all_gone "${left[@]}"
    grep -q interrupted "$top/third.out"
}

clean_stop() {
    local left
    mapfile -t left < <(pids "$dir")
    kill "${rigs[0]}"
    eventually 20 all_gone "${left[@]}"
    [[ ! -e $dir/ready ]] || { echo "$dir/ready is still there"; return 1; }
    refused 'refused' as admin get nodes
    refused 'no control plane is ready' ctl status
}

main() {
    local name node status
    up "$dir" "${manifests[@]}" || { echo "not ok - the rig starts"; exit 1; }
    # A figure to read, not to fail on: a loaded machine takes several times as long as an idle one.
    echo "# ready after $(ready_field seconds "$dir" | cut -c1-4) s; about 5 s on two idle cores"
    check "its version is go.mod's, $(ready_field version "$dir")" \
        grep -qF "k8s.io/kubernetes $(as admin version -o json | sed -n 's/.*"gitVersion": "\(.*\)".*/\1/p' | tail -1)" "$here/go.mod"
    for name in 127.0.0.1 localhost 10.0.2.2; do
        check "the certificate is valid for $name" named "$name"
    done
    check "the certificate is not valid for 10.0.2.3" refused 'certificate is valid for' named 10.0.2.3
    check "definitions were served before what uses them" as admin get probe first
    for node in node-1 node-2; do
        check "$node is Ready, without taints" schedulable "$node"
        check "the agent's token of $node has its node claim" equals "$(claim "agent-$node")" "$node"
        check "the agent's pod of $node is on it" equals \
            "$(as admin -n apparmor-system get pod "apparmor-agent-$node" -o 'jsonpath={.spec.nodeName}')" "$node"
    done
    check "the guest's kubeconfig names 10.0.2.2 and works" guest_config_works
    check "the controller has a credential of its own" equals \
        "$(as controller auth whoami -o 'jsonpath={.status.userInfo.username}')" \
        system:serviceaccount:apparmor-system:apparmor-controller
    check "RBAC: an agent cannot list secrets" refused 'secrets is forbidden' as agent-node-1 get secrets -A
    check "RBAC: a controller has no rights that its manifests do not give" \
        refused 'nodes is forbidden' as controller get nodes
    check "policies are in force: an agent patches its own Node" as agent-node-1 label node node-1 a=b
    check "policies are in force: an agent cannot patch another's" \
        refused "not this token's node" as agent-node-1 label node node-2 a=b
    check "NodeRestriction: a kubelet labels its own Node" as kubelet-node-1 label node node-1 own=yes
    check "NodeRestriction: a kubelet cannot set restricted labels" \
        refused 'is not allowed to modify labels' \
        as kubelet-node-1 label node node-1 node-restriction.kubernetes.io/own=yes
    check "Node authorization: a kubelet cannot read another's Node" \
        refused 'only its own Node object' as kubelet-node-1 get node node-2
    check "Node authorization: a kubelet reads no secret that no pod of its own has" \
        refused 'no relationship found' as kubelet-node-1 -n default get secret any
    check "writes are in the audit log at once, reads are not" audited
    check "pods of the default namespace are accepted and scheduled" pod_is_scheduled
    check "a Node's Lease is renewed" eventually 15 \
        renewed "$(as admin -n kube-node-lease get lease node-1 -o 'jsonpath={.spec.renewTime}')"
    check "data, port and tokens survive a restart of the API server" restart_keeps
    check "data, port and tokens survive a kill of the API server" restart_keeps --now
    check "the API server can be stopped and started" stop_and_start
    check "the API server can be started with other flags, once" starts_with_flags
    check "etcd can be made to forget" compacted
    check "a node can be added, deleted and added again" node_comes_and_goes
    check "a token can be asked for" equals "$(token_of apparmor-controller)" \
        "system:serviceaccount:apparmor-system:apparmor-controller "
    check "a token can be asked for on a node" equals "$(token_of default/default --node node-2)" \
        "system:serviceaccount:default:default node-2"
    check "an unknown service account is named" refused 'serviceaccounts "nobody" not found' ctl token nobody
    check "an unknown verb is named" refused 'no verb "explode"' ctl explode

    check "a second supervisor in the same folder is refused" \
        refused 'runs in .* already' "$rig" up --dir "$dir" "${manifests[@]}"
    check "a port that is taken is refused" \
        refused 'port [0-9]+ of 127.0.0.1 is taken' "$rig" up --dir "$top/taken" "${manifests[@]}" \
        --port "$(ready_field port "$dir")"
    check "a folder with others' files is refused" refused "files that are no rig's" "$rig" up --dir "$here" "${manifests[@]}"
    printf 'kind: Nonsense\n' >"$top/bad.yaml"
    check "a bad manifest ends the start with kubectl's words" \
        refused 'apply -f .*bad.yaml failed' "$rig" up --dir "$top/bad" --manifests "$top/bad.yaml"

    up "$top/second" --nodes '' "${manifests[@]}" || failed=$((failed + 1))
    check "two rigs run side by side" second_rig
    check "a server that dies ends the rig, by name, and leaves no process" \
        dies_with "$(scheduler_of "$top/second")" KILL "$top/second" 'kube-scheduler ended unasked'
    up "$top/second" --nodes '' "${manifests[@]}" || failed=$((failed + 1))
    check "a folder can be used again, and a killed supervisor leaves no process" \
        dies_with "${rigs[-1]}" KILL "$top/second" ''
    wait "${rigs[-1]}" 2>/dev/null || true # or the shell reports the kill as news

    check "SIGTERM during the start leaves no process" interrupted_start
    check "SIGTERM leaves no process" clean_stop
    status=0
    wait "${rigs[0]}" || status=$?
    check "its exit status is then 0" equals "$status" 0
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0))
}

main
