# shellcheck shell=bash
# Create, update, delete: what an administrator does all day.

test_create_loads_labels_and_reports_ready() {
    apply_profile deny-write <<<'profile deny-write flags=(attach_disconnected) { file, deny /** w, }'
    k wait --for=condition=Ready --timeout=60s aap/deny-write
    local node
    for node in node-1 node-2; do
        expect_equal "label on $node" true "$(label "$node" profile-deny-write)"
        in_kernel "$node" deny-write || fail "deny-write is not in the kernel of $node"
        expect_equal 'mode in the kernel' enforce "$(kernel_mode "$node" deny-write)"
    done
    expect_equal 'label on the node without AppArmor' '' "$(label node-3 profile-deny-write)"
    expect_equal 'LOADED column' 2/2 "$(k get aap deny-write -o jsonpath='{.status.nodes.summary}')"
    expect_equal 'profileNames' '["deny-write"]' "$(k get aap deny-write -o jsonpath='{.status.profileNames}')"
    expect_match 'kubectl get aap' 'deny-write +Enforce +2/2 +True' "$(k get aap deny-write --no-headers)"
    expect_match 'touch under the profile' 'Permission denied' \
        "$(in_node node-1 aa-exec -p deny-write -- touch /tmp/test 2>&1 || true)"
    in_node node-1 touch /tmp/test
}

