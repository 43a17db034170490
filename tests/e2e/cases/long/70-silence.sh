# shellcheck shell=bash
# Agents that the kernel gives no audit records.

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

test_an_agent_without_the_right_to_records_reads_the_kernels_log() {
    local overlay=$CLUSTER_DIR/overlay-silent
    agent_overlay "$overlay"
    mkdir -p "$overlay/manifests" "$overlay/usr/bin"
    cp "$(command -v setpriv)" "$overlay/usr/bin/setpriv"
    profile_manifest silence <<<'profile silence { / r, /{bin,usr,lib,lib64}/** mrix, }' >"$overlay/manifests/silence.json"
    vm up silent --overlay "$overlay"
    # A profile of its own would want the capability, too.
    vm exec silent --timeout 60 -- sh -c '/usr/bin/setpriv --bounding-set=-audit_read --inh-caps=-audit_read \
        apparmor-agent --manifests=/manifests --log-format=json --self-confinement=off --listen=127.0.0.1:9781 2>/tmp/log &
        page() { wget -q -O /tmp/page http://127.0.0.1:9781/metrics 2>/dev/null; }
        until page && grep "^apparmor_audit_available 0.5$" /tmp/page; do sleep 0.2; done
        grep AuditNotPermitted /tmp/log && until grep -q "^silence " /sys/kernel/security/apparmor/profiles; do sleep 0.2; done
        ! aa-exec -p silence -- cat /etc/passwd || exit 1
        until page && grep "^apparmor_violations_total{profile=\"silence\",operation=\"open\"" /tmp/page; do sleep 0.2; done' ||
        fail 'it does not read the log'
    vm down silent
}
