# shellcheck shell=bash
# Pods of each kind, and pods that move.

test_each_kind_of_container_runs_under_the_profile_it_asks_for() {
    apply_profile kind-pod <<<"${DENY_WRITE//deny-write/kind-pod}"
    apply_profile kind-own <<<"${DENY_WRITE//deny-write/kind-own}"
    cron_job | k apply -f - # its turn comes with the next full minute
    pod_of_each_kind | k apply -f -
    pod_ready kinds
    expect_equal 'what the init container said' 'kind-own (enforce)' "$(said_first kinds init)"
    expect_confined kinds kind-own sidecar
    expect_confined kinds kind-pod main
    expect_confined kinds kind-own other

    jq -n '{securityContext: {appArmorProfile: {type: "Localhost", localhostProfile: "kind-own"}}}' \
        >"$CLUSTER_DIR/debugger.json"
    k debug kinds --profile=general --custom="$CLUSTER_DIR/debugger.json" --image=localhost/busybox:1 \
        --image-pull-policy=Never --container=debugger -- cat /proc/self/attr/current
    k wait --for=jsonpath='{.status.ephemeralContainerStatuses[0].state.terminated.exitCode}'=0 \
        --timeout=300s pod/kinds
    expect_equal 'what the ephemeral container said' 'kind-own (enforce)' "$(said_first kinds debugger)"

    eventually 300 'the CronJob makes a Job' cron_has_run
    k wait --for=condition=Complete --timeout=300s job -l app=cron
    expect_equal 'what the pod of the CronJob said' 'kind-pod (enforce)' "$(k logs -l app=cron --tail=-1 | head -n 1)"
    k delete cronjob cron
    delete_pod kinds
}
pod_of_each_kind() {
    pod_manifest kinds '
        def under($profile): .securityContext.appArmorProfile = {type: "Localhost", localhostProfile: $profile};
        .spec.containers[0] as $running |
        .spec.nodeSelector = {"apparmor.io/profile-kind-pod": "true", "apparmor.io/profile-kind-own": "true"} |
        .spec |= under("kind-pod") |
        .spec.initContainers = [
            ($running | .name = "init" | .command = ["cat", "/proc/self/attr/current"] | under("kind-own")),
            ($running | .name = "sidecar" | .restartPolicy = "Always" | under("kind-own"))] |
        .spec.containers += [$running | .name = "other" | under("kind-own")]'
}
cron_job() {
    confined_pod cron kind-pod kind-pod | jq '
        .spec.restartPolicy = "Never" | .spec.containers[0].command = ["cat", "/proc/self/attr/current"] |
        {apiVersion: "batch/v1", kind: "CronJob", metadata: {name: "cron"}, spec: {schedule: "* * * * *",
            concurrencyPolicy: "Forbid", jobTemplate: {metadata: {labels: {app: "cron"}}, spec: {
                template: {metadata: {labels: {app: "cron"}}, spec: .spec}}}}}'
}
# One run is enough.
cron_has_run() {
    [ "$(k get jobs -l app=cron -o name)" ] && k patch cronjob cron -p '{"spec": {"suspend": true}}'
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
app_runs_on() { # NODE
    k get pods -l app=app -o json | jq -e --arg node "$1" '[.items[] | select(.metadata.deletionTimestamp == null)] |
        length == 1 and all(.spec.nodeName == $node and any(.status.conditions[]; .type == "Ready" and .status == "True"))'
}
