# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A text goes to the nodes step by step. Agents are played as they choose themselves: by the hash of their name and the
# revision, and what is published in the object's metadata. To be sourced by tests/controller/run.

PACED_NODES=(node-1 node-2 node-3)

# One step and its pause, in seconds.
pace() { printf '{"strategy": "Progressive", "steps": [{"percent": 30, "pauseSeconds": %s}]}' "$1"; }
# paced TEXT [ROLLOUT-JSON]
paced() {
    jq -n --arg text "$1" --argjson rollout "${2:-$(pace 3600)}" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile",
        metadata: {name: "paced"}, spec: {policy: $text, $rollout}}' |
        as admin apply --server-side --force-conflicts -f - >/dev/null
}
paced_json() { as admin get aap paced -o json | jq -r "$1"; }
published() { paced_json '.metadata.annotations["apparmor.io/rollout"] // "{}"' | jq -r "${1:-.}"; }
published_is() { [ "$(published "$1")" = "$2" ]; }
rollout_is() { [ "$(paced_json '.status.rollout | "\(.state) \(.percent) \(.updated)"')" = "$1" ]; } # "STATE PERCENT UPDATED"
# What sha256 says of text and mode, as the revision does.
revision_of() { printf '\n%s' "$1" | sha256sum | cut -c1-32; }
hash_of() { printf '%s\n%s' "$1" "$2" | sha256sum | cut -c1-16; } # NODE REVISION
is_chosen() { # NODE
    local threshold
    threshold=$(published .threshold)
    [[ ! "$(hash_of "$1" "$(published .revision)")" > "$threshold" ]]
}
chosen_nodes() {
    local node
    for node in "${PACED_NODES[@]}"; do
        if is_chosen "$node"; then echo "$node"; fi
    done
}
# paced_entry REVISION STATE
paced_entry() {
    jq -nc --arg revision "$1" --arg state "$2" --argjson generation "$(paced_json .metadata.generation)" --arg now "$NOW" \
        '{name: "paced", $generation, $revision, $state, mode: "Enforce", profileNames: ["paced"],
        lastTransitionTime: $now} + if $state == "Failed" then {reason: "LoadFailed", message: "played"} else {} end'
}
# obey BEFORE [STATE]: chosen nodes come to the state with the new revision, the others say that they keep that.
obey() {
    local node revision
    revision=$(published .revision)
    for node in "${PACED_NODES[@]}"; do
        if is_chosen "$node"; then
            report "$node" "$(enabled "$(paced_entry "$revision" "${2:-Loaded}")")"
        else
            report "$node" "$(enabled "$(paced_entry "$1" Loaded)")"
        fi
    done
}
annotation_writes() {
    jq -r 'select(.user.username == "system:serviceaccount:apparmor-system:apparmor-controller" and .verb == "patch") |
        select(.objectRef | .resource == "apparmorprofiles" and .name == "paced" and .subresource == null) |
        select(.responseStatus.code == 200) | .verb' "$DIR/audit.log" | wc -l
}
kept() { # JQ-EXPRESSION: of the ControllerRevisions
    as admin -n apparmor-system get controllerrevisions -l apparmor.io/profile=paced -o json |
        jq -r "[.items | sort_by(.revision)[] | $1] | join(\" \")"
}
kept_is() { [ "$(kept "$1")" = "$2" ]; }
paced_event() { # REASON
    as admin get events -n default --field-selector "involvedObject.name=paced,reason=$1" -o json |
        jq -er '[.items[] | "\(.type): \(.message)"] | last // error("none")'
}

case_rollout() {
    local one='profile paced { /one r, }' two='profile paced { /two r, }' three='profile paced { /three r, }' before node
    local r1 r2 r3
    r1=$(revision_of "$one") r2=$(revision_of "$two") r3=$(revision_of "$three")
    rollout_first "$one" "$r1"
    rollout_steps "$r1" "$two" "$r2"
    rollout_halts "$r2" "$three" "$r3"
    rollout_rolls_back "$two" "$r2" "$r3"
    rollout_halts_on_denials "$r2" 'profile paced { /four r, }'
    rollout_rolls_back_again "$two" "$r2"
    rollout_ends "$two"
}

