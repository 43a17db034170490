# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A deleted AppArmorProfile stays until every live node has unloaded it. What agents would report is played, and so
# are their pods' states, which a kubelet would write. To be sourced by tests/controller/run.

FINALIZER=apparmor.io/profile-protection
LOST_AFTER=6 # seconds

object() { # NAME [FINALIZER...]
    jq -n --arg name "$1" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {name: $name,
        finalizers: $ARGS.positional}, spec: {policy: "profile \($name) { /one r, }"}}' --args "${@:2}"
}
create_object() { object "$@" | as admin create -f - >/dev/null; }
entry() { # NAME STATE [REASON] [MESSAGE]
    jq -nc --arg name "$1" --arg state "$2" --arg reason "${3:-}" --arg message "${4:-}" --arg now "$NOW" '{$name,
        generation: 1, revision: "good", $state, mode: "Enforce", profileNames: [$name], lastTransitionTime: $now} +
        if $reason == "" then {} else {$reason, $message} end'
}
loaded_everywhere() { # NAME
    report node-1 "$(enabled "$(entry "$1" Loaded)")"
    report node-2 "$(enabled "$(entry "$1" Loaded)")"
}
nobody_has_any() {
    report node-1 "$(enabled)"
    report node-2 "$(enabled)"
}

finalizers() { as admin get aap "$1" -o json | jq -r '.metadata.finalizers // [] | join(" ")'; }
finalizers_are() { [ "$(finalizers "$1")" = "$2" ]; }
is_gone() { [[ $(as admin get aap "$1" 2>&1) == *NotFound* ]]; }
ready_of() { # NAME FIELD: of condition Ready
    as admin get aap "$1" -o json | jq -r --arg field "$2" '.status.conditions[]? | select(.type == "Ready")[$field]'
}
terminating() { # NAME MESSAGE
    [ "$(ready_of "$1" reason)" = Terminating ] && [[ "$(ready_of "$1" message)" == "$2"* ]]
}
event_of() { # NAME REASON
    as admin get events -n default --field-selector "involvedObject.name=$1,reason=$2" -o json |
        jq -er '[.items[] | "\(.type): \(.message)"] | first // error("none")'
}
# deleted NAME: is on its way; the controller knows, and says that it waits.
deleted() {
    as admin delete aap "$1" --wait=false >/dev/null
    eventually 20 terminating "$1" "being deleted" || return 1
}
goes() { # SECONDS NAME WHAT
    if eventually "$1" is_gone "$2"; then ok "$3"; fi
}
stays() { # NAME WHAT
    if is_gone "$1"; then not_ok "$2" "$1 is gone"; else ok "$2"; fi
}

# Of the shipped DaemonSet; no kubelet says that they are Ready.
agent_pod() { # NODE
    as admin -n apparmor-system get pod -l app.kubernetes.io/name=apparmor-agent \
        --field-selector "spec.nodeName=$1" -o json | jq -er 'first(.items[]).metadata.name'
}
agent_pod_is() { # NODE STATUS
    eventually 30 agent_pod "$1"
    as admin -n apparmor-system patch pod "$(agent_pod "$1")" --subresource=status --type=merge -p '{"status": {
        "phase": "Running", "conditions": [{"type": "Ready", "status": "'"$2"'",
            "lastTransitionTime": "'"$NOW"'"}]}}' >/dev/null
}

case_deletion() {
    local node
    for node in node-1 node-2 node-3; do
        agent_pod_is "$node" True
    done
    program_stop a
    PROGRAM_FLAGS=(--agent-lost-after=$LOST_AFTER)
    program_start a
    lost_nodes_are_not_waited_for
    as admin delete aap web --wait=false >/dev/null
    nobody_has_any
    goes 20 web "an object that no node has goes"
    eventually 10 metrics_gone && ok "and its metrics with it"
    deletion_waits
    deletion_of_a_node
    deletion_by_force
    deletion_at_once
    deletion_of_many
    deletion_with_lost_agents
    deletion_of_the_definition
}

