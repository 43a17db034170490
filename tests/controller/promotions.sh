# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A profile in mode Complain is told to be ready for Enforce when nodes have been quiet for a while. What agents would
# report is played. To be sourced by tests/controller/run.

# learner_report VIOLATIONS-JSON [PROCESSES PROCESSES]: of node-1; node-2 is quiet. Without numbers agents do not count.
learner_report() {
    local entry
    entry=$(jq -nc --arg revision "$(as admin get aap learner -o jsonpath='{.status.revision}')" --arg now "$NOW" '{name: "learner",
        generation: 1, $revision, state: "Loaded", mode: "Complain", profileNames: ["learner"], lastTransitionTime: $now}')
    learner_node_report node-1 "$(learner_entry "$entry" "${2:-null}")" "$1"
    learner_node_report node-2 "$(learner_entry "$entry" "${3:-null}")" '[]'
}
learner_entry() { jq -c --argjson processes "$2" 'if $processes == null then . else . + {$processes} end' <<<"$1"; }
learner_node_report() { # NODE ENTRY VIOLATIONS
    report "$1" "{\"apparmor\": \"Enabled\", \"audit\": {\"source\": \"Netlink\"}, \"profiles\": [$2], \"violations\": $3}"
}
promotable() {
    as admin get aap learner -o json | jq -r '.status.conditions[]? | select(.type == "Promotable") | "\(.status)/\(.reason)"'
}
promotable_is() { [ "$(promotable)" = "$1" ]; }
learner_event() {
    as admin get events -n default --field-selector involvedObject.name=learner,reason=Promotable -o json |
        jq -er '.items | first // error("none") | "\(.type): \(.message)"'
}

case_promotion() {
    local now
    report node-1 "$(enabled)"
    report node-2 "$(enabled)"
    report node-3 '{"apparmor": "Disabled", "reason": "AppArmorDisabled", "profiles": []}'
    program_stop a
    PROGRAM_FLAGS=(--promotable-after=2)
    program_start a
    jq -n '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {name: "learner"},
        spec: {policy: "profile learner { /one r, }", mode: "Complain"}}' | as admin create -f - >/dev/null
    eventually 20 learner_has_revision
    learner_report '[]'
    if eventually 20 promotable_is True/Quiet; then
        ok "a profile in mode Complain is promotable when nodes have been quiet for long enough"
    fi
    equal "on so many nodes" 2 as admin get aap learner -o jsonpath='{.status.promotion.nodes}'
    if eventually 10 learner_event; then
        [[ $(learner_event) == "Normal: no access beyond the policy since "*" on 2 nodes;"* ]] && ok "an Event tells" ||
            not_ok "an Event tells" "$(learner_event)"
    fi
    learner_is_used
    now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    learner_report "$(jq -nc --arg now "$now" --arg revision "$(as admin get aap learner -o jsonpath='{.status.revision}')" \
        '[{object: "learner", $revision, denied: 0, allowed: 1, firstTime: $now, lastTime: $now}]')"
    if eventually 20 promotable_is False/WouldBeDenied; then
        ok "and not once a node has let something through"
    fi
    nobody_has_any
    as admin delete aap learner --wait=false >/dev/null
    goes 20 learner "it goes"
    program_stop a
    PROGRAM_FLAGS=()
    program_start a
    report node-1 "$(enabled "$(loaded)")"
    report node-2 "$(enabled "$(loaded)")"
}
# How many processes ran under it is part of the evidence.
learner_is_used() {
    [[ $(promotable_message) == *"how many processes ran under it is not known"* ]] && ok "agents that do not count processes are no hindrance" ||
        not_ok "agents that do not count processes" "$(promotable_message)"
    learner_report '[]' 0 0
    if eventually 20 promotable_is False/NotUsed; then
        ok "but a profile under which none has been seen is not promotable"
    fi
    refused 'no process has been seen under it: run what it is for' "which promote says, too" plugin promote learner
    learner_report '[]' 20 50
    if eventually 20 promotable_is True/Quiet && eventually 20 learner_processes_are 50; then
        ok "the nodes' processes are added up, coarsely"
    fi
    equal "promote shows the evidence" "on 2 nodes; at least 50 processes ran under it" learner_evidence
    learner_report '[]' 20 1
    learner_settles
    if learner_processes_are 50; then ok "and what was seen stays seen"; else not_ok "what was seen stays seen" ""; fi
}
learner_processes_are() { [ "$(as admin get aap learner -o jsonpath='{.status.promotion.processes}')" = "$1" ]; }
promotable_message() { as admin get aap learner -o json | jq -r '.status.conditions[] | select(.type == "Promotable") | .message'; }
learner_evidence() { plugin promote learner 2>&1 | grep -oE 'on 2 nodes; at least [0-9]+ processes ran under it'; }
# The controller has seen all that was reported: a mark of a node's that is told after it shows in the status.
learner_settles() {
    learner_node_report node-3 "$(jq -nc --arg now "$NOW" '{name: "learner", generation: 1, state: "Failed", reason: "LoadFailed",
        message: "mark", lastTransitionTime: $now}')" '[]'
    eventually 20 learner_has_failures 1
    report node-3 '{"apparmor": "Disabled", "reason": "AppArmorDisabled", "profiles": []}'
    eventually 20 learner_has_failures 0
}
learner_has_failures() { [ "$(as admin get aap learner -o json | jq '.status.nodes.failed')" = "$1" ]; }
learner_has_revision() { [ -n "$(as admin get aap learner -o jsonpath='{.status.revision}')" ]; }