rollout_first() { # TEXT REVISION
    paced "$1"
    eventually 10 published_is .previous "$2"
    obey "$2"
    if eventually 10 rollout_is "Complete 100 3"; then
        ok "a first text goes to all nodes at once"
    fi
    if eventually 10 kept_is '.metadata.labels["apparmor.io/revision"]' "$2"; then
        equal "its text is kept" "profile paced { /one r, }" kept .data.spec.policy
    fi
    equal "in the name of the object" "$(paced_json .metadata.uid) true" \
        kept '"\(.metadata.ownerReferences[0].uid) \(.metadata.ownerReferences[0].controller)"'
}

rollout_is_paused() { # true|null BEFORE
    as admin patch aap paced --type=merge -p "{\"spec\": {\"rollout\": {\"paused\": $1}}}" >/dev/null
    obey "$2"
}

rollout_steps() { # BEFORE TEXT REVISION
    local writes chosen
    writes=$(annotation_writes)
    paced "$2"
    eventually 10 published_is .revision "$3"
    equal "an edit goes to 30 % first" "30 $1" published '"\(.percent) \(.previous)"'
    mapfile -t chosen < <(chosen_nodes)
    equal "of three nodes that is one" 1 echo "${#chosen[@]}"
    obey "$1"
    if eventually 10 rollout_is "Pausing 30 1"; then
        ok "when that has loaded the text there is a pause"
    fi
    rollout_is_paused true "$1"
    if eventually 10 rollout_is "Paused 30 1"; then
        ok "it stays where it is while spec.rollout.paused says so"
    fi
    rollout_is_paused null "$1"
    eventually 10 rollout_is "Pausing 30 1"
    equal "Ready says how far it is" "False RolloutProgressing" \
        paced_json '.status.conditions[] | select(.type == "Ready") | "\(.status) \(.reason)"'
    equal "and so does kubectl get -o wide" "Pausing 30" \
        sh -c "'$KUBECTL' --kubeconfig='$DIR/admin.kubeconfig' get aap paced -o wide --no-headers | awk '{ print \$(NF - 2), \$(NF - 1) }'"
    if eventually 10 paced_event RolloutStep; then
        equal "an Event tells of the step" "Normal: revision $3 goes to 30 % of the nodes" paced_event RolloutStep
    fi
    program_stop a KILL
    program_start a
    equal "a controller that is killed in the pause leaves it as it is" "Pausing 30" \
        paced_json '.status.rollout | "\(.state) \(.percent)"'
    paced "$2" "$(pace 1)"
    obey "$1"
    if eventually 20 published_is .percent 100; then
        ok "when the pause is over, the next step comes"
    fi
    equal "an agent may read the text before" "profile paced { /one r, }" \
        as "agent-node-1" -n apparmor-system get controllerrevision "$(kept .metadata.name | cut -d' ' -f1)" -o jsonpath='{.data.spec.policy}'
    obey "$1"
    if eventually 10 rollout_is "Complete 100 3"; then
        equal "two steps, and that it is complete, are three writes" 3 echo $(($(annotation_writes) - writes))
    fi
    equal "then all is as ever" "True AllNodesLoaded" \
        paced_json '.status.conditions[] | select(.type == "Ready") | "\(.status) \(.reason)"'
}

rollout_halts() { # BEFORE TEXT REVISION
    paced "$2"
    eventually 10 published_is .revision "$3"
    obey "$1" Failed
    if eventually 10 rollout_is "Halted 30 0"; then
        ok "a node that fails halts it"
    fi
    equal "Ready says so" "False RolloutHalted" \
        paced_json '.status.conditions[] | select(.type == "Ready") | "\(.status) \(.reason)"'
    equal "and that it will not change by itself" "True RolloutHalted" \
        paced_json '.status.conditions[] | select(.type == "Stalled") | "\(.status) \(.reason)"'
    if eventually 10 paced_event RolloutHalted; then
        [[ $(paced_event RolloutHalted) == "Warning: rollout halted at 30 %, step 1 of 2: 1 of 1 chosen node failed"*": played" ]] &&
            ok "an Event warns" || not_ok "an Event warns" "$(paced_event RolloutHalted)"
    fi
    as admin annotate aap paced "apparmor.io/rollout-resume=$3" >/dev/null
    if eventually 20 rollout_is "Pausing 30 0"; then
        ok "annotated, it goes on"
    fi
}

