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
    # The controller knows before the node does.
    k wait --for=condition=Stalled --timeout=60s aap/e2e-typo
    eventually 30 'the node has failed, too' status_lists_failure e2e-typo
    expect_match 'failure message' 'line [34]: ' "$(k get aap e2e-typo -o jsonpath='{.status.failures[0].message}')"
    expect_equal 'reason' CompileError "$(node_entry node-1 e2e-typo .reason)"
    expect_equal 'Valid' False "$(condition e2e-typo Valid)"
    expect_equal 'Ready' False "$(condition e2e-typo Ready)"
    in_kernel node-1 e2e-typo || fail 'the last good revision was unloaded'
    expect_equal 'the label stays' true "$(label node-1 profile-e2e-typo)"
    apply_profile e2e-typo <<<'profile e2e-typo { file, network, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-typo
}

status_lists_failure() { [ -n "$(k get aap "$1" -o jsonpath='{.status.failures[0].node}')" ]; }

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

# Nodes choose themselves which of them comes first; the test finds out by what is published.
rollout_profile() { # TEXT
    jq -n --arg text "$1" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {name: "e2e-slow"},
        spec: {policy: $text, rollout: {strategy: "Progressive", steps: [{percent: 50, pauseSeconds: 3600}]}}}' |
        k apply --server-side -f -
}
rollout_state_is() { jsonpath_is aap/e2e-slow '{.status.rollout.state}' "$1"; }
rollout_first_node() {
    local published node
    published=$(k get aap e2e-slow -o json | jq -r '.metadata.annotations["apparmor.io/rollout"]')
    for node in node-1 node-2; do
        [[ "$(printf '%s\n%s' "$node" "$(jq -r .revision <<<"$published")" | sha256sum | cut -c1-16)" \
            > "$(jq -r .threshold <<<"$published")" ]] || echo "$node"
    done
}
node_revision() { node_entry "$1" e2e-slow .revision; }
node_revision_is() { [ "$(node_revision "$1")" = "$2" ]; }

test_a_new_text_comes_to_one_node_first_and_halts_when_it_fails_there() {
    local first other one two writes compiles
    rollout_profile 'profile e2e-slow { file, deny /tmp/e2e-slow w, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-slow
    one=$(k get aap e2e-slow -o jsonpath='{.status.revision}')

    rollout_profile 'profile e2e-slow { file, deny /tmp/e2e-other w, }'
    eventually 60 'the first node is done' rollout_state_is Pausing
    two=$(k get aap e2e-slow -o jsonpath='{.status.revision}')
    first=$(rollout_first_node)
    case $first in
    node-1) other=node-2 ;;
    node-2) other=node-1 ;;
    *) fail "of two nodes one is the first: «$first»" ;;
    esac
    expect_equal 'the first has the new text' "$two" "$(node_revision "$first")"
    expect_equal 'the other the one before' "$one" "$(node_revision "$other")"
    expect_equal 'and says why' 'Loaded RolloutPending' "$(node_entry "$other" e2e-slow '"\(.state) \(.reason)"')"
    expect_equal 'the label is there' true "$(label "$other" profile-e2e-slow)"
    confined_shell "$other" e2e-slow
    shell_says 'echo x 2>/dev/null >/tmp/e2e-slow; echo $?' 1
    shell_says 'echo x 2>/dev/null >/tmp/e2e-other; echo $?' 0

    writes=$(agent_writes "$other")
    agent_stop "$other"
    agent_start "$other"
    eventually 30 'the agent is ready' agent_ready "$other"
    expect_equal 'API writes of a restart in the middle' "$writes" "$(agent_writes "$other")"
    compiles=$(agent_metric "$other" apparmor_compiles_total)
    expect_equal 'compiles of a restart in the middle' 0 "$compiles"
    expect_equal 'its text is the one before' "$one" "$(node_revision "$other")"

    # A node that comes new gets the text before, which it has never seen.
    agent_stop "$other"
    end_shell
    in_node "$other" sh -c "echo 'profile e2e-slow { }' | apparmor_parser -R; rm /etc/apparmor.d/apparmor.io.e2e-slow.profile"
    agent_start "$other"
    eventually 30 'it is loaded there' in_kernel "$other" e2e-slow
    eventually 30 'a new node has the text before' node_revision_is "$other" "$one"
    confined_shell "$other" e2e-slow
    shell_says 'echo x 2>/dev/null >/tmp/e2e-slow; echo $?' 1

    k annotate aap e2e-slow "apparmor.io/rollout-skip=$two"
    k wait --for=condition=Ready --timeout=60s aap/e2e-slow
    expect_equal 'skipped, it is everywhere' "$two" "$(node_revision "$other")"
    shell_says 'echo x 2>/dev/null >/tmp/e2e-slow; echo $?' 0
    end_shell

    for other in node-1 node-2; do
        in_node "$other" sh -c 'echo "profile e2e-of-others { file, }" | apparmor_parser -a'
    done
    rollout_profile 'profile e2e-slow { file, } profile e2e-of-others { file, }'
    eventually 60 'it halts' rollout_state_is Halted
    first=$(rollout_first_node)
    expect_equal 'one node has tried' 'Failed NotOwned' "$(node_entry "$first" e2e-slow '"\(.state) \(.reason)"')"
    expect_equal 'Ready says so' 'RolloutHalted' "$(k get aap e2e-slow -o json |
        jq -r '.status.conditions[] | select(.type == "Ready").reason')"
    for other in node-1 node-2; do
        expect_equal "what confines on $other" "$two" "$(node_revision "$other")"
        in_node "$other" sh -c 'echo "profile e2e-of-others { }" | apparmor_parser -R'
    done
    rollout_profile 'profile e2e-slow { file, deny /tmp/e2e-other w, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-slow
    expect_equal 'the text before is everywhere at once' 'Complete' "$(k get aap e2e-slow -o jsonpath='{.status.rollout.state}')"
}