lost_nodes_are_not_waited_for() {
    report node-3 '{"apparmor": "Disabled", "reason": "AppArmorDisabled", "profiles": []}'
    report node-1 "$(enabled "$(loaded)")"
    report node-2 "$(enabled)"
    comes_to "a node whose agent is there is waited for" 1/2 \
        "Ready=False/NodesPending Reconciling=True/NodesPending Valid=True/Compiled"
    agent_pod_is node-2 False
    if eventually $((LOST_AFTER + 20)) shows 1/1 "Ready=True/AllNodesLoaded Valid=True/Compiled" \
        "1 of 1 node loaded; 1 node without AppArmor is not counted; 1 node whose agent is lost is not counted"; then
        ok "one whose agent is lost does not block Ready"
    fi
    equal "the metric tells" 1 metric a 'apparmor_profile_nodes{profile="web",state="lost"}'
    agent_pod_is node-2 True
    comes_to "and is waited for when the agent is back" 1/2 \
        "Ready=False/NodesPending Reconciling=True/NodesPending Valid=True/Compiled"
    agent_pod_is node-1 False
    report node-2 "$(enabled "$(loaded)")"
    comes_to "what was loaded by an agent that is lost counts" 2/2 "Ready=True/AllNodesLoaded Valid=True/Compiled"
    agent_pod_is node-1 True
    as admin cordon node-1 >/dev/null
    report node-1 "$(enabled "$(failed LoadFailed why)")"
    comes_to "a cordoned node counts as ever" 1/2 "Ready=False/NodesFailed Stalled=True/NodesFailed Valid=True/Compiled"
    report node-1 "$(enabled "$(loaded)")"
    comes_to "and blocks nothing" 2/2 "Ready=True/AllNodesLoaded Valid=True/Compiled"
    as admin uncordon node-1 >/dev/null
}

HINT="; delete what uses it, or annotate the object with apparmor.io/force-delete=true: it goes at once then, and nodes keep what is in use until it is not"

deletion_waits() {
    create_object web example.com/other
    if eventually 10 finalizers_are web "example.com/other $FINALIZER"; then
        ok "a new object gets a finalizer, and keeps that of another"
    fi
    loaded_everywhere web
    as admin delete aap web --wait=false >/dev/null
    report node-1 "$(enabled "$(entry web Draining InUse "pod default/app names it")")"
    report node-2 "$(enabled)"
    if eventually 20 terminating web "being deleted; in use on 1 node: node-1: pod default/app names it$HINT"; then
        ok "a deleted one says which pod on which node still uses it, and what to do"
    fi
    equal "kubectl get aap says that it is terminating" Terminating \
        sh -c "'$KUBECTL' --kubeconfig='$DIR/admin.kubeconfig' get aap web --no-headers | awk '{ print \$(NF - 1) }'"
    if eventually 10 event_of web Terminating; then ok "so does an Event"; fi

    program_stop a KILL
    report node-1 "$(enabled "$(entry web Draining InUse "process 4711 runs under it")")"
    program_start a
    if eventually 40 terminating web "being deleted; in use on 1 node: node-1: process 4711 runs under it"; then
        ok "a controller that was killed goes on waiting"
    fi
    equal "with both finalizers" "example.com/other $FINALIZER" finalizers web
    report node-1 "$(enabled)"
    if eventually 20 finalizers_are web example.com/other; then
        ok "it lets go when the node has unloaded it, and leaves the other finalizer alone"
    fi
    if eventually 20 terminating web "being deleted; no live node has it to unload; finalizer example.com/other of another"; then
        ok "and says that another holds it"
    fi
    if eventually 10 event_of web Released; then
        equal "an Event tells" "Normal: no live node has it to unload any more" event_of web Released
    fi
    as admin patch aap web --type=merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    goes 10 web "it goes when nobody holds it any more"

    report node-1 "$(enabled "$(loaded 1 another)")"
    profile 'profile web { /three r, }'
    comes_to "a re-created object does not inherit what its predecessor loaded" 0/2 \
        "Ready=False/NodesPending Reconciling=True/NodesPending Valid=True/Compiled"
    as admin delete aap web --wait=false >/dev/null
    nobody_has_any
    goes 20 web "it goes, too"
}
metrics_gone() { ! page a /metrics | grep -q 'profile="web"'; }

deletion_of_a_node() {
    "$CONTROLPLANE" ctl --dir "$DIR" add-node node-5 >/dev/null
    agent_pod_is node-5 True
    create_object leaving
    eventually 10 finalizers_are leaving "$FINALIZER"
    nobody_has_any
    report node-5 "$(enabled "$(entry leaving Draining InUse "process 7 runs under it")")"
    deleted leaving
    stays leaving "a node that has it is waited for"
    "$CONTROLPLANE" ctl --dir "$DIR" delete-node node-5 >/dev/null
    goes 20 leaving "but not once the Node has left"
    as admin delete --ignore-not-found aan node-5 >/dev/null
}

deletion_by_force() {
    local name
    for name in forced foreseen; do
        create_object "$name"
        eventually 10 finalizers_are "$name" "$FINALIZER"
        report node-1 "$(enabled "$(entry "$name" Draining InUse "process 7 runs under it")")"
        if [ "$name" = forced ]; then
            deleted "$name"
            as admin annotate aap "$name" apparmor.io/force-delete=true >/dev/null
        else
            as admin annotate aap "$name" apparmor.io/force-delete=true >/dev/null
            as admin delete aap "$name" --wait=false >/dev/null
        fi
        goes 10 "$name" "annotated by force, an object goes at once ($name)"
        if eventually 10 event_of "$name" ForceDeleted; then
            equal "an Event tells what is left" \
                "Warning: deleted by force; still in use on 1 node: node-1: process 7 runs under it" \
                event_of "$name" ForceDeleted
        fi
    done
    nobody_has_any
}

