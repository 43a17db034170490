# shellcheck shell=bash
# The nodes themselves, and what happens to confined pods when one of them goes down.

test_a_kubelet_answers_nobody_without_a_certificate_of_the_cluster() {
    local pki=$CLUSTER_DIR/cp/pki answer
    answer=$(ask_kubelet node-1 --token=unknown 2>&1 || true)
    expect_match 'without a certificate' 'must be logged in' "$answer"
    answer=$(ask_kubelet node-1 --client-certificate="$pki/kubelet-client.crt" --client-key="$pki/kubelet-client.key")
    expect_match "with the API server's" 'PodList' "$answer"
}
ask_kubelet() { # NODE [KUBECTL OPTION...]
    local port
    port=$(<"$VM_STATE/$1/kubelet-port")
    shift
    k --kubeconfig=/dev/null --server="https://127.0.0.1:$port" --insecure-skip-tls-verify "$@" get --raw /pods
}

test_pods_reach_the_api_server_by_its_service() {
    pod_manifest client | k apply -f -
    pod_ready client
    k exec client -- sh -c 'nc -w 10 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null'
    delete_pod client
}

test_after_a_reboot_a_confined_pod_runs_again_and_never_without_its_profile() {
    apply_profile nodes-boot <<<"${DENY_WRITE//deny-write/nodes-boot}"
    confined_pod app nodes-boot nodes-boot | k apply -f -
    pod_ready app
    local node agent_back
    node=$(k get pod app -o jsonpath='{.spec.nodeName}')
    vm reboot "$node"
    expect_equal 'the label stays' true "$(label "$node" profile-nodes-boot)"
    eventually 180 "$node is Ready" node_ready "$node"
    eventually 180 'its agent has loaded the profile' in_kernel "$node" nodes-boot
    agent_back=$SECONDS
    eventually 180 'the container runs again' restarted_and_ready app
    echo "the pod ran $((SECONDS - agent_back)) s after its profile was loaded"
    expect_equal 'what the new container said first' 'nodes-boot (enforce)' "$(k logs app | head -n 1)"
    expect_equal 'what confines it' 'nodes-boot (enforce)' "$(k exec app -- cat /proc/1/attr/current)"
    eventually 180 'the agents are ready' agents_ready 2
    delete_pod app
}
restarted_and_ready() {
    k get pod "$1" -o json | jq -e '.status.containerStatuses[0] | .restartCount > 0 and .ready'
}

test_on_a_node_that_loses_power_the_profile_is_back_with_the_node() {
    apply_profile nodes-power <<<"${DENY_WRITE//deny-write/nodes-power}"
    k wait --for=condition=Ready --timeout=60s aap/nodes-power
    vm reset node-2
    eventually 180 'node-2 is Ready' node_ready node-2
    eventually 180 'the profile is loaded' in_kernel node-2 nodes-power
    eventually 180 'the agents are ready' agents_ready 2
}
