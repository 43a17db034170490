# shellcheck shell=bash
# The controller compiles for the kernels that the nodes' agents tell of.

features_id() { k get aan "$1" -o jsonpath='{.status.featuresID}'; }
features_text() { k -n apparmor-system get configmap "apparmor-features-$1" -o jsonpath='{.data.features}'; }
warnings() { k get aap "$1" -o jsonpath='{range .status.warnings[*]}{.message}{"\n"}{end}'; }
has_warning() { warnings "$1" | grep -qF "$2"; }

test_agents_publish_what_their_kernel_can_do_once() {
    local id
    id=$(features_id node-1)
    expect_match 'the id of the features' '^[0-9a-f]{32}$' "$id"
    eventually 30 'their text is there' features_text "$id"
    expect_equal 'the text has that digest' "$id" "$(features_text "$id" | sha256sum | cut -c1-32)"
    expect_equal 'nodes of one kernel share it' "$id" "$(features_id node-2)"
    expect_equal 'there is one' 1 "$(k -n apparmor-system get configmap -l apparmor.io/features=true -o name | wc -l)"
}

test_rules_that_no_kernel_of_the_nodes_enforces_are_told() {
    # Debian's kernels have no mediation of D-Bus.
    apply_profile e2e-dbus <<'P'
profile e2e-dbus {
  file,
  dbus send,
}
P
    k wait --for=condition=Ready --timeout=60s aap/e2e-dbus
    eventually 30 'it is warned of' has_warning e2e-dbus 'line 3: dbus rules are not enforced by the kernel of any node'
}

test_a_bad_text_is_refused_before_any_node_has_compiled_it() {
    local node
    for node in node-1 node-2; do agent_stop "$node"; done
    apply_profile e2e-early <<'P'
profile e2e-early {
  file,
  /srv/** rw
  network,
}
P
    k wait --for=condition=Valid=false --timeout=30s aap/e2e-early
    expect_match 'Valid tells the line' '^line [34]: ' \
        "$(k get aap e2e-early -o jsonpath='{.status.conditions[?(@.type=="Valid")].message}')"
    expect_equal 'no node has said anything' '' "$(node_entry node-1 e2e-early .state)$(node_entry node-2 e2e-early .state)"
    expect_match 'an Event tells, too' 'line [34]: ' "$(k get events --field-selector involvedObject.name=e2e-early)"
    apply_profile e2e-early <<<'profile e2e-early { file, }'
    k wait --for=condition=Valid --timeout=30s aap/e2e-early
    for node in node-1 node-2; do agent_start "$node"; done
    k wait --for=condition=Ready --timeout=60s aap/e2e-early
}