deletion_at_once() {
    local i
    for i in 1 2 3 4 5; do
        create_object "brief-$i"
        as admin delete aap "brief-$i" --wait=false >/dev/null
    done
    for i in 1 2 3 4 5; do
        eventually 20 is_gone "brief-$i" || return
    done
    ok "objects that are deleted as soon as they are created go"
}

# many JQ-EXPRESSION: a list of it for 100 names, as $name.
many() { jq -nc "[range(100) | \"many-\(.)\" as \$name | $1]"; }
all_protected() { [ "$(as admin get aap -o json | jq '[.items[] | select(.metadata.finalizers == ["'"$FINALIZER"'"])] | length')" = 100 ]; }
all_gone() { [ "$(as admin get aap -o json | jq '.items | length')" = 0 ]; }
deletion_of_many() {
    local entries before count
    many '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {$name},
        spec: {policy: "profile \($name) {}"}}' | jq '{apiVersion: "v1", kind: "List", items: .}' |
        as admin create -f - >/dev/null
    eventually 30 all_protected
    entries=$(many '{$name, generation: 1, revision: "good", state: "Loaded", mode: "Enforce", profileNames: [$name],
        lastTransitionTime: "'$NOW'"}')
    report node-1 "{\"apparmor\": \"Enabled\", \"profiles\": $entries}"
    report node-2 "{\"apparmor\": \"Enabled\", \"profiles\": $entries}"
    eventually 30 quiet
    before=$(writes)
    as admin delete --raw /apis/apparmor.io/v1alpha1/apparmorprofiles >/dev/null
    nobody_has_any
    eventually 60 all_gone || return
    eventually 10 quiet
    count=$(($(writes) - before))
    if [ "$count" -le 200 ]; then
        ok "100 objects that are deleted together cost $count writes"
    else
        not_ok "100 objects that are deleted together cost 200 writes at most" "$count"
    fi
}

deletion_with_lost_agents() {
    local begin took
    create_object lost
    eventually 10 finalizers_are lost "$FINALIZER"
    report node-1 "$(enabled "$(entry lost Draining InUse "process 7 runs under it")")"
    report node-2 "$(enabled "$(entry lost Loaded)")"
    deleted lost
    report node-2 "$(enabled)"
    # Away for less than that is nothing.
    agent_pod_is node-1 False
    agent_pod_is node-1 True
    stays lost "an agent that is Ready is waited for"
    begin=$SECONDS
    agent_pod_is node-1 False
    goes $((LOST_AFTER + 20)) lost "one that has not been Ready for so long is not"
    took=$((SECONDS - begin))
    if [ "$took" -ge $((LOST_AFTER - 1)) ]; then
        ok "and not before ($took s)"
    else
        not_ok "not before $LOST_AFTER s" "$took s"
    fi
    if eventually 10 event_of lost Released; then
        equal "an Event names it" "Normal: no live node has it to unload any more; not waiting for lost agents, which unload it when they are back, on 1 node: node-1" \
            event_of lost Released
    fi
    agent_pod_is node-1 True
    nobody_has_any
}

definition_is_gone() { [[ $(as admin get crd apparmorprofiles.apparmor.io 2>&1) == *NotFound* ]]; }
serves_profiles() { as admin get --raw /apis/apparmor.io/v1alpha1/apparmorprofiles; }
deletion_of_the_definition() {
    create_object orphan
    eventually 10 finalizers_are orphan "$FINALIZER"
    loaded_everywhere orphan
    as admin delete crd apparmorprofiles.apparmor.io --wait=false >/dev/null
    # Agents see that the whole resource goes, and keep what they have.
    report node-1 "$(enabled "$(entry orphan Loaded Orphaned "its object is gone")")"
    if definition_is_gone; then
        not_ok "the definition stays while a node may yet unload" "it is gone"
    fi
    report node-2 "$(enabled "$(entry orphan Loaded Orphaned "its object is gone")")"
    if eventually 30 definition_is_gone; then
        ok "a removed definition goes, as nodes keep what they have"
    fi
    nobody_has_any
    as admin apply --server-side -f crds/apparmorprofiles.yaml >/dev/null
    eventually 30 serves_profiles
    # Back-off goes up to half a minute, and as much again by chance.
    eventually 70 ready a
    create_object again
    if eventually 70 finalizers_are again "$FINALIZER"; then
        ok "and when it is back, objects are protected again"
    fi
    as admin delete aap again --wait=false >/dev/null
    goes 20 again "and go"
}
