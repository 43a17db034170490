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

