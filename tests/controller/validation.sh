# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The controller compiles each revision itself, as the user and with the rights that its pod has. To be sourced by
# tests/controller/run.

policy() { # NAME TEXT [SPEC-JSON]
    jq -n --arg name "$1" --arg text "$2" --argjson more "${3:-{\}}" '{apiVersion: "apparmor.io/v1alpha1",
        kind: "AppArmorProfile", metadata: {$name}, spec: ({policy: $text} + $more)}' |
        as admin apply --server-side --force-conflicts -f - >/dev/null
}
condition() { # NAME TYPE: status/reason message
    as admin get aap "$1" -o json | jq -r --arg type "$2" '.status.conditions[]? | select(.type == $type) |
        "\(.status)/\(.reason) \(.message)"'
}
condition_is() { [ "$(condition "$1" "$2")" = "$3" ]; }
valid() { # NAME EXPECTED WHAT
    if eventually 10 condition_is "$1" Valid "$2"; then ok "$3"; else printf '    %s\n' "$(condition "$1" Valid)"; fi
}
compilations() { # REPLICA
    page "$1" /metrics | awk '/^apparmor_controller_compile_duration_seconds_count/ { sum += $2 } END { print sum + 0 }'
}
status_version() { as admin get aap "$1" -o jsonpath='{.metadata.resourceVersion}'; }

case_validation() {
    local before
    # No agent says anything here: it is the controller that has compiled.
    policy checked $'profile checked {\n  /a r,\n  /b bogus,\n}\n'
    valid checked "False/CompileError line 3: syntax error, unexpected TOK_ID, expecting TOK_MODE" \
        "a text that does not compile is refused before any node has tried"
    equal "no node has failed" 0 sh -c "'$KUBECTL' --kubeconfig='$DIR/admin.kubeconfig' get aap checked -o json |
        jq '.status.nodes.failed'"
    [[ $(condition checked Stalled) == "True/Invalid "*"line 3: "* ]] && ok "and stalls at once" ||
        not_ok "it stalls" "$(condition checked Stalled)"
    eventually 10 event_of checked Invalid && [[ $(event_of checked Invalid) == "Warning: "*"line 3: "* ]] &&
        ok "an Event tells so" || not_ok "an Event tells so" "$(event_of checked Invalid)"

    policy checked 'profile checked /usr/bin/checked { /a r, }'
    valid checked "False/HostAttachment $(printf 'profile "checked" attaches to paths and would confine the host%ss programs there: give it a name that is no path and no attachment, or set spec.allowHostAttachment to true' "'")" \
        "an attachment to the host's programs is refused, too"
    policy checked 'profile checked /usr/bin/checked { /a r, }' '{"allowHostAttachment": true}'
    valid checked "True/Compiled the policy compiles" "and accepted where that is allowed"
    eventually 10 event_of checked HostAttachment && ok "with a warning"
    equal "which the status keeps" HostAttachment as admin get aap checked -o jsonpath='{.status.warnings[*].reason}'

    eventually 5 quiet
    before=$(status_version checked)
    program_stop a
    program_start a
    eventually 10 leads a
    as admin annotate aap checked touched="$RANDOM" >/dev/null
    eventually 5 quiet
    equal "a restart compiles nothing" 0 compilations a
    equal "and the status stays" "Accepted" as admin get aap checked -o jsonpath='{.status.validation.result}'
    [ "$before" != "$(status_version checked)" ] || not_ok "the annotation was set" "$before"
    as admin delete aap checked --wait=false >/dev/null
    eventually 20 is_gone checked
}

# --- kernels --------------------------------------------------------------------------

kernel_text() { # KIND...: features with these
    local kind
    for kind in caps file "$@"; do printf '%s {mask {x\n}\n}\n' "$kind"; done
}
kernel_id() { kernel_text "$@" | sha256sum | cut -c1-32; }
# publish NODE ID KIND...: as the node's agent does
publish() {
    local node=$1 id=$2
    shift 2
    kernel_text "$@" | jq -Rs --arg name "apparmor-features-$id" '{apiVersion: "v1", kind: "ConfigMap", metadata: {$name,
        namespace: "apparmor-system", labels: {"apparmor.io/features": "true"}}, immutable: true, data: {features: .}}' |
        as "agent-$node" create --validate=false -f - >/dev/null
}
has_kernel() { # NODE ID
    report "$1" "$(enabled | jq -c --arg id "$2" '. + {featuresID: $id}')"
}
warnings() { as admin get aap "$1" -o json | jq -r '[.status.warnings[]?.message] | join(" | ")'; }
warnings_are() { [ "$(warnings "$1")" = "$2" ]; }
warned() { # NAME EXPECTED WHAT
    if eventually 10 warnings_are "$1" "$2"; then ok "$3"; else printf '    %s\n' "$(warnings "$1")"; fi
}
no_features() { fails as admin -n apparmor-system get configmap "apparmor-features-$1"; }

