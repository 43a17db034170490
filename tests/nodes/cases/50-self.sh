# shellcheck shell=bash
# The agent's own confinement, in the pod of deploy/.

agent_labels() { # NODE: one line for each different label of the agent's threads
    in_node "$1" sh -c 'cat /proc/$(pidof apparmor-agent)/task/*/attr/current | sort -u'
}
agents_are_confined() {
    local node
    for node in "${NODES[@]}"; do
        [ "$(agent_labels "$node")" = 'apparmor.io.agent (enforce)' ] || return 1
    done
}
# Refusals by AppArmor or the filter of system calls that the agent, its compiler or its looking at others has caused.
denials_by_agent() { # NODE
    in_node "$1" dmesg | grep -E 'apparmor="(DENIED|ALLOWED)"|type=1326' |
        grep -E 'comm="(apparmor-agent|apparmor_parser)"|peer="apparmor.io.agent' || true
}

test_the_agents_pods_run_under_their_own_profile() {
    local node
    for node in "${NODES[@]}"; do
        expect_equal "labels of the agent's threads on $node" 'apparmor.io.agent (enforce)' "$(agent_labels "$node")"
        expect_match "metric on $node" '^apparmor_agent_confined 1' "$(in_node "$node" wget -q -O - \
            http://127.0.0.1:9781/metrics | grep '^apparmor_agent_confined')"
    done
}

test_a_new_agent_finds_its_profile_loaded() {
    local pod
    pod=$(agent_pod node-1)
    k -n "$SYSTEM" delete pod "$pod" --wait=true
    eventually 240 'there is another agent' agents_ready "${#NODES[@]}"
    eventually 30 'it is confined' agents_are_confined
    pod=$(agent_pod node-1)
    [[ $(k -n "$SYSTEM" logs "$pod") != *"own profile is loaded"* ]] || fail 'it was compiled and loaded again'
}

# A pod of root without capabilities is the one that the agent, too, could trace.
test_confined_agents_do_all_their_work_and_are_denied_nothing() {
    local node
    apply_profile nodes-self <<<'profile nodes-self flags=(attach_disconnected) { file, network, capability, signal, }'
    confined_pod app nodes-self nodes-self |
        jq '.spec.containers[0].securityContext += {capabilities: {drop: ["ALL"]}, runAsUser: 0}' | k apply -f -
    pod_ready app
    node=$(k get pod app -o jsonpath='{.spec.nodeName}')
    k delete aap nodes-self --wait=false
    eventually 60 'the agent sees who uses it' node_entry_is "$node" nodes-self Draining
    delete_pod app
    eventually 60 'removed after the pod' not_in_kernel "$node" nodes-self
    agents_are_confined || fail 'an agent is not confined any more'
    for node in "${NODES[@]}"; do
        expect_equal "denials on $node" '' "$(denials_by_agent "$node")"
    done
}
