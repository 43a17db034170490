# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A profile in mode Complain is told to be ready for Enforce when nodes have been quiet for a while. What agents would
# report is played. To be sourced by tests/controller/run.

learner_report() { # VIOLATIONS-JSON: of node-1; node-2 is quiet
    local entry
    entry=$(jq -nc --arg revision "$(as admin get aap learner -o jsonpath='{.status.revision}')" --arg now "$NOW" '{name: "learner",
        generation: 1, $revision, state: "Loaded", mode: "Complain", profileNames: ["learner"], lastTransitionTime: $now}')
    report node-1 "{\"apparmor\": \"Enabled\", \"audit\": {\"source\": \"Netlink\"}, \"profiles\": [$entry], \"violations\": $1}"
    report node-2 "{\"apparmor\": \"Enabled\", \"audit\": {\"source\": \"Netlink\"}, \"profiles\": [$entry], \"violations\": []}"
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
    report node-1 "$(enabled "$(loaded 4)")"
    report node-2 "$(enabled "$(loaded 4)")"
}
learner_has_revision() { [ -n "$(as admin get aap learner -o jsonpath='{.status.revision}')" ]; }
