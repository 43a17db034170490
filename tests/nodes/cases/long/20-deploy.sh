# shellcheck shell=bash
# What deploy/ says about the operator's own pods, against what they do.

test_the_programs_take_no_more_memory_than_they_request() {
    k apply --server-side -f examples/profiles
    k wait --for=condition=Ready --timeout=300s aap --all
    local node program
    for program in apparmor-agent apparmor-controller; do
        for node in $(k -n "$SYSTEM" get pods -l "app.kubernetes.io/name=$program" -o json |
            jq -r '[.items[].spec.nodeName] | unique[]'); do
            expect_memory "$node" "$program"
        done
    done
}
# The largest working set of the program's pods on the node, in KiB, as its kubelet counts.
memory() { # NODE PROGRAM
    ask_kubelet_as_server "$1" /stats/summary | jq -e --arg program "$2" '[.pods[] |
        select(.podRef.name | startswith($program)) | .containers[].memory.workingSetBytes // empty] | max / 1024 | floor'
}
requested() { # PROGRAM: in KiB
    local text
    text=$(k -n "$SYSTEM" get pods -l "app.kubernetes.io/name=$1" \
        -o jsonpath='{.items[0].spec.containers[0].resources.requests.memory}')
    expect_match "request of $1" '^[0-9]+Mi$' "$text"
    echo $((${text%Mi} * 1024))
}
# The most that a container of the program has had, with what it ran beside itself.
peak() { # NODE PROGRAM
    in_node "$1" sh -c "for process in \$(pidof $2); do
        cat /sys/fs/cgroup\$(sed -n 's/^0:://p' /proc/\$process/cgroup)/memory.peak; done" |
        awk '$1 > most { most = $1 } END { print int(most / 1024) }'
}
expect_memory() { # NODE PROGRAM
    local request used
    request=$(requested "$2")
    eventually 300 "the kubelet of $1 has measured $2" memory "$1" "$2"
    used=$(memory "$1" "$2")
    echo "$2 on $1: $used KiB of $request that it requests, at its peak $(peak "$1" "$2")"
    ((used <= request)) || fail "$2 on $1 takes $used KiB and requests $request"
}

test_one_controller_at_a_time_is_evicted_and_its_successor_spreads() {
    local pods nodes
    mapfile -t pods < <(k -n "$SYSTEM" get pods -l app.kubernetes.io/name=apparmor-controller -o name)
    expect_equal 'controllers' 2 "${#pods[@]}"
    evict "${pods[0]##*/}"
    expect_match 'a second eviction' "violate the pod's disruption budget" "$(evict "${pods[1]##*/}" 2>&1 || true)"
    k -n "$SYSTEM" wait --for=delete --timeout=300s "${pods[0]}"
    eventually 300 'the controllers are ready' controllers_ready 2
    nodes=$(k -n "$SYSTEM" get pods -l app.kubernetes.io/name=apparmor-controller -o json |
        jq -r '[.items[] | select(.metadata.deletionTimestamp == null).spec.nodeName] | sort | join(" ")')
    expect_equal 'where they run' 'node-1 node-2' "$nodes"
}
evict() { # POD
    jq -n --arg name "$1" --arg namespace "$SYSTEM" '{apiVersion: "policy/v1", kind: "Eviction",
        metadata: {name: $name, namespace: $namespace}}' |
        k create --raw "/api/v1/namespaces/$SYSTEM/pods/$1/eviction" -f -
}

test_an_agent_that_hangs_is_started_again_and_unloads_nothing() {
    apply_profile nodes-hang <<<"${DENY_WRITE//deny-write/nodes-hang}"
    k wait --for=condition=Ready --timeout=300s aap/nodes-hang
    local before
    before=$(agent_container node-1)
    watch_nodes
    in_node node-1 killall -STOP apparmor-agent
    eventually 300 'the probe finds it' another_agent_container node-1 "$before"
    eventually 300 'the agents are ready' agents_ready 2
    expect_never_without profile-nodes-hang
    in_kernel node-1 nodes-hang || fail 'the profile is gone from the kernel'
}
