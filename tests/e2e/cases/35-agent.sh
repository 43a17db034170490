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
    eventually 90 'all are gone from the status' node_is_empty node-1
    in_node node-1 sh -c "! grep -q e2e-bulk $KERNEL_POLICY/profiles" || fail 'the kernel has some left'
    in_node node-1 sh -c '! ls /etc/apparmor.d/apparmor.io.*.profile 2>/dev/null' || fail 'files are left'
    expect_equal 'labels left' '' "$(k get node node-1 -o json | jq -r '.metadata.labels | keys[]' | grep e2e-bulk)"
}

# The label of a profile that is leaving must not come back, not even for the moment in which a new agent
# finds out that it is leaving.
test_a_restart_while_a_profile_drains_sets_no_label() {
    apply_profile e2e-leaving <<<'profile e2e-leaving { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-leaving
    confined_shell node-1 e2e-leaving
    k delete aap e2e-leaving --wait=false
    eventually 20 'the node says why it stays' node_entry_reason_is node-1 e2e-leaving InUse
    no_label node-1 profile-e2e-leaving || fail 'labelled while it drains'
    local writes labels
    agent_stop node-1
    writes=$(agent_writes node-1)
    labels=$(agent_writes node-1 nodes)
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    eventually 20 'the node still says why it stays' node_entry_reason_is node-1 e2e-leaving InUse
    # Who is in the way may be told anew; where looking takes long, after that it is looked for.
    writes=$(($(agent_writes node-1) - writes))
    [ "$writes" -le 2 ] || fail "$writes API writes of the restart"
    expect_equal 'label writes of the restart' "$labels" "$(agent_writes node-1 nodes)"
    no_label node-1 profile-e2e-leaving || fail 'labelled while it drains'
    expect_equal 'reason' InUse "$(node_entry node-1 e2e-leaving .reason)"
    in_kernel node-1 e2e-leaving || fail 'removed under a running process'
    end_shell
    eventually 30 'removed after the last process' not_in_kernel node-1 e2e-leaving
}

test_a_profile_that_an_object_drops_is_handed_to_the_one_that_waits_for_it() {
    apply_profile e2e-first <<<'profile e2e-x { file, } profile e2e-y { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-first
    confined_shell node-1 e2e-y
    apply_profile e2e-second <<<'profile e2e-y { file, } profile e2e-z { file, }'
    eventually 20 'the second waits' node_entry_reason_is node-1 e2e-second NameConflict
    not_in_kernel node-1 e2e-z || fail 'a part of what has a conflict was loaded'
    apply_profile e2e-first <<<'profile e2e-x { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-first aap/e2e-second
    in_kernel node-1 e2e-z || fail 'e2e-z is not in the kernel'
    expect_match 'the process is still confined' '^e2e-y \(enforce\)' \
        "$(in_node node-1 cat "/proc/$SHELL_GUEST_PID/attr/current")"
    end_shell
    # Neither has anything left to do: a new agent compiles nothing.
    agent_stop node-1
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    expect_equal 'compiles of the restart' 0 "$(agent_metric node-1 apparmor_compiles_total)"
    k delete aap e2e-second --wait=false
    eventually 30 'what it took over goes with it' not_in_kernel node-1 e2e-y
    in_kernel node-1 e2e-x || fail 'the profile of the first went, too'
}

test_a_name_that_nobody_declares_any_more_is_free_at_once() {
    apply_profile e2e-holder <<<'profile e2e-a { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-holder
    # Older, refused for e2e-a, and by its claim in the way of the next.
    apply_profile e2e-claims <<<'profile e2e-a { file, } profile e2e-b { file, }'
    eventually 20 'it waits' node_entry_reason_is node-1 e2e-claims NameConflict
    # Creation times have seconds.
    local created
    created=$(k get aap e2e-claims -o jsonpath='{.metadata.creationTimestamp}')
    until [[ $(date -u +%FT%TZ) > $created ]]; do sleep 0.1; done
    apply_profile e2e-waits <<<'profile e2e-b { file, }'
    eventually 20 'it waits, too' node_entry_reason_is node-1 e2e-waits NameConflict
    apply_profile e2e-claims <<<'profile e2e-a { file, } profile e2e-c { file, }'
    eventually 20 'its name is free' node_entry_is node-1 e2e-waits Loaded
}