test_one_object_may_declare_several_profiles_with_children_and_includes() {
    apply_profile several <<'P'
#include <tunables/global>
profile several-web flags=(attach_disconnected) {
  #include <abstractions/base>
  /srv/** r,
  profile helper { /bin/** rix, }
  ^worker { /srv/worker/** rw, }
}
profile several-db { include <abstractions/base> /var/lib/db/** rw, }
P
    k wait --for=condition=Ready --timeout=60s aap/several
    expect_equal 'profileNames' '["several-db","several-web"]' \
        "$(k get aap several -o json | jq -c '.status.profileNames | sort')"
    local name
    for name in several-web several-web//helper several-web//worker several-db; do
        in_kernel node-1 "$name" || fail "$name is not in the kernel"
    done
}

test_an_update_confines_a_running_process_anew() {
    apply_profile e2e-update <<<'profile e2e-update { file, capability, /tmp/** rw, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-update
    confined_shell node-1 e2e-update
    shell_says 'touch /tmp/before && echo done' done
    apply_profile e2e-update <<<'profile e2e-update { file, capability, deny /tmp/** w, }'
    k wait --for=jsonpath='{.status.observedGeneration}'=2 --timeout=60s aap/e2e-update
    k wait --for=condition=Ready --timeout=60s aap/e2e-update
    shell_says 'touch /tmp/after 2>&1 || echo refused' refused
    expect_match 'the process is still confined' '^e2e-update \(enforce\)' \
        "$(in_node node-1 cat "/proc/$SHELL_GUEST_PID/attr/current")"
    end_shell
}

test_delete_removes_label_then_kernel_entry_then_file() {
    apply_profile e2e-gone <<<'profile e2e-gone { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-gone
    in_node node-1 test -f /etc/apparmor.d/apparmor.io.e2e-gone.profile
    k delete aap e2e-gone --wait=false
    eventually 20 'the label goes' no_label node-1 profile-e2e-gone
    eventually 20 'the kernel entry goes' not_in_kernel node-1 e2e-gone
    eventually 20 'the file goes' in_node node-1 test ! -e /etc/apparmor.d/apparmor.io.e2e-gone.profile
    eventually 20 'the status entry goes' no_node_entry node-1 e2e-gone
    eventually 20 'the object goes' no_profile e2e-gone
}

test_delete_waits_for_the_last_process() {
    apply_profile e2e-busy <<<'profile e2e-busy { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-busy
    confined_shell node-1 e2e-busy
    k delete aap e2e-busy --wait=false
    eventually 20 'the label goes at once' no_label node-1 profile-e2e-busy
    eventually 20 'the node says Draining' node_entry_is node-1 e2e-busy Draining
    eventually 20 'the unused node has removed it' not_in_kernel node-2 e2e-busy
    in_kernel node-1 e2e-busy || fail 'removed under a running process'
    expect_match 'the process is still confined' '^e2e-busy \(enforce\)' \
        "$(in_node node-1 cat "/proc/$SHELL_GUEST_PID/attr/current")"
    expect_match 'the entry says who uses it' "$SHELL_GUEST_PID" "$(node_entry node-1 e2e-busy .message)"
    eventually 30 'so does the object' ready_message_has e2e-busy \
        "in use on 1 node: node-1: process $SHELL_GUEST_PID runs under it"
    expect_match 'kubectl get aap' 'e2e-busy .* False +Terminating' "$(k get aap e2e-busy --no-headers)"
    in_node node-1 sh -c 'ls -l /proc/$(pidof apparmor-agent)/fd | grep pidfd' || fail 'the agent polls for its end'
    local from
    end_shell
    from=$EPOCHREALTIME
    eventually 30 'removed after the last process' not_in_kernel node-1 e2e-busy
    echo "it went $(bc_seconds "$from") s after the last process"
    eventually 20 'the status entry goes' no_node_entry node-1 e2e-busy
    eventually 20 'the object goes' no_profile e2e-busy
}

event_tells() { # PROFILE REASON TEXT
    [[ $(k get events -n default --field-selector "involvedObject.kind=AppArmorProfile,involvedObject.name=$1,reason=$2" \
        -o jsonpath='{.items[*].message}') == *"$3"* ]]
}

test_a_renamed_object_hands_its_profile_over_without_a_gap() {
    apply_profile e2e-old <<<'profile e2e-shared { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-old
    confined_shell node-1 e2e-shared
    apply_profile e2e-new <<<'profile e2e-shared { file, }'
    eventually 20 'the newcomer waits' node_entry_is node-1 e2e-new Failed
    expect_equal 'reason' NameConflict "$(node_entry node-1 e2e-new .reason)"
    eventually 20 'the owner of the name is told, too' event_tells e2e-old NameConflict \
        'AppArmorProfile e2e-new declares a profile name of this one, too'
    k delete aap e2e-old --wait=false
    k wait --for=condition=Ready --timeout=60s aap/e2e-new
    in_kernel node-1 e2e-shared || fail 'the profile went away'
    expect_match 'the process is still confined' '^e2e-shared \(enforce\)' \
        "$(in_node node-1 cat "/proc/$SHELL_GUEST_PID/attr/current")"
    eventually 20 'the old entry goes' no_node_entry node-1 e2e-old
    eventually 20 'the old object goes, too' no_profile e2e-old
    end_shell
}

test_the_mode_of_the_spec_overrides_the_text() {
    apply_profile e2e-mode Complain <<<'profile e2e-mode { /nothing r, profile kid { /nothing r, } }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-mode
    expect_equal 'mode in the kernel' complain "$(kernel_mode node-1 e2e-mode)"
    expect_equal 'mode of the child' complain "$(kernel_mode node-1 e2e-mode//kid)"
    expect_equal 'MODE column' Complain "$(k get aap e2e-mode -o jsonpath='{.status.mode}')"
    k patch aap e2e-mode --type=merge -p '{"spec":{"mode":"Enforce"}}'
    eventually 30 'enforced' kernel_mode_is node-1 e2e-mode enforce
    eventually 30 'MODE column' jsonpath_is aap/e2e-mode '{.status.mode}' Enforce
}

test_a_node_selector_selects_and_a_changed_label_deselects() {
    k label node node-1 e2e/pool=web --overwrite
    k apply --server-side -f - <<'Y'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata: {name: e2e-selected}
spec:
  nodeSelector: {matchLabels: {e2e/pool: web}}
  policy: "profile e2e-selected { file, }"
Y
    k wait --for=condition=Ready --timeout=60s aap/e2e-selected
    expect_equal 'LOADED column' 1/1 "$(k get aap e2e-selected -o jsonpath='{.status.nodes.summary}')"
    expect_equal 'label on the other node' '' "$(label node-2 profile-e2e-selected)"
    k label node node-1 e2e/pool-
    eventually 30 'deselected' not_in_kernel node-1 e2e-selected
    eventually 30 'reason' jsonpath_is aap/e2e-selected \
        '{.status.conditions[?(@.type=="Ready")].reason}' NoNodesSelected
}
