# shellcheck shell=bash
# Containers that lose their confinement.

# Somebody removes the profile from the kernel, and the agent repairs it.
lose_profile() { # POD PROFILE
    in_node node-1 sh -c "echo -n $2 >$KERNEL_POLICY/.remove"
    eventually 10 'the process has lost it' container_label_is "$1" unconfined
    eventually 20 'the profile is back' in_kernel node-1 "$2"
}

unconfined_is() { [ "$(agent_metric node-1 apparmor_unconfined_containers)" = "$1" ]; }
unconfined_events() { # POD
    k get events -o json | jq --arg pod "$1" '[.items[] | select(.reason == "AppArmorUnconfined" and
        .involvedObject.kind == "Pod" and .involvedObject.name == $pod) | .count] | add // 0'
}
unconfined_events_are() { [ "$(unconfined_events "$1")" = "$2" ]; }

test_a_container_that_loses_its_profile_is_reported_once_until_it_ends() {
    apply_profile e2e-lost <<<'profile e2e-lost { file, signal, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-lost
    pod_asking lost e2e-lost
    container_starts lost e2e-lost
    lose_profile lost e2e-lost

    eventually 20 'the metric tells' unconfined_is 1
    eventually 20 'the Event tells' unconfined_events_are lost 1
    expect_match 'the Event' '^container main: Localhost/e2e-lost is asked for, and it runs as «unconfined»; delete the pod' \
        "$(k get events -o json | jq -r '.items[] | select(.reason == "AppArmorUnconfined" and
            .involvedObject.name == "lost").message')"
    expect_match 'its own series' 'apparmor_container_unconfined\{namespace="default",pod="lost",container="main"\} 1' \
        "$(agent_metrics node-1)"
    eventually 20 'the AppArmorNode tells' status_has \
        ".unconfinedContainers == 1 and (.unconfined[0] | .pod == \"lost\" and .namespace == \"default\" and
            .container == \"main\" and .containerID == \"$(container_id lost)\" and .asked == \"Localhost/e2e-lost\" and
            .actual == \"unconfined\" and .profileLoaded)"

    # Another agent finds the same, and says nothing new.
    local writes
    writes=$(agent_writes node-1)
    agent_stop node-1
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    eventually 20 'the metric tells again' unconfined_is 1
    expect_equal 'Events after a restart' 1 "$(unconfined_events lost)"
    expect_equal 'API writes of the restart' "$writes" "$(agent_writes node-1)"

    container_ends lost
    eventually 20 'the metric says that it is over' unconfined_is 0
    eventually 20 'so does the AppArmorNode' status_has '.unconfinedContainers == 0 and .unconfined == null'
    delete_pod lost
}

test_a_container_that_lost_its_profile_while_no_agent_ran_is_reported() {
    apply_profile e2e-before <<<'profile e2e-before { file, signal, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-before
    pod_asking before e2e-before
    container_starts before e2e-before
    agent_stop node-1
    in_node node-1 sh -c "echo -n e2e-before >$KERNEL_POLICY/.remove"
    agent_start node-1
    eventually 30 'the profile is back' in_kernel node-1 e2e-before
    eventually 20 'the metric tells' unconfined_is 1
    eventually 20 'the Event tells' unconfined_events_are before 1
    container_ends before
    delete_pod before
    eventually 20 'the metric says that it is over' unconfined_is 0
}

test_what_is_confined_or_asks_for_nothing_is_not_reported() {
    local pod
    apply_profile e2e-held <<<'profile e2e-held { file, signal, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-held
    pod_asking held e2e-held
    pod_asking free Unconfined
    container_starts held e2e-held
    container_starts free unconfined
    # Something that is found shows that the agent has looked since.
    pod_asking seen e2e-held
    container_starts seen unconfined
    eventually 20 'the third is found' unconfined_is 1
    expect_equal 'Events of the first' 0 "$(unconfined_events held)"
    expect_equal 'Events of the second' 0 "$(unconfined_events free)"
    for pod in held free seen; do
        container_ends "$pod"
        delete_pod "$pod"
    done
    eventually 20 'the metric says that it is over' unconfined_is 0
}