test_a_child_that_an_update_drops_stays_while_it_is_used() {
    apply_profile e2e-parent <<'P'
profile e2e-parent { file, change_profile -> e2e-parent//kid, profile kid { file, } profile other { file, } }
P
    k wait --for=condition=Ready --timeout=60s aap/e2e-parent
    confined_shell node-1 e2e-parent//kid
    apply_profile e2e-parent <<<'profile e2e-parent { file, }'
    k wait --for=jsonpath='{.status.observedGeneration}'=2 --timeout=60s aap/e2e-parent
    k wait --for=condition=Ready --timeout=60s aap/e2e-parent
    in_kernel node-1 e2e-parent//kid || fail 'removed under a running process'
    expect_match 'the process is still confined' '^e2e-parent//kid \(enforce\)' \
        "$(in_node node-1 cat "/proc/$SHELL_GUEST_PID/attr/current")"
    # A new agent knows of it, too.
    agent_kill node-1
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    in_kernel node-1 e2e-parent//kid || fail 'removed under a running process'
    end_shell
    eventually 30 'it goes after its last process' not_in_kernel node-1 e2e-parent//kid
    in_kernel node-1 e2e-parent || fail 'the parent went, too'
}

test_an_object_that_comes_back_under_its_name_while_the_old_one_drains_takes_over() {
    local uid
    apply_profile e2e-again <<<'profile e2e-again { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-again
    uid=$(k get aap e2e-again -o jsonpath='{.metadata.uid}')
    confined_shell node-1 e2e-again
    k delete aap e2e-again --wait=false
    eventually 20 'the node says Draining' node_entry_is node-1 e2e-again Draining
    # Its finalizer would keep it.
    k annotate aap e2e-again apparmor.io/force-delete=true
    eventually 20 'the object goes by force' no_profile e2e-again
    in_kernel node-1 e2e-again || fail 'force has removed it under a running process'
    apply_profile e2e-again <<<'profile e2e-again { file, deny /again w, }'
    [ "$uid" != "$(k get aap e2e-again -o jsonpath='{.metadata.uid}')" ] || fail 'it is the same object'
    k wait --for=condition=Ready --timeout=60s aap/e2e-again
    expect_equal 'the label is back' true "$(label node-1 profile-e2e-again)"
    shell_says 'touch /again 2>&1 || echo refused' refused
    end_shell
    in_kernel node-1 e2e-again || fail 'removed with the object that was'
}

test_a_node_that_is_selected_again_while_the_profile_drains_keeps_it() {
    k label node node-1 e2e/pool=web --overwrite
    k apply --server-side -f - <<'Y'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata: {name: e2e-reselected}
spec:
  nodeSelector: {matchLabels: {e2e/pool: web}}
  policy: "profile e2e-reselected { file, }"
Y
    k wait --for=condition=Ready --timeout=60s aap/e2e-reselected
    confined_shell node-1 e2e-reselected
    k label node node-1 e2e/pool-
    eventually 20 'the node says Draining' node_entry_is node-1 e2e-reselected Draining
    eventually 20 'the label goes' no_label node-1 profile-e2e-reselected
    k label node node-1 e2e/pool=web --overwrite
    eventually 20 'it stays' node_entry_is node-1 e2e-reselected Loaded
    eventually 20 'the label is back' label_is node-1 profile-e2e-reselected true
    end_shell
    k label node node-1 e2e/pool-
    eventually 30 'deselected' not_in_kernel node-1 e2e-reselected
}

# A chain of processes, each of which ends when it has begun the next: no look at /proc sees the same one twice.
test_delete_waits_for_processes_that_fork_on() {
    apply_profile e2e-chain <<<'profile e2e-chain { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-chain
    in_node node-1 sh -c 'echo "[ -e /tmp/chain-end ] || { usleep 1000; sh /tmp/chain & }" >/tmp/chain
        rm -f /tmp/chain-end; aa-exec -p e2e-chain -- sh /tmp/chain </dev/null >/dev/null 2>&1'
    k delete aap e2e-chain --wait=false
    eventually 20 'the entry says that it is used' node_entry_reason_is node-1 e2e-chain InUse
    # shellcheck disable=SC2016
    in_node node-1 sh -c 'end=$(($(cut -d. -f1 /proc/uptime) + 4))
        while [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ]; do
            grep -q "^e2e-chain (" /sys/kernel/security/apparmor/profiles || exit 1; done' || fail 'removed under them'
    in_node node-1 touch /tmp/chain-end
    eventually 30 'removed after the last' not_in_kernel node-1 e2e-chain
}

test_delete_waits_for_a_process_that_changes_hats_and_is_done_when_it_has_moved_on() {
    apply_profile e2e-here <<<'profile e2e-here { file, change_profile, ^hat { file, change_profile, } }'
    apply_profile e2e-there <<<'profile e2e-there { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-here aap/e2e-there
    confined_shell node-1 e2e-here
    shell_says 'echo "changehat 0000000000000007^hat" >/proc/self/attr/current; cat /proc/self/attr/current' \
        'e2e-here//hat (enforce)'
    k delete aap e2e-here --wait=false
    eventually 20 'the entry says who uses it' node_entry_reason_is node-1 e2e-here InUse
    expect_match 'the process' "process $SHELL_GUEST_PID" "$(node_entry node-1 e2e-here .message)"
    shell_says 'echo "changehat 0000000000000007^" >/proc/self/attr/current; cat /proc/self/attr/current' \
        'e2e-here (enforce)'
    # What it says at its next exec counts before it gets there.
    shell_says 'echo "exec e2e-there" >/proc/self/attr/exec && echo said' said
    in_kernel node-1 e2e-here || fail 'removed under a running process'
    echo 'exec sh' >&"$SHELL_IN"
    eventually 20 'it has moved on' in_node node-1 grep -q '^e2e-there (enforce)' "/proc/$SHELL_GUEST_PID/attr/current"
    eventually 30 'removed when it has moved on' not_in_kernel node-1 e2e-here
    in_kernel node-1 e2e-there || fail 'the other went, too'
    end_shell
}

# What a runtime's init is before it becomes the container's program: unconfined, with the profile in its attr/exec.
# delete_waits_for_init COMM
delete_waits_for_init() {
    apply_profile e2e-created <<<'profile e2e-created { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-created
    in_node node-1 cp /bin/busybox "/tmp/$1"
    shell_on node-1 sh -c "exec -a sh '/tmp/$1'"
    shell_says 'echo "exec e2e-created" >/proc/self/attr/exec && echo said' said
    k delete aap e2e-created --wait=false
    eventually 20 'the entry says who uses it' node_entry_reason_is node-1 e2e-created InUse
    expect_match 'the process' "process $SHELL_GUEST_PID" "$(node_entry node-1 e2e-created .message)"
    echo 'exec sh' >&"$SHELL_IN"
    eventually 20 'it is started' in_node node-1 grep -q '^e2e-created (enforce)' "/proc/$SHELL_GUEST_PID/attr/current"
    in_kernel node-1 e2e-created || fail 'removed before the container was started'
    end_shell
    eventually 30 'removed after its end' not_in_kernel node-1 e2e-created
}

test_delete_waits_for_a_container_that_was_created_and_not_started() {
    delete_waits_for_init 'runc:[2:INIT]'
}

test_delete_waits_for_a_container_that_crun_has_created_and_not_started() {
    delete_waits_for_init memfd:crun_clon
}

# The file is what keeps the host's tools from removing the profile, and brings it back at boot.
test_a_file_that_is_taken_away_or_changed_is_written_anew() {
    local file=/etc/apparmor.d/apparmor.io.e2e-file.profile digest revision
    apply_profile e2e-file <<<'profile e2e-file { file, deny /file w, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-file
    digest=$(in_node node-1 sha256sum "$file")
    in_node node-1 rm "$file"
    eventually 10 'it is back' in_node node-1 test -e "$file"
    expect_equal 'the file' "$digest" "$(in_node node-1 sha256sum "$file")"
    in_node node-1 sh -c "echo 'profile e2e-more { }' >>$file"
    # shellcheck disable=SC2016
    eventually 10 'as it was' in_node node-1 sh -c '[ "$(sha256sum '"$file"')" = "'"$digest"'" ]'
    expect_equal 'the label was never taken' true "$(label node-1 profile-e2e-file)"
}

# A pod without processes: its containers may start at any time.
test_delete_waits_for_a_pod_that_names_the_profile() {
    apply_profile e2e-pod <<<'profile e2e-pod { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-pod
    k apply -f - <<'Y'
apiVersion: v1
kind: Pod
metadata: {name: e2e-user, namespace: default}
spec:
  nodeName: node-1
  automountServiceAccountToken: false
  securityContext: {appArmorProfile: {type: Localhost, localhostProfile: e2e-pod}}
  containers: [{name: one, image: none}]
Y
    k delete aap e2e-pod --wait=false
    eventually 20 'the entry says who uses it' node_entry_reason_is node-1 e2e-pod InUse
    expect_match 'the pod' 'default/e2e-user' "$(node_entry node-1 e2e-pod .message)"
    eventually 20 'the other node has removed it' not_in_kernel node-2 e2e-pod
    in_kernel node-1 e2e-pod || fail 'removed though a pod names it'
    eventually 30 'the object says so, too' ready_message_has e2e-pod \
        'in use on 1 node: node-1: pod default/e2e-user names it'
    local from
    k delete pod e2e-user --force --grace-period=0
    from=$EPOCHREALTIME
    eventually 30 'it goes after the pod' not_in_kernel node-1 e2e-pod
    echo "it went $(bc_seconds "$from") s after the pod"
    eventually 20 'so does the object' no_profile e2e-pod
}

test_links_and_files_of_others_in_the_folder_are_left_alone() {
    local file=/etc/apparmor.d/apparmor.io.e2e-link.profile
    in_node node-1 sh -c "echo precious >/etc/precious && ln -s /etc/precious $file"
    apply_profile e2e-link <<<'profile e2e-link { file, }'
    eventually 20 'it says so' node_entry_reason_is node-1 e2e-link NotOwned
    expect_match 'the message names the file' "$file" "$(node_entry node-1 e2e-link .message)"
    expect_equal 'the file behind the link' precious "$(in_node node-1 cat /etc/precious)"
    not_in_kernel node-1 e2e-link || fail 'loaded without a record of it'
    k delete aap e2e-link --wait=false
    eventually 20 'the entry goes' no_node_entry node-1 e2e-link
    in_node node-1 test -L "$file" || fail 'the link was removed'
    in_node node-1 rm "$file" /etc/precious
}

# events_about OBJECT REASON: "count message" of the Events that the agent on node-1 has written about it.
events_about() {
    k get events -n default --field-selector "involvedObject.name=$1,reason=$2" -o json |
        jq -r '.items[] | select(.source.host == "node-1") | "\(.count // 1) \(.message)"'
}
has_event() { [ -n "$(events_about "$1" "$2")" ]; }

test_events_tell_what_only_the_node_knows() {
    apply_profile e2e-news <<<'profile e2e-news { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-news
    expect_equal "repairs so far" "" "$(events_about e2e-news Repaired)"
    in_node node-1 sh -c 'echo "profile e2e-news { }" | apparmor_parser -R'
    eventually 20 'the repair is told' has_event e2e-news Repaired
    expect_match 'the message' 'node-1: something else had changed or removed it' "$(events_about e2e-news Repaired)"
    confined_shell node-1 e2e-news
    k delete aap e2e-news --wait=false
    eventually 20 'who keeps it is told' has_event e2e-news InUse
    expect_match 'the message' "process $SHELL_GUEST_PID" "$(events_about e2e-news InUse)"
    end_shell
    eventually 30 'removed' not_in_kernel node-1 e2e-news
    expect_match 'once' '^1 ' "$(events_about e2e-news InUse)"
}
