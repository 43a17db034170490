# shellcheck shell=bash
# More of what the files above have, and their parts.

test_after_a_loss_of_power_a_confined_pod_runs_again_and_never_without_its_profile() {
    goes_down_and_comes_back nodes-power lose_power
}

test_pods_follow_profiles_that_select_one_node_each() {
    local node profile
    for node in node-1 node-2; do
        profile_manifest "nodes-for-$node" <<<"${DENY_WRITE//deny-write/nodes-for-$node}" |
            jq --arg node "$node" '.spec.nodeSelector.matchLabels["kubernetes.io/hostname"] = $node' |
            k apply --server-side -f -
    done
    k wait --for=condition=Ready --timeout=300s aap --all
    for node in node-1 node-2; do
        profile=nodes-for-$node
        expect_equal "LOADED of $profile" 1/1 "$(k get aap "$profile" -o jsonpath='{.status.nodes.summary}')"
        expect_equal "label of $node" true "$(label "$node" "profile-$profile")"
        expect_equal "label of the other one" '' "$(label "$(other_node "$node")" "profile-$profile")"
        not_in_kernel "$(other_node "$node")" "$profile" || fail "$profile is loaded where it is not selected"
        confined_pod "on-$node" "$profile" "$profile" | k apply -f -
        pod_ready "on-$node"
        expect_equal "where the pod runs that wants $profile" "$node" "$(pod_node "on-$node")"
        expect_confined "on-$node" "$profile"
    done
    k delete pods on-node-1 on-node-2
}

# All the while that containers begin, somewhere between runtime and program, nothing is reported.
test_containers_that_start_are_not_reported() {
    local i node
    free_profile nodes-start
    for i in 1 2 3; do
        confined_pod app nodes-start nodes-start | k apply -f -
        pod_ready app
        k exec app -- true
        delete_pod app
    done
    for node in "${NODES[@]}"; do
        expect_equal "what $node has reported" 0 \
            "$(k -n "$SYSTEM" logs "$(agent_pod "$node")" | grep 'not confined as its pod asks' | grep -c nodes-start)"
    done
}

late_waits() {
    [ "$(k get pod app -o jsonpath='{.status.containerStatuses[0].state.waiting.reason}')" = CreateContainerError ]
}
test_a_pod_whose_profile_comes_late_starts_by_itself() {
    confined_pod app nodes-late nodes-late | jq 'del(.spec.nodeSelector)' | k apply -f -
    eventually 300 'the kubelet waits for the profile' late_waits
    apply_profile nodes-late <<<"${DENY_WRITE//deny-write/nodes-late}"
    pod_ready app
    expect_confined app nodes-late
    delete_pod app
}

app_runs_on() { # NODE
    k get pods -l app=app -o json | jq -e --arg node "$1" '[.items[] | select(.metadata.deletionTimestamp == null)] |
        length == 1 and all(.spec.nodeName == $node and any(.status.conditions[]; .type == "Ready" and .status == "True"))'
}
test_a_pod_of_a_drained_node_runs_confined_on_the_other() {
    apply_profile nodes-drain <<<"${DENY_WRITE//deny-write/nodes-drain}"
    confined_pod app nodes-drain nodes-drain | jq '{apiVersion: "apps/v1", kind: "Deployment", metadata: {name: "app"},
        spec: {selector: {matchLabels: {app: "app"}}, template: {metadata: {labels: {app: "app"}}, spec: .spec}}}' |
        k apply -f -
    k rollout status --timeout=300s deployment/app
    local node other pod
    node=$(k get pods -l app=app -o jsonpath='{.items[0].spec.nodeName}')
    other=$(other_node "$node")
    k drain "$node" --ignore-daemonsets --force --delete-emptydir-data --timeout=300s
    eventually 300 "the pod runs on $other" app_runs_on "$other"
    pod=$(k get pods -l app=app -o jsonpath='{.items[0].metadata.name}')
    expect_confined "$pod" nodes-drain

    in_kernel "$node" nodes-drain || fail "the drained node has lost the profile"
    expect_equal 'label of the drained node' true "$(label "$node" profile-nodes-drain)"
    agents_ready 2 || fail 'a drained node has no agent'
    k uncordon "$node"
    k delete deployment app
    k wait --for=delete --timeout=300s pod -l app=app
    eventually 300 'the controllers are ready' controllers_ready 2
}
