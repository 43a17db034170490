# shellcheck shell=bash
# Containers on nodes that have no kubelet: a process in a cgroup of the name that one would give it, and a pod's
# status in the words that it would use, are what the agent goes by. To be sourced.

# pod_asking NAME PROFILE: a pod on node-1 that asks for the profile; Unconfined asks for nothing.
pod_asking() {
    jq -n --arg name "$1" --arg profile "$2" '{apiVersion: "v1", kind: "Pod", metadata: {name: $name}, spec: {
        nodeName: "node-1", automountServiceAccountToken: false, terminationGracePeriodSeconds: 0,
        tolerations: [{operator: "Exists"}],
        containers: [{name: "main", image: "none", securityContext: {appArmorProfile: (if $profile == "Unconfined"
            then {type: $profile} else {type: "Localhost", localhostProfile: $profile} end)}}]}}' | k apply -f - >/dev/null
}

# Each pod has one container, whose id is made of the pod's name.
container_id() { printf '%s' "$1" | sha256sum | cut -c1-64; } # POD
container_cgroup() { # POD
    echo "/sys/fs/cgroup/kubepods/besteffort/pod$(k get pod "$1" -o jsonpath='{.metadata.uid}')/$(container_id "$1")"
}
container_is() { # POD STATE: in the words of a kubelet
    k patch pod "$1" --subresource=status --type=merge -p "$(jq -n --arg id "containerd://$(container_id "$1")" \
        --argjson state "$2" '{status: {phase: "Running", containerStatuses: [{name: "main", image: "none",
            imageID: "none", ready: true, restartCount: 0, containerID: $id, state: $state}]}}')" >/dev/null
}
# container_starts POD PROFILE: its process, under the profile or "unconfined", and what the kubelet says of it.
container_starts() {
    local cgroup run=()
    cgroup=$(container_cgroup "$1")
    [ "$2" = unconfined ] || run=(aa-exec -p "$2" --)
    tests/vm/vm exec node-1 -- sh -c 'mkdir -p "$0" && echo $$ >"$0/cgroup.procs" && exec "$@"' \
        "$cgroup" "${run[@]}" sleep 1000 &
    eventually 20 "the container of $1 runs" container_runs "$cgroup"
    container_is "$1" '{"running": {"startedAt": "2026-01-01T00:00:00Z"}}'
}
container_runs() { # CGROUP
    in_node node-1 sh -c "[ \"\$(cat /proc/\$(cat $1/cgroup.procs)/comm)\" = sleep ]"
}
container_label_is() { # POD LABEL
    [ "$(in_node node-1 sh -c "cat /proc/\$(cat $(container_cgroup "$1")/cgroup.procs)/attr/current")" = "$2" ]
}
container_ends() { # POD
    local cgroup
    cgroup=$(container_cgroup "$1")
    in_node node-1 sh -c "kill \$(cat $cgroup/cgroup.procs)"
    container_is "$1" '{"terminated": {"exitCode": 0}}'
}
delete_pod() { k delete pod "$1" --ignore-not-found --wait=true >/dev/null; }

status_has() { # JQ-FILTER
    k get aan node-1 -o json | jq -e ".status | $1" >/dev/null
}
# container_does POD PROFILE SCRIPT: one more process in the container of a pod, as `kubectl exec` begins it.
container_does() {
    tests/vm/vm exec node-1 -- sh -c 'mkdir -p "$0" && echo $$ >"$0/cgroup.procs" && exec "$@"' \
        "$(container_cgroup "$1")" aa-exec -p "$2" -- sh -c "$3" >/dev/null 2>&1 &
}
