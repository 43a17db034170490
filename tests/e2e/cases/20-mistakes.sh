# shellcheck shell=bash
# What is wrong with a profile is told clearly, and harms nothing else.

test_a_compile_error_names_the_line_and_keeps_the_last_good_revision() {
    apply_profile e2e-typo <<<'profile e2e-typo { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-typo
    apply_profile e2e-typo <<'P'
profile e2e-typo {
  file,
  /srv/** rw
  network,
}
P
    k wait --for=condition=Stalled --timeout=60s aap/e2e-typo
    expect_match 'failure message' 'line [34]: ' "$(k get aap e2e-typo -o jsonpath='{.status.failures[0].message}')"
    expect_equal 'reason' CompileError "$(node_entry node-1 e2e-typo .reason)"
    expect_equal 'Valid' False "$(condition e2e-typo Valid)"
    expect_equal 'Ready' False "$(condition e2e-typo Ready)"
    in_kernel node-1 e2e-typo || fail 'the last good revision was unloaded'
    expect_equal 'the label stays' true "$(label node-1 profile-e2e-typo)"
    apply_profile e2e-typo <<<'profile e2e-typo { file, network, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-typo
}

test_a_bad_profile_does_not_hold_up_a_good_one() {
    apply_profile e2e-bad <<<'profile e2e-bad { nonsense'
    apply_profile e2e-good <<<'profile e2e-good { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-good
    eventually 30 'the bad one is Failed' node_entry_is node-1 e2e-bad Failed
    expect_equal 'no label' '' "$(label node-1 profile-e2e-bad)"
}

test_a_profile_that_attaches_to_a_path_is_refused_without_the_switch() {
    apply_profile e2e-attach <<<'profile e2e-attach /usr/bin/e2e { file, }'
    eventually 30 'refused' node_entry_is node-1 e2e-attach Failed
    expect_equal 'reason' HostAttachment "$(node_entry node-1 e2e-attach .reason)"
    expect_match 'message names the switch' 'allowHostAttachment' "$(node_entry node-1 e2e-attach .message)"
    not_in_kernel node-1 e2e-attach || fail 'loaded all the same'
    k patch aap e2e-attach --type=merge -p '{"spec":{"allowHostAttachment":true}}'
    k wait --for=condition=Ready --timeout=60s aap/e2e-attach
}

test_includes_cannot_read_files_of_the_node() {
    in_node node-1 sh -c 'echo "profile e2e-secret-4711 {}" > /run/secret; chmod 644 /run/secret'
    local number=0 text
    for text in 'include "/run/secret"' '#include </run/secret>' 'include <abstractions/../../../run/secret>' \
        'abi "/run/secret",'; do
        number=$((number + 1))
        apply_profile "e2e-leak-$number" <<<"$text
profile e2e-leak-$number { file, }"
        eventually 30 "refused: $text" node_entry_is node-1 "e2e-leak-$number" Failed
    done
    not_in_kernel node-1 e2e-secret-4711 || fail 'the secret was loaded as a profile'
    expect_failure 'the secret shows up in a status' grep -q 4711 <(k get aap,aan -o yaml)
}

test_duplicate_names_in_one_policy_never_reach_the_kernel() {
    apply_profile e2e-twice <<'P'
profile e2e-twice { profile b { file, } }
profile e2e-twice//b { file, }
P
    eventually 30 'refused' node_entry_is node-1 e2e-twice Failed
    not_in_kernel node-1 e2e-twice || fail 'loaded'
    in_node node-1 true
}

test_a_profile_that_the_node_has_from_elsewhere_is_not_touched() {
    in_node node-1 sh -c 'echo "profile e2e-foreign { /foreign r, }" | apparmor_parser -rK'
    local before
    before=$(kernel_digest node-1 e2e-foreign)
    apply_profile e2e-foreign <<<'profile e2e-foreign { file, }'
    eventually 30 'refused' node_entry_is node-1 e2e-foreign Failed
    expect_equal 'reason' NotOwned "$(node_entry node-1 e2e-foreign .reason)"
    expect_equal 'the foreign profile is as it was' "$before" "$(kernel_digest node-1 e2e-foreign)"
    k delete aap e2e-foreign
    eventually 20 'the entry goes' no_node_entry node-1 e2e-foreign
    expect_equal 'the foreign profile is still as it was' "$before" "$(kernel_digest node-1 e2e-foreign)"
    in_node node-1 sh -c 'echo "profile e2e-foreign { }" | apparmor_parser -R'
}
