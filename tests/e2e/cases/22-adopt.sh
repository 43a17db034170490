# shellcheck shell=bash
# Profiles that a node has from elsewhere, in use: taken over without a moment unconfined, or left alone.

adoptable() { # NAME [FIELDS]: an object that adopts; policy text on standard input
    local none='{}'
    jq -Rs --arg name "$1" --argjson more "${2:-$none}" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile",
        metadata: {$name}, spec: ({policy: ., adopt: true} + $more)}' | k apply --server-side -f -
}
# Every label that the process is seen with from now on, one line for each change, to the end of the process.
watch_label() { # NODE PID
    in_node "$1" sh -c "while cat /proc/$2/attr/current 2>/dev/null; do :; done | uniq >/tmp/labels-$2" &
    LABEL_WATCHER=$!
    eventually 20 'the label is watched' in_node "$1" test -e "/tmp/labels-$2"
}
adopted_events() { k get events -n default -o json | jq -r --arg name "$1" '.items[] |
    select(.reason == "Adopted" and .involvedObject.name == $name) | "\(.type) \(.message)"'; }
adopted_events_tell() { [[ $(adopted_events "$1") == *"$2"* ]]; }

test_a_profile_in_use_is_adopted_without_a_moment_unconfined() {
    local before text='profile e2e-adopt { file, deny /tmp/e2e-old w, profile kid { file, } }'
    # As another loader: a file of the host's, loaded, with a process under it.
    in_node node-1 sh -c "echo '$text' >/etc/apparmor.d/e2e-loader && apparmor_parser -rK /etc/apparmor.d/e2e-loader"
    before=$(kernel_digest node-1 e2e-adopt)
    confined_shell node-1 e2e-adopt
    watch_label node-1 "$SHELL_GUEST_PID"

    apply_profile e2e-adopt <<<'profile e2e-adopt { file, deny /tmp/e2e-new w, }'
    eventually 30 'it is refused unless it adopts' node_entry_reason_is node-1 e2e-adopt NotOwned
    expect_match 'which it is told' 'spec.adopt: true' "$(node_entry node-1 e2e-adopt .message)"
    expect_equal 'and nothing has changed' "$before" "$(kernel_digest node-1 e2e-adopt)"

    k patch aap e2e-adopt --type=merge -p '{"spec": {"adopt": true}}'
    k wait --for=condition=Ready --timeout=60s aap/e2e-adopt
    label_is node-1 profile-e2e-adopt true || fail 'no label'
    [ "$(kernel_digest node-1 e2e-adopt)" != "$before" ] || fail 'the kernel has the policy of before'
    # The process has the new rules at once, and the old ones no more.
    shell_says 'true 2>/dev/null >/tmp/e2e-new && echo may || echo may not' 'may not'
    shell_says 'true 2>/dev/null >/tmp/e2e-old && echo may || echo may not' 'may'

    eventually 20 'the file is named' node_entry_reason_is node-1 e2e-adopt AlsoInFile
    expect_match 'with what is to be done' '/etc/apparmor.d/e2e-loader .*without unloading' \
        "$(node_entry node-1 e2e-adopt .message)"
    eventually 20 'an Event tells it' adopted_events_tell e2e-adopt 'Warning node-1: took over profile e2e-adopt'
    expect_equal 'the file is left alone' "$text" "$(in_node node-1 cat /etc/apparmor.d/e2e-loader)"
    eventually 30 'a child that the new policy lacks leaves' not_in_kernel node-1 e2e-adopt//kid

    # The other node had nothing of it.
    expect_equal 'the other node' 'Loaded null' "$(node_entry node-2 e2e-adopt '"\(.state) \(.reason)"')"
    # It stays ours over a restart, also with the file in place.
    agent_stop node-1
    agent_start node-1
    eventually 60 'the agent is ready' agent_ready node-1
    expect_equal 'and says the same' 'Loaded AlsoInFile' "$(node_entry node-1 e2e-adopt '"\(.state) \(.reason)"')"
    in_node node-1 rm /etc/apparmor.d/e2e-loader
    eventually 20 'without the file all is well' node_entry_reason_is node-1 e2e-adopt null

    k delete aap e2e-adopt --wait=false
    eventually 30 'deleted, it drains as any other' node_entry_is node-1 e2e-adopt Draining
    in_kernel node-1 e2e-adopt || fail 'removed under a running process'
    end_shell
    wait "$LABEL_WATCHER"
    expect_equal 'every label that the process ever had' 'e2e-adopt (enforce)' \
        "$(in_node node-1 cat "/tmp/labels-$SHELL_GUEST_PID")"
    eventually 30 'removed after the last process' not_in_kernel node-1 e2e-adopt
    eventually 20 'the object goes' no_profile e2e-adopt
}

test_a_process_that_starts_while_its_profile_is_adopted_is_confined() {
    local labels
    in_node node-1 sh -c 'echo "profile e2e-starts { file, }" | apparmor_parser -rK'
    in_node node-1 sh -c 'while [ ! -e /tmp/e2e-stop ]; do
        aa-exec -p e2e-starts -- cat /proc/self/attr/current || echo failed; done | sort -u >/tmp/e2e-started' &
    adoptable e2e-starts <<<'profile e2e-starts { file, deny /tmp/e2e-new w, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-starts
    in_node node-1 touch /tmp/e2e-stop
    wait $!
    labels=$(in_node node-1 cat /tmp/e2e-started)
    in_node node-1 rm /tmp/e2e-stop
    expect_equal 'labels of all that were started' 'e2e-starts (enforce)' "$labels"
    k delete aap e2e-starts --wait=true
    not_in_kernel node-1 e2e-starts || fail 'it stays'
}

test_what_is_the_runtimes_or_attaches_to_programs_is_never_adopted() {
    local name names=(docker-default crio-default-1.34.0 e2e-attached)
    local -A before
    in_node node-1 sh -c 'printf "%s\n" "profile docker-default { file, }" "profile crio-default-1.34.0 { file, }" \
        "profile e2e-attached /usr/bin/e2e-nothing { file, }" | apparmor_parser -rK'
    for name in "${names[@]}"; do
        before[$name]=$(kernel_digest node-1 "$name")
        adoptable "$name" <<<"profile $name { deny /** w, }"
    done
    for name in "${names[@]}"; do
        eventually 30 "$name is refused" node_entry_reason_is node-1 "$name" NotOwned
        expect_match "$name, and why" 'attaches to programs of the host or is a container runtime' \
            "$(node_entry node-1 "$name" .message)"
    done
    k delete aap --all
    for name in "${names[@]}"; do
        expect_equal "$name is as it was" "${before[$name]}" "$(kernel_digest node-1 "$name")"
    done
    in_node node-1 sh -c 'printf "profile %s { }\n" "$@" | apparmor_parser -R' - "${names[@]}"
}
