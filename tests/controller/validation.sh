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
