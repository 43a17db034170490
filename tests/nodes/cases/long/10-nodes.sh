# shellcheck shell=bash
# Nodes that come and go.

test_a_node_that_goes_is_not_waited_for_and_may_come_back_as_another_machine() {
    apply_profile nodes-gone <<<"${DENY_WRITE//deny-write/nodes-gone}"
    k wait --for=condition=Ready --timeout=300s aap/nodes-gone
    expect_equal 'LOADED before' 2/2 "$(k get aap nodes-gone -o jsonpath='{.status.nodes.summary}')"
    spread_controllers
    remove_node node-2
    local from=$EPOCHREALTIME
    k wait --for=delete --timeout=300s aan/node-2
    eventually 300 'LOADED is 1/1' jsonpath_is aap/nodes-gone '{.status.nodes.summary}' 1/1
    echo "LOADED is 1/1 after $(bc_seconds "$from") s"
    k wait --for=condition=Ready --timeout=300s aap/nodes-gone
    # A change, a pod and a deletion wait for nobody either.
    apply_profile nodes-gone-too <<<"${DENY_WRITE//deny-write/nodes-gone-too}"
    confined_pod app nodes-gone-too nodes-gone-too | k apply -f -
    pod_ready app
    expect_confined app nodes-gone-too
    delete_pod app
    k delete aap nodes-gone-too --timeout=300s
    eventually 300 'node-1 has removed it' not_in_kernel node-1 nodes-gone-too

    kubelet_boot node-2
    admit_node node-2
    eventually 300 'the new machine has the profile' label_is node-2 profile-nodes-gone true
    in_kernel node-2 nodes-gone || fail 'labelled without the profile'
    eventually 300 'LOADED is 2/2' jsonpath_is aap/nodes-gone '{.status.nodes.summary}' 2/2
    eventually 300 'node-2 is Ready' node_ready node-2
    eventually 300 'the agents are ready' agents_ready 2
    eventually 300 'the controllers are ready' controllers_ready 2
}

# As after an installation: with both of them gone it would be a minute until there are others.
spread_controllers() {
    local pods
    pods=$(k -n "$SYSTEM" get pods -l app.kubernetes.io/name=apparmor-controller -o json)
    if [ "$(jq '[.items[].spec.nodeName] | unique | length' <<<"$pods")" = 1 ]; then
        k -n "$SYSTEM" delete pod "$(jq -r '.items[0].metadata.name' <<<"$pods")"
        eventually 300 'the controllers are ready' controllers_ready 2
    fi
}

test_a_node_without_apparmor_says_so_and_disturbs_nobody() {
    apply_profile nodes-plain <<<"${DENY_WRITE//deny-write/nodes-plain}"
    k wait --for=condition=Ready --timeout=300s aap/nodes-plain
    controlplane ctl --dir "$CLUSTER_DIR/cp" add-node node-3
    set_address node-3
    kubelet_boot node-3 --append apparmor=0
    eventually 300 'node-3 is Ready' node_ready node-3
    eventually 300 'its agent is ready as well' agents_ready 3
    expect_equal 'label apparmor.io/enabled' false "$(label node-3 enabled)"
    expect_equal 'label of the profile' '' "$(label node-3 profile-nodes-plain)"
    expect_equal 'APPARMOR' Disabled "$(k get aan node-3 -o jsonpath='{.status.apparmor}')"
    k wait --for=condition=Ready --timeout=300s aap/nodes-plain
    expect_equal 'LOADED' 2/2 "$(k get aap nodes-plain -o jsonpath='{.status.nodes.summary}')"
    # The scheduler prefers the empty node for whoever may run there.
    confined_pod app nodes-plain nodes-plain | k apply -f -
    pod_ready app
    [ "$(pod_node app)" != node-3 ] || fail 'the pod is on the node without AppArmor'
    expect_confined app nodes-plain
    delete_pod app
    remove_node node-3
    k wait --for=delete --timeout=300s aan/node-3
    k wait --for=condition=Ready --timeout=300s aap/nodes-plain
    eventually 300 'two agents are left' agents_ready 2
}
