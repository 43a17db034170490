# shellcheck shell=bash
# An agent whose network namespace is not the one that the kernel gives audit records to.

test_an_agent_without_the_nodes_network_says_that_it_hears_nothing() {
    local overlay=$CLUSTER_DIR/overlay-silent
    agent_overlay "$overlay"
    mkdir -p "$overlay/manifests"
    profile_manifest silence <<<'profile silence { file, }' >"$overlay/manifests/silence.json"
    vm up silent --overlay "$overlay"
    vm exec silent --timeout 60 -- sh -c 'unshare -n apparmor-agent --manifests=/manifests --log-format=json 2>/tmp/log &
        until grep -q AuditSilent /tmp/log; do sleep 0.2; done' || fail 'it does not say so'
    # In the node's own, the same load is heard of.
    vm exec silent --timeout 60 -- sh -c 'kill $(pidof apparmor-agent); apparmor-agent --manifests=/manifests \
        --log-format=json --listen=127.0.0.1:9781 2>/tmp/log & sleep 1
        sed -i "s/file,/file, signal,/" /manifests/silence.json
        until wget -q -O - http://127.0.0.1:9781/metrics 2>/dev/null | grep -q "^apparmor_audit_records_total [1-9]"; do sleep 0.2; done
        sleep 4; ! grep AuditSilent /tmp/log' || fail 'it hears nothing there'
    vm down silent
}