# denials NODE COUNT [REVISION]: what the node refuses by the text that is rolled out, or another.
denials() {
    agent "$1" PATCH "/$1/status" merge-patch+json "$(jq -nc --arg revision "${3:-$(published .revision)}" --arg now "$NOW" \
        --argjson denied "$2" '{status: {violations: [{object: "paced", $revision, $denied, allowed: 0,
            firstTime: $now, lastTime: $now}]}}')"
}
denied_is() { # DENIED STATE
    as admin get aap paced -o json | jq -e --argjson denied "$1" --arg state "$2" '.status.rollout | .denied == $denied and .state == $state'
}
rollout_halts_on_denials() { # BEFORE TEXT
    local first node
    # What has been refused for ever.
    for node in "${PACED_NODES[@]}"; do denials "$node" 100 "$1"; done
    paced "$2" "$(pace 3600 | jq -c '. + {maxDenials: 3}')"
    eventually 10 published_is .revision "$(revision_of "$2")"
    obey "$1"
    eventually 10 rollout_is "Pausing 30 1"
    first=$(chosen_nodes)
    denials "$first" 3
    if eventually 10 denied_is 3 Pausing; then
        ok "denials are counted where that is asked for"
    fi
    equal "beside what the others had refused when the step began" '{"denied":0,"others":200}' paced_json '.status.rollout.baseline | tojson'
    for node in "${PACED_NODES[@]}"; do
        [ "$node" = "$first" ] || denials "$node" 105 "$1"
    done
    denials "$first" 8
    if eventually 10 denied_is 8 Pausing; then
        ok "what the others refuse, too, is no rise"
    fi
    denials "$first" 9
    if eventually 10 denied_is 9 Halted; then
        ok "and a rise halts it"
    fi
    equal "by more than is usual" 5 paced_json .status.rollout.usual
    for node in "${PACED_NODES[@]}"; do
        agent "$node" PATCH "/$node/status" merge-patch+json '{"status": {"violations": null}}'
    done
}

rollout_rolls_back() { # TEXT REVISION GIVEN-UP
    paced "$1"
    eventually 10 published_is .revision "$2"
    equal "the text before goes to all at once" "100 $2" published '"\(.percent) \(.previous)"'
    obey "$2"
    if eventually 10 rollout_is "Complete 100 3"; then
        ok "which rolls back"
    fi
    if eventually 10 kept_is '.metadata.labels["apparmor.io/revision"]' "$(revision_of 'profile paced { /one r, }') $3 $2"; then
        ok "and it is the newest text of the history again"
    fi
}

rollout_rolls_back_again() { # TEXT REVISION
    paced "$1"
    eventually 10 published_is .revision "$2"
    obey "$2"
    eventually 10 rollout_is "Complete 100 3"
}

rollout_ends() { # TEXT
    local i
    paced "$1" '{"strategy": "AllAtOnce"}'
    if eventually 10 published_is . '{}'; then
        ok "without a strategy nothing is published"
    fi
    obey_all
    if eventually 10 sh -c "'$KUBECTL' --kubeconfig='$DIR/admin.kubeconfig' get aap paced -o json | jq -e '.status.rollout == null'"; then
        ok "nor said of a rollout"
    fi
    for i in $(seq 10); do
        paced "profile paced { /$i r, }" '{"strategy": "AllAtOnce"}'
        eventually 10 kept_has "$i"
    done
    if eventually 20 kept_count_is 10; then
        ok "of all texts the last ten are kept"
    fi
    equal "the newest among them" "profile paced { /10 r, }" \
        sh -c "'$KUBECTL' --kubeconfig='$DIR/admin.kubeconfig' -n apparmor-system get controllerrevisions -l apparmor.io/profile=paced -o json |
            jq -r '.items | max_by(.revision).data.spec.policy'"
    report node-3 '{"apparmor": "Disabled", "reason": "AppArmorDisabled", "profiles": []}'
    report node-1 "$(enabled "$(loaded)")"
    report node-2 "$(enabled "$(loaded)")"
    as admin delete aap paced --wait=false >/dev/null
    goes 20 paced "the object goes"
    if eventually 20 kept_count_is 0; then
        ok "and its texts with it"
    fi
}
obey_all() {
    local node
    for node in "${PACED_NODES[@]}"; do
        report "$node" "$(enabled "$(paced_entry "$(revision_of 'profile paced { /two r, }')" Loaded)")"
    done
}
kept_has() { [[ " $(kept '.data.spec.policy | gsub(" "; "_")') " == *"/$1_r"* ]]; }
kept_count_is() { [ "$(kept .metadata.name | wc -w)" = "$1" ]; }
