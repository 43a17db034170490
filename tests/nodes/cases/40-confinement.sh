# shellcheck shell=bash
# Containers that lose their profile while they run: what a real runtime and kubelet make of it.

free_profile() { # NAME
    apply_profile "$1" <<<"profile $1 flags=(attach_disconnected) { file, network, capability, signal, }"
    k wait --for=condition=Ready --timeout=60s "aap/$1"
}
# A Deployment of one pod that asks for the profile; ANNOTATIONS are those of its pod.
confined_deployment() { # NAME PROFILE-OBJECT [ANNOTATIONS]
    confined_pod "$1" "$2" "$2" | jq --arg name "$1" --argjson annotations "{${3:-}}" '{apiVersion: "apps/v1",
        kind: "Deployment", metadata: {name: $name}, spec: {selector: {matchLabels: {app: $name}},
            template: {metadata: {labels: {app: $name}, annotations: $annotations}, spec: .spec}}}'
}
deployment_pod() { # NAME: its pod that is not going
    k get pods -l "app=$1" -o json | jq -er 'first(.items[] | select(.metadata.deletionTimestamp == null)).metadata.name'
}
another_pod() { # NAME THAN
    local pod
    pod=$(deployment_pod "$1") && [ "$pod" != "$2" ]
}

# Somebody removes the profile from the kernel, and the agent repairs it.
lose_profile() { # NODE PROFILE
    in_node "$1" sh -c "echo -n $2 >$KERNEL_POLICY/.remove"
    eventually 20 'the profile is back' in_kernel "$1" "$2"
}
node_metric_is() { # NODE NAME VALUE
    [ "$(in_node "$1" wget -q -O - http://127.0.0.1:9781/metrics | awk -v name="$2" '$1 == name { print $2 }')" = "$3" ]
}
pod_events() { # POD REASON: how often it was told
    k get events -o json | jq --arg pod "$1" --arg reason "$2" '[.items[] |
        select(.involvedObject.name == $pod and .reason == $reason) | .count] | add // 0'
}
pod_event_is_told() { [ "$(pod_events "$1" "$2")" -gt 0 ]; }

test_a_pod_that_loses_its_profile_is_reported_until_it_is_deleted() {
    local node
    free_profile nodes-lost
    confined_pod app nodes-lost nodes-lost | k apply -f -
    pod_ready app
    node=$(k get pod app -o jsonpath='{.spec.nodeName}')
    lose_profile "$node" nodes-lost
    expect_equal 'what confines the pod' unconfined "$(k exec app -- cat /proc/1/attr/current)"

    eventually 30 'the metric tells' node_metric_is "$node" apparmor_unconfined_containers 1
    eventually 30 'the Event tells' pod_event_is_told app AppArmorUnconfined
    expect_equal 'how the AppArmorNode tells' 'app main Localhost/nodes-lost unconfined true' \
        "$(k get aan "$node" -o json | jq -r '.status.unconfined[] |
            "\(.pod) \(.container) \(.asked) \(.actual) \(.profileLoaded)"')"
    expect_equal 'how often it was told' 1 "$(pod_events app AppArmorUnconfined)"
    delete_pod app
    eventually 60 'the metric says that it is over' node_metric_is "$node" apparmor_unconfined_containers 0
}

test_a_pod_that_opts_in_is_evicted_and_its_successor_runs_confined() {
    local node pod
    free_profile nodes-evict
    confined_deployment shop nodes-evict '"apparmor.io/evict-unconfined": "true"' | k apply -f -
    k rollout status deployment/shop --timeout=180s
    pod=$(deployment_pod shop)
    node=$(k get pod "$pod" -o jsonpath='{.spec.nodeName}')
    lose_profile "$node" nodes-evict

    eventually 60 'another pod is made' another_pod shop "$pod"
    eventually 30 'an Event tells why' pod_event_is_told "$pod" AppArmorEvicted
    k rollout status deployment/shop --timeout=180s
    expect_equal 'what confines it' 'nodes-evict (enforce)' \
        "$(k exec "$(deployment_pod shop)" -- cat /proc/1/attr/current)"
    k delete deployment shop --cascade=foreground --wait=true
    eventually 60 'nothing is reported any more' node_metric_is "$node" apparmor_unconfined_containers 0
}