case_kernels() {
    local full bare
    full=$(kernel_id signal ptrace) bare=$(kernel_id ptrace)
    policy kernels $'profile kernels {\n  signal,\n  dbus,\n}\n'
    valid kernels "True/Compiled the policy compiles" "while no kernel is known, policy is compiled for a usual one"
    warned kernels "" "and nothing is said of kernels"
    publish node-1 "$full" signal ptrace
    has_kernel node-1 "$full"
    warned kernels "line 3: dbus rules are not enforced by the kernel of any node" "what no kernel enforces is told"
    publish node-2 "$bare" ptrace
    has_kernel node-2 "$bare"
    warned kernels "line 2: signal rules are not enforced on nodes with kernel features ${bare:0:8} | line 3: dbus rules are not enforced by the kernel of any node" \
        "and on which nodes a rule is not"
    if eventually 10 event_of kernels RuleNotEnforced; then ok "an Event tells, too"; fi
    policy kernels $'profile kernels {\n  deny /a r,\n}\n' '{"mode": "Complain"}'
    warned kernels 'line 2: an explicit deny rule is enforced in mode Complain, too, without a record: make it `audit deny` to see what it would deny' \
        "so is a deny rule in mode Complain"
    as admin delete aap kernels --wait=false >/dev/null

    nobody_has_any
}

# --- garbage ----------------------------------------------------------------------------

node_labels() { # NODE: the agents' labels
    as admin get node "$1" -o json | jq -r '[.metadata.labels | keys[] | select(startswith("apparmor.io/"))] | join(" ")'
}
labels_are() { [ "$(node_labels "$1")" = "$2" ]; }
report_is_gone() { [[ $(as admin get aan "$1" 2>&1) == *NotFound* ]]; }

case_garbage() {
    local node forged full
    forged=$(kernel_id dbus) full=$(kernel_id signal)
    for node in node-1 node-2 node-3; do agent_pod_is "$node" True; done
    as admin label node --overwrite node-1 node-2 node-3 apparmor.io/enabled=true apparmor.io/profile-web=true \
        apparmor.io/profile-db=true >/dev/null
    program_stop a
    PROGRAM_FLAGS=(--labels-lost-after=4)
    program_start a
    eventually 10 leads a
    publish node-1 "$full" signal
    publish node-1 "$forged" signal
    # Nobody owns it, so that Kubernetes' own collector leaves it alone.
    as admin create -f - >/dev/null <<'END'
{"apiVersion": "apparmor.io/v1alpha1", "kind": "AppArmorNode", "metadata": {"name": "never-there"}}
END
    as admin create -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "needs-web", "namespace": "default"}, "spec": {"nodeName": "node-3",
    "nodeSelector": {"apparmor.io/profile-web": "true"}, "containers": [{"name": "main", "image": "none"}]}}
END
    agent_pod_is node-3 False
    if eventually 20 labels_are node-3 apparmor.io/profile-web; then
        ok "a node whose agent is lost keeps only the labels that a pod there requires"
    fi
    equal "nodes with agents keep theirs" "apparmor.io/enabled apparmor.io/profile-db apparmor.io/profile-web" \
        node_labels node-1
    as admin delete pod needs-web --force --grace-period=0 >/dev/null 2>&1
    if eventually 20 labels_are node-3 ""; then ok "and the last when that pod has gone"; fi
    [[ $(as admin get events -A --field-selector involvedObject.name=node-3,reason=AppArmorAgentLost -o json) == *"removed labels"* ]] &&
        ok "Events on the Node tell of it" || not_ok "Events on the Node tell of it" "$(as admin get events -A | grep node-3)"
    if eventually 20 no_features "$forged"; then ok "kernel features that are not what their name says go"; fi
    fails no_features "$full" >/dev/null && ok "and others stay" || not_ok "others stay" "$full is gone"
    if eventually 20 report_is_gone never-there; then ok "an AppArmorNode without its Node goes"; fi
    fails report_is_gone node-1 && ok "others stay" || not_ok "others stay" "node-1 is gone"

    agent_pod_is node-1 False
    agent_pod_is node-2 False
    if eventually 20 grep -q 'more than half of the nodes are without' "$LOG"; then ok "when most agents are lost, it says so"; fi
    equal "and takes nothing away" "apparmor.io/enabled apparmor.io/profile-db apparmor.io/profile-web" node_labels node-1
    as admin label node node-1 node-2 apparmor.io/enabled- apparmor.io/profile-web- apparmor.io/profile-db- >/dev/null
}
