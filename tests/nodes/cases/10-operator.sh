# shellcheck shell=bash
# The operator as a user installs it, confining real pods.

test_a_pod_waits_for_its_profile_and_runs_confined_until_after_the_profile_is_deleted() {
    confined_pod app deny-write deny-write | k apply -f -
    k wait --for=condition=PodScheduled=False --timeout=300s pod/app
    expect_match 'why it waits' 'node affinity/selector' \
        "$(k get pod app -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}')"

    apply_profile deny-write <<<"$DENY_WRITE"
    k wait --for=condition=Ready --timeout=300s aap/deny-write
    # In its pod, without any right, for the kernel that the agents have told of.
    eventually 60 'the controller has compiled it, too' validated deny-write Accepted
    expect_equal 'LOADED column' 2/2 "$(k get aap deny-write -o jsonpath='{.status.nodes.summary}')"
    pod_ready app
    expect_confined app deny-write
    expect_failure 'kubectl exec … touch' k exec app -- touch /tmp/test
    expect_match 'kubectl exec … touch' 'Permission denied' "$(k exec app -- touch /tmp/test 2>&1 || true)"

    local node other
    node=$(pod_node app)
    other=$(other_node "$node")
    k delete aap deny-write --wait=false
    eventually 300 'the label goes' no_label "$node" profile-deny-write
    eventually 300 "the pod's node says Draining" node_entry_is "$node" deny-write Draining
    eventually 300 'the other node has removed it' not_in_kernel "$other" deny-write
    expect_confined app deny-write
    delete_pod app
    eventually 300 'removed after the pod' not_in_kernel "$node" deny-write
    eventually 300 'the entry goes' no_node_entry "$node" deny-write
}

validated() { [ "$(k get aap "$1" -o jsonpath='{.status.validation.result}')" = "$2" ]; }

test_a_changed_profile_takes_hold_in_the_running_pod() {
    apply_profile nodes-change <<<"${DENY_WRITE//deny-write/nodes-change}"
    confined_pod app nodes-change nodes-change | k apply -f -
    pod_ready app
    expect_failure 'touch under the first rules' k exec app -- touch /tmp/first
    apply_profile nodes-change <<<'profile nodes-change flags=(attach_disconnected) { file, network, capability, signal, }'
    k wait --for=jsonpath='{.status.observedGeneration}'=2 --timeout=300s aap/nodes-change
    k wait --for=condition=Ready --timeout=300s aap/nodes-change
    k exec app -- touch /tmp/second
    expect_equal 'restarts' 0 "$(k get pod app -o jsonpath='{.status.containerStatuses[0].restartCount}')"
    delete_pod app
}

test_an_agent_that_is_killed_unloads_nothing_and_comes_back() {
    apply_profile nodes-kill <<<"${DENY_WRITE//deny-write/nodes-kill}"
    confined_pod app nodes-kill nodes-kill | k apply -f -
    pod_ready app
    local node pod
    node=$(pod_node app)
    pod=$(agent_pod "$node")
    k -n "$SYSTEM" delete pod "$pod" --grace-period=0 --force
    eventually 300 'another agent is there' another_agent "$node" "$pod"
    eventually 300 'the agents are ready' agents_ready 2
    in_kernel "$node" nodes-kill || fail 'the profile is gone from the kernel'
    expect_equal 'label' true "$(label "$node" profile-nodes-kill)"
    expect_confined app nodes-kill
    delete_pod app
}
another_agent() {
    local pod
    pod=$(agent_pod "$1") && [ "$pod" ] && [ "$pod" != "$2" ]
}
