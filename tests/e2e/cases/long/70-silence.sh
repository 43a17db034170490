# shellcheck shell=bash
# An agent whose network namespace is not the one that the kernel gives audit records to.

test_an_agent_without_the_nodes_network_says_that_it_hears_nothing() {
    local overlay=$CLUSTER_DIR/overlay-silent
    agent_overlay "$overlay"
    mkdir -p "$overlay/manifests"
    profile_manifest silence <<<'profile silence { file, }' >"$overlay/manifests/silence.json"
    vm up silent --overlay "$overlay"
    vm exec silent --timeout 60 -- sh -c 'unshare -n apparmor-agent --manifests=/manifests --log-format=json 2>/tmp/log &
        until grep -q AuditSilent /tmp/log; do sleep 0.2; done; kill $(pidof apparmor-agent); wait' || fail 'it does not say so'
    # In the node's own, the same load is heard of; from then on it cannot be said any more.
    vm exec silent --timeout 60 -- sh -c 'apparmor-agent --manifests=/manifests --log-format=json --listen=127.0.0.1:9781 2>/tmp/log &
        sed "s/file,/file, signal,/" /manifests/silence.json >/tmp/next && mv /tmp/next /manifests/silence.json
        until wget -q -O /tmp/page http://127.0.0.1:9781/metrics 2>/dev/null && grep -q "^apparmor_audit_records_total [1-9]" /tmp/page
        do sleep 0.2; done; ! grep AuditSilent /tmp/log && grep "^apparmor_audit_available 1$" /tmp/page' || fail 'it hears nothing there'
    vm down silent
}
