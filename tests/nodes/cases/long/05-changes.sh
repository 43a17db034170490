# shellcheck shell=bash
# What happens to a node that runs: an upgrade, somebody else's hand in its kernel, another Node object.

test_an_upgrade_of_the_agents_takes_no_label_and_no_confinement_away() {
    apply_profile nodes-upgrade <<<"${DENY_WRITE//deny-write/nodes-upgrade}"
    confined_pod app nodes-upgrade nodes-upgrade | k apply -f -
    pod_ready app
    k wait --for=condition=Ready --timeout=300s aap/nodes-upgrade
    local node from=$EPOCHREALTIME
    for node in "${NODES[@]}"; do
        in_node "$node" ctr -n k8s.io images tag --force localhost/apparmor-agent:dev localhost/apparmor-agent:next
    done
    watch_nodes
    k -n "$SYSTEM" set image daemonset/apparmor-agent agent=localhost/apparmor-agent:next
    k -n "$SYSTEM" rollout status --timeout=300s daemonset/apparmor-agent
    expect_equal 'images of the agents' localhost/apparmor-agent:next "$(agent_images)"
    echo "rolled out in $(bc_seconds "$from") s"
    k -n "$SYSTEM" rollout undo daemonset/apparmor-agent
    k -n "$SYSTEM" rollout status --timeout=300s daemonset/apparmor-agent
    expect_equal 'images of the agents' localhost/apparmor-agent:dev "$(agent_images)"
    expect_never_without profile-nodes-upgrade
    expect_confined app nodes-upgrade
    expect_equal 'restarts of the pod' 0 "$(k get pod app -o jsonpath='{.status.containerStatuses[0].restartCount}')"
    delete_pod app
}
agent_images() {
    k -n "$SYSTEM" get pods -l app.kubernetes.io/name=apparmor-agent -o json |
        jq -r '[.items[].spec.containers[0].image] | unique | join(" ")'
}

test_a_profile_that_is_removed_behind_our_back_is_back_within_seconds() {
    apply_profile nodes-drift <<<"${DENY_WRITE//deny-write/nodes-drift}"
    k wait --for=condition=Ready --timeout=300s aap/nodes-drift
    watch_nodes
    local from=$EPOCHREALTIME
    # One command, so that it is seen to be gone before the agent has it back.
    in_node node-1 sh -c "printf nodes-drift >$KERNEL_POLICY/.remove && ! grep -q '^nodes-drift ' $KERNEL_POLICY/profiles"
    eventually 300 'the profile is back' in_kernel node-1 nodes-drift
    echo "back after $(bc_seconds "$from") s"
    expect_never_without profile-nodes-drift
    eventually 300 'an Event tells' repaired_event nodes-drift
    confined_pod app nodes-drift nodes-drift | jq '.spec.nodeSelector["kubernetes.io/hostname"] = "node-1"' | k apply -f -
    pod_ready app
    expect_confined app nodes-drift
    delete_pod app
}
repaired_event() {
    [ "$(k get events --field-selector "reason=Repaired,involvedObject.name=$1" -o name)" ]
}

test_a_node_that_its_kubelet_registers_anew_has_its_labels_on_the_new_object() {
    apply_profile nodes-anew <<<"${DENY_WRITE//deny-write/nodes-anew}"
    confined_pod app nodes-anew nodes-anew | jq '.spec.nodeSelector["kubernetes.io/hostname"] = "node-2"' | k apply -f -
    pod_ready app
    local agent uid
    agent=$(agent_pod node-2)
    uid=$(k get node node-2 -o jsonpath='{.metadata.uid}')
    k delete node node-2
    # A kubelet registers its Node once, when it starts.
    in_node node-2 killall kubelet
    admit_node node-2
    eventually 300 'the labels are on the new object' label_is node-2 profile-nodes-anew true
    expect_equal 'label apparmor.io/enabled' true "$(label node-2 enabled)"
    [ "$(k get node node-2 -o jsonpath='{.metadata.uid}')" != "$uid" ] || fail 'it is the Node of before'
    eventually 300 'the AppArmorNode belongs to the new object' owned_by_node node-2
    eventually 300 'LOADED is 2/2' jsonpath_is aap/nodes-anew '{.status.nodes.summary}' 2/2
    k wait --for=condition=Ready --timeout=300s aap/nodes-anew
    eventually 300 'node-2 is Ready' node_ready node-2
    eventually 300 'the agents are ready' agents_ready 2
    expect_equal 'the agent of before' "$agent" "$(agent_pod node-2)"
    expect_confined app nodes-anew
    delete_pod app
}
owned_by_node() {
    [ "$(k get aan "$1" -o jsonpath='{.metadata.ownerReferences[0].uid}')" = "$(k get node "$1" -o jsonpath='{.metadata.uid}')" ]
}
