# shellcheck shell=bash
# The agent's own business: removals, hand-overs, restarts in the middle of things.

# wait_loaded NODE OBJECT...
wait_loaded() {
    local node=$1 object
    shift
    for object in "$@"; do
        eventually 60 "$object is loaded on $node" node_entry_is "$node" "$object" Loaded
    done
}

test_many_deletions_at_once_leave_nothing() {
    local i
    for i in $(seq 12); do
        profile_manifest "e2e-bulk-$i" <<<"profile e2e-bulk-$i { file, profile kid { file, } }"
    done | k apply --server-side -f - >/dev/null
    k wait --for=condition=Ready --timeout=90s aap --all >/dev/null
    k delete aap --all --wait=false >/dev/null
    eventually 30 'all are gone from the status' node_is_empty node-1
    in_node node-1 sh -c "! grep -q e2e-bulk $KERNEL_POLICY/profiles" || fail 'the kernel has some left'
    in_node node-1 sh -c '! ls /etc/apparmor.d/apparmor.io.* 2>/dev/null' || fail 'files are left'
    expect_equal 'labels left' '' "$(k get node node-1 -o json | jq -r '.metadata.labels | keys[]' | grep e2e-bulk)"
}
