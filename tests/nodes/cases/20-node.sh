# shellcheck shell=bash
# The nodes themselves, and what happens to confined pods when one of them goes down.

test_a_kubelet_answers_nobody_without_a_certificate_of_the_cluster() {
    expect_match 'without a certificate' 'must be logged in' \
        "$(ask_kubelet node-1 /pods --token=unknown 2>&1 || true)"
    expect_match "with the API server's" 'PodList' "$(ask_kubelet_as_server node-1 /pods)"
}

test_pods_reach_the_api_server_by_its_service() {
    pod_manifest client | k apply -f -
    pod_ready client
    k exec client -- sh -c 'nc -w 10 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null'
    delete_pod client
}

test_after_a_reboot_a_confined_pod_runs_again_and_never_without_its_profile() {
    goes_down_and_comes_back nodes-boot reboot_node
}

reboot_node() { vm reboot "$1"; }
# The network plugins do not sync what they note about a pod, and its kubelet never gets over an empty note.
lose_power() {
    in_node "$1" sync
    vm reset "$1"
}

goes_down_and_comes_back() { # PROFILE COMMAND
    apply_profile "$1" <<<"${DENY_WRITE//deny-write/$1}"
    confined_pod app "$1" "$1" | k apply -f -
    pod_ready app
    k wait --for=condition=Ready --timeout=300s "aap/$1"
    local node uid agent
    node=$(pod_node app)
    uid=$(k get pod app -o jsonpath='{.metadata.uid}')
    agent=$(agent_container "$node")
    watch_nodes
    "$2" "$node"
    eventually 300 "$node is Ready" node_ready "$node"
    eventually 300 'its agent runs' another_agent_container "$node" "$agent"
    eventually 300 'the container runs again' restarted_and_ready app
    eventually 300 'the agents are ready' agents_ready 2
    expect_never_without "profile-$1"
    expect_confined app "$1"
    expect_each_start_confined "$node" app "$1"
    expect_equal 'the pod' "$uid" "$(k get pod app -o jsonpath='{.metadata.uid}')"
    expect_equal 'pods that were rejected' '' "$(k get pods -A --field-selector=status.phase=Failed \
        -o jsonpath='{range .items[*]}{.metadata.name} {.status.reason} {end}')"
    expect_soon_after_agent app "$node"
    delete_pod app
}
agent_container() { # NODE
    k -n "$SYSTEM" get pod "$(agent_pod "$1")" -o jsonpath='{.status.containerStatuses[0].containerID}'
}
another_agent_container() { # NODE CONTAINER
    [ "$(agent_container "$1")" != "$2" ]
}
restarted_and_ready() {
    k get pod "$1" -o json | jq -e '.status.containerStatuses[0] | .restartCount > 0 and .ready'
}
# The first line of each log: there is one for each start. A loss of power may leave the first one empty.
expect_each_start_confined() { # NODE POD PROFILE
    local starts uid
    # An earlier pod of the name may have left its logs.
    uid=$(k get pod "$2" -o jsonpath='{.metadata.uid}')
    starts=$(in_node "$1" sh -c "for log in /var/log/pods/default_$2_$uid/main/*.log; do head -n 1 \$log; done")
    echo "$starts"
    expect_match 'what the new container said' "$3 \\(enforce\\)" "$starts"
    expect_equal 'starts without the profile' '' "$(grep -vF "F $3 (enforce)" <<<"$starts")"
}
# Both times are the node's own.
expect_soon_after_agent() { # POD NODE
    local ready started
    ready=$(k -n "$SYSTEM" get pod "$(agent_pod "$2")" \
        -o jsonpath='{.status.conditions[?(@.type=="Ready")].lastTransitionTime}')
    started=$(k get pod "$1" -o jsonpath='{.status.containerStatuses[0].state.running.startedAt}')
    echo "the container started $(($(date -d "$started" +%s) - $(date -d "$ready" +%s))) s after the agent was ready"
    # Twice what it is to be: the nodes share two processors with whatever else runs.
    (($(date -d "$started" +%s) - $(date -d "$ready" +%s) <= 60)) || fail 'that is more than 60 s'
}
