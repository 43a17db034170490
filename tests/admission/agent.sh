# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What an agent's token may do: patch its own Node's labels, keep its own AppArmorNode, read what it needs.
# Everything else is refused, first with the rights that deploy/ gives, then, for the policies' sake, with
# all rights over Nodes and the project's API.

AGENT_LABELS='{"metadata":{"labels":{"apparmor.io/enabled":"true","apparmor.io/profile-probe":"true"}}}'

suite_agent() {
    # What the agents of node-1 and node-2 leave alone, for the tests to try to change.
    as admin label --overwrite node node-1 example.com/team=blue >/dev/null
    as admin annotate --overwrite node node-1 example.com/note=old >/dev/null
    agent_reads
    agent_own_node
    agent_own_object
    agent_events
    agent_without_rights
    agent_beyond_its_node
    agent_unbound_token
    agent_node_bound_token
    agent_with_excess_rights
    as admin label node node-1 example.com/team- apparmor.io/enabled- apparmor.io/profile-probe- >/dev/null
    as admin annotate node node-1 example.com/note- >/dev/null
}

agent_reads() {
    local resource
    for resource in nodes apparmorprofiles apparmornodes; do
        allowed "an agent lists $resource" as agent-node-1 get "$resource"
        allowed "an agent watches $resource" as agent-node-1 get --raw \
            "$(api_path "$resource")?watch=true&timeoutSeconds=1"
    done
    allowed 'an agent lists the pods of its node' \
        as agent-node-1 get pods -A --field-selector=spec.nodeName=node-1
    allowed 'an agent watches them' as agent-node-1 get --raw \
        '/api/v1/pods?watch=true&timeoutSeconds=1&fieldSelector=spec.nodeName%3Dnode-1'
    allowed 'an agent reads the definition of AppArmorProfile' as agent-node-1 get crd apparmorprofiles.apparmor.io
    refused "$(by_rbac get customresourcedefinitions)" 'an agent reads no other definition' \
        as agent-node-1 get crd apparmornodes.apparmor.io
    refused "$(by_rbac list customresourcedefinitions)" 'an agent does not list definitions' as agent-node-1 get crd
}
api_path() { # RESOURCE
    case $1 in
    nodes) echo /api/v1/nodes ;;
    *) echo "/apis/apparmor.io/v1alpha1/$1" ;;
    esac
}

agent_own_node() {
    local uid policy=agent-node.apparmor.io
    uid=$(as admin get node node-1 -o jsonpath='{.metadata.uid}')
    allowed 'an agent sets labels under apparmor.io/ on its Node' patch_node agent-node-1 node-1 "$AGENT_LABELS"
    equal 'the labels are there' 'true true' as admin get node node-1 \
        -o 'jsonpath={.metadata.labels.apparmor\.io/enabled} {.metadata.labels.apparmor\.io/profile-probe}'
    allowed 'an agent says that its node has no AppArmor' patch_node agent-node-1 node-1 \
        '{"metadata":{"labels":{"apparmor.io/enabled":"false"}}}'
    allowed 'an agent removes a profile label' patch_node agent-node-1 node-1 \
        '{"metadata":{"labels":{"apparmor.io/profile-probe":null}}}'
    allowed 'a patch that names the Node by uid is accepted' patch_node agent-node-1 node-1 \
        "{\"metadata\":{\"uid\":\"$uid\",\"labels\":{\"apparmor.io/enabled\":\"true\"}}}"
    refused 'the UID in the precondition|Precondition failed|uid mismatch|field is immutable' \
        'a patch for an earlier Node of that name is refused' patch_node agent-node-1 node-1 \
        '{"metadata":{"uid":"00000000-0000-0000-0000-000000000000","labels":{"apparmor.io/enabled":"true"}}}'

    # patch, and what the policy says to it
    while IFS='|' read -r what patch message; do
        refused "$(by_policy $policy "$message")" "on its own Node, an agent may not $what" \
            patch_node agent-node-1 node-1 "$patch"
        allowed "control: an administrator may $what" patch_node admin node-1 "$patch" --dry-run=server
    done <<'END'
add a foreign label|{"metadata":{"labels":{"example.com/new":"x"}}}|.*not example\.com/new
change a foreign label|{"metadata":{"labels":{"example.com/team":"red"}}}|.*not example\.com/team
remove a foreign label|{"metadata":{"labels":{"example.com/team":null}}}|.*not example\.com/team
add another label under apparmor.io/|{"metadata":{"labels":{"apparmor.io/other":"true"}}}|.*not apparmor\.io/other
set a profile label to false|{"metadata":{"labels":{"apparmor.io/profile-probe":"false"}}}|.*profile-\* to true only
set enabled to nonsense|{"metadata":{"labels":{"apparmor.io/enabled":"yes"}}}|.*to true or false
cordon the spec|{"spec":{"unschedulable":true}}|.*Node's spec
set taints in the spec|{"spec":{"taints":[{"key":"x","effect":"NoExecute"}]}}|.*Node's spec
add an annotation|{"metadata":{"annotations":{"example.com/new":"x"}}}|.*annotations
change an annotation|{"metadata":{"annotations":{"example.com/note":"new"}}}|.*annotations
remove an annotation|{"metadata":{"annotations":{"example.com/note":null}}}|.*annotations
add a finalizer|{"metadata":{"finalizers":["example.com/hold"]}}|.*finalizers
add an owner|{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-2","uid":"1"}]}}|.*ownerReferences
END
}

agent_node_manifest() { # NAME OWNER [OWNER-FIELDS]
    local uid
    uid=$(as admin get node "$2" -o jsonpath='{.metadata.uid}')
    manifest "aan-$1" <<END
apiVersion: apparmor.io/v1alpha1
kind: AppArmorNode
metadata:
  name: $1
  ownerReferences:
  - {apiVersion: v1, kind: Node, name: $2, uid: "$uid"${3:-}}
END
}

# write_status WHO NAME [FLAG...]: as agents write it, by a server-side apply of the subresource.
write_status() {
    local who=$1 name=$2
    shift 2
    as "$who" apply --server-side --force-conflicts --subresource=status "$@" -f "$(manifest status <<END
apiVersion: apparmor.io/v1alpha1
kind: AppArmorNode
metadata: {name: $name}
status:
  apparmor: Enabled
  loaded: 1
  profiles:
  - {name: probe, state: Loaded, generation: 1}
END
)"
}

agent_own_object() {
    local policy=agent-api.apparmor.io owned_by='.*owned only by the Node of its name'
    as admin delete apparmornode --all >/dev/null
    refused "$(by_policy $policy "$owned_by")" 'an agent may not name a foreign Node as owner' \
        as agent-node-1 create -f "$(agent_node_manifest node-1 node-2)"
    refused "$(by_policy $policy "$owned_by")" 'an agent may not name its Node as controlling owner' \
        as agent-node-1 create -f "$(agent_node_manifest node-1 node-1 ', controller: true')"
    refused "$(by_policy $policy "$owned_by")" 'an agent may not block the deletion of its Node' \
        as agent-node-1 create -f "$(agent_node_manifest node-1 node-1 ', blockOwnerDeletion: true')"
    refused "$(by_policy $policy '.*finalizers')" 'an agent may not set a finalizer on its AppArmorNode' \
        as agent-node-1 create -f "$(manifest aan-finalizer <<'END'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorNode
metadata: {name: node-1, finalizers: [example.com/hold]}
END
)"
    refused "$(by_policy $policy ".*bound to node node-1")" 'an agent may not create the AppArmorNode of another' \
        as agent-node-1 create -f "$(agent_node_manifest node-2 node-1)"
    refused "$(by_policy $policy ".*bound to node node-1")" 'an agent may not create an AppArmorNode of any name' \
        as agent-node-1 create -f "$(manifest aan-generated <<'END'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorNode
metadata: {generateName: node-}
END
)"

    allowed 'an agent creates its AppArmorNode, owned by its Node' \
        as agent-node-1 create -f "$(agent_node_manifest node-1 node-1)"
    allowed 'another agent creates its own' as agent-node-2 create -f "$(agent_node_manifest node-2 node-2)"
    allowed 'an agent applies the status of its AppArmorNode' write_status agent-node-1 node-1
    equal 'the status is there' 'Enabled 1 probe' as admin get apparmornode node-1 \
        -o 'jsonpath={.status.apparmor} {.status.loaded} {.status.profiles[*].name}'
    refused "$(by_policy $policy ".*bound to node node-2 and may not write AppArmorNode node-1")" \
        'an agent may not write the status of another AppArmorNode' write_status agent-node-2 node-1
    allowed 'control: an administrator may' write_status admin node-1 --dry-run=server
}

agent_event() { # NAME NAMESPACE NODE KIND [JQ-FILTER]
    jq -n --arg name "$1" --arg ns "$2" --arg node "$3" --arg kind "$4" '{apiVersion: "v1", kind: "Event",
        metadata: {name: $name, namespace: $ns}, involvedObject: {apiVersion: "v1", kind: $kind, name: "probe"},
        type: "Warning", reason: "Probe", message: "probe", source: {component: "apparmor-agent", host: $node},
        reportingComponent: "apparmor-agent", reportingInstance: $node}
        | if $kind == "Pod" then .involvedObject.namespace = $ns else . end' | jq "${5:-.}"
}
record_event() { # WHO NAME NAMESPACE NODE KIND [JQ-FILTER]
    as "$1" create --validate=false -f "$(agent_event "${@:2}" | manifest event)"
}
# `kubectl patch` would read it first, which agents may not.
patch_event() { # WHO NAMESPACE NAME [MERGE-PATCH]
    curl -sS --max-time 20 --cacert <(as admin config view --raw --minify \
        -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d) -X PATCH -d "${4:-{\"count\": 2\}}" \
        -H 'Content-Type: application/merge-patch+json' --fail-with-body \
        -H "Authorization: Bearer $(as "$1" config view --raw --minify -o jsonpath='{.users[0].user.token}')" \
        "$(as admin config view --minify -o jsonpath='{.clusters[0].cluster.server}')/api/v1/namespaces/$2/events/$3"
}

# About pods of any namespace, and about AppArmorProfiles, which have none: theirs is default.
agent_events() {
    local policy=agent-events.apparmor.io bound='.*record Events only as apparmor-agent of that node'
    allowed 'an agent records an Event about an AppArmorProfile' \
        record_event agent-node-1 probe.1 default node-1 AppArmorProfile
    allowed 'an agent records an Event about a pod' record_event agent-node-1 probe.2 kube-system node-1 Pod
    allowed 'an agent raises the count of its Event' patch_event agent-node-1 kube-system probe.2
    allowed "control: another node's agent records Events, too" record_event agent-node-2 probe.3 default node-2 Pod
    refused "$(by_policy $policy "$bound")" "an agent may not change another agent's Event" \
        patch_event agent-node-1 default probe.3
    refused "$(by_policy $policy 'an agent may not change an Event of somebody else')" 'nor make it its own' \
        patch_event agent-node-1 default probe.3 '{"source": {"host": "node-1"}, "reportingInstance": "node-1"}'
    refused "$(by_policy $policy "$bound")" 'an agent may not speak for another node' \
        record_event agent-node-1 probe.4 default node-2 Pod
    refused "$(by_policy $policy "$bound")" 'nor for no node' record_event agent-node-1 probe.4 default '' Pod
    refused "$(by_policy $policy "$bound")" 'nor for another program' \
        record_event agent-node-1 probe.4 default node-1 Pod '.source.component = "kubelet"'
    refused "$(by_policy $policy "$bound")" 'nor for another reporter' \
        record_event agent-node-1 probe.4 default node-1 Pod '.reportingComponent = "kubelet"'
    refused "$(by_policy $policy 'an agent may not record Events about a Secret')" \
        'an agent may not record Events about anything' record_event agent-node-1 probe.4 default node-1 Secret
    allowed 'control: somebody else may' record_event admin probe.4 default '' Secret '.source.component = "kubelet"'
    refused "$(by_policy $policy 'an agent may not change an Event of somebody else')" \
        "an agent may not make another program's Event its own" patch_event agent-node-1 default probe.4 \
        '{"source": {"component": "apparmor-agent", "host": "node-1"}, "reportingInstance": "node-1",
          "reportingComponent": "apparmor-agent", "involvedObject": {"kind": "Pod"}}'
    refused "$(by_rbac delete events)" 'an agent does not delete Events' as agent-node-1 -n default delete event probe.1
    as admin -n default delete event probe.1 probe.3 probe.4 >/dev/null
    as admin -n kube-system delete event probe.2 >/dev/null
}

agent_beyond_its_node() {
    local bound='.*bound to node node-1 and may not change Node node-2'
    refused "$(by_policy agent-node.apparmor.io "$bound")" 'an agent may not label another Node' \
        patch_node agent-node-1 node-2 "$AGENT_LABELS"
    refused "$(by_policy agent-node.apparmor.io "$bound")" "an agent may not remove another Node's labels" \
        patch_node agent-node-1 node-2 '{"metadata":{"labels":{"kubernetes.io/hostname":null}}}'
    allowed "control: that Node's agent may label it" patch_node agent-node-2 node-2 "$AGENT_LABELS" --dry-run=server
}

# A token that somebody made by hand is bound to no pod and so to no node.
agent_unbound_token() {
    local token unbound='.*bound to no node'
    token=$(as admin -n apparmor-system create token apparmor-agent)
    credential unbound "$token"
    refused "$(by_policy agent-node.apparmor.io "$unbound")" 'a token without a node may label no Node' \
        patch_node unbound node-1 "$AGENT_LABELS"
    refused "$(by_policy agent-api.apparmor.io "$unbound")" 'a token without a node may write no AppArmorNode' \
        write_status unbound node-1
    refused "$(by_policy agent-events.apparmor.io "$unbound")" 'a token without a node may record no Event' \
        record_event unbound probe.1 default node-1 Pod
}

# Such a token may be bound to a Node instead, for agents that run as services of their nodes.
agent_node_bound_token() {
    local bound='.*bound to node node-1'
    credential node-bound "$(as admin -n apparmor-system create token apparmor-agent \
        --bound-object-kind=Node --bound-object-name=node-1)"
    allowed 'a token that is bound to a Node may label it' \
        patch_node node-bound node-1 "$AGENT_LABELS" --dry-run=server
    refused "$(by_policy agent-node.apparmor.io "$bound")" 'and no other' \
        patch_node node-bound node-2 "$AGENT_LABELS"
}

EMPTY_PROFILE='{"apiVersion":"apparmor.io/v1alpha1","kind":"AppArmorProfile","metadata":{"name":"probe"},
    "spec":{"policy":"profile probe {}"}}'

# The requests themselves; what becomes of them depends on who makes them, and with what rights. Each line:
# verb and resource as RBAC names them, what the policies say, the request.
agent_foreign_writes() {
    cat <<'END'
create|nodes|agent-node.apparmor.io|CREATE of nodes|create -f NODE
update|nodes|agent-node.apparmor.io|.*Node's annotations|replace -f REPLACEMENT
delete|nodes|agent-node.apparmor.io|DELETE of nodes|delete node node-1
deletecollection|nodes|agent-node.apparmor.io|DELETE of nodes|delete --raw /api/v1/nodes
patch|nodes/status|agent-node.apparmor.io|UPDATE of nodes/status|apply --server-side --subresource=status -f NODE-STATUS
create|apparmorprofiles|agent-api.apparmor.io|CREATE of apparmorprofiles|create -f PROFILE
patch|apparmorprofiles|agent-api.apparmor.io|UPDATE of apparmorprofiles|patch aap probe-target --type=merge -p {"spec":{"mode":"Complain"}}
patch|apparmorprofiles|agent-api.apparmor.io|UPDATE of apparmorprofiles|patch aap probe-target --type=merge -p {"metadata":{"finalizers":null,"annotations":{"apparmor.io/force-delete":"true"}}}
delete|apparmorprofiles|agent-api.apparmor.io|DELETE of apparmorprofiles|delete aap probe-target
deletecollection|apparmorprofiles|agent-api.apparmor.io|DELETE of apparmorprofiles|delete --raw /apis/apparmor.io/v1alpha1/apparmorprofiles
patch|apparmorprofiles/status|agent-api.apparmor.io|UPDATE of apparmorprofiles|apply --server-side --subresource=status -f PROFILE-STATUS
delete|apparmornodes|agent-api.apparmor.io|DELETE of apparmornodes|delete aan node-1
delete|apparmornodes|agent-api.apparmor.io|DELETE of apparmornodes|delete aan node-2
deletecollection|apparmornodes|agent-api.apparmor.io|DELETE of apparmornodes|delete --raw /apis/apparmor.io/v1alpha1/apparmornodes
patch|apparmornodes|agent-api.apparmor.io|.*bound to node node-1 and may not write AppArmorNode node-2|patch aan node-2 --type=merge -p {"metadata":{"labels":{"x":"y"}}}
patch|apparmornodes|agent-api.apparmor.io|.*finalizers|patch aan node-1 --type=merge -p {"metadata":{"finalizers":["example.com/hold"]}}
patch|apparmornodes|agent-api.apparmor.io|.*owned only by the Node of its name|patch aan node-1 --type=merge -p {"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-2","uid":"1"}]}}
END
}
prepare_foreign_writes() {
    printf '%s' "$EMPTY_PROFILE" >"$WORK/profile.yaml"
    sed 's/"probe"/"probe-target"/' "$WORK/profile.yaml" | as admin apply --server-side -f - >/dev/null
    manifest new-node >/dev/null <<'END'
apiVersion: v1
kind: Node
metadata: {name: node-9}
END
    manifest node-status >/dev/null <<'END'
apiVersion: v1
kind: Node
metadata: {name: node-1}
status: {phase: Running}
END
    manifest profile-status >/dev/null <<'END'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata: {name: probe-target}
status: {mode: Kill}
END
    as admin get node node-1 -o json |
        jq '.metadata.annotations["example.com/note"] = "new" | del(.metadata.resourceVersion)' >"$WORK/replacement.yaml"
}
# foreign_write WHO REQUEST
foreign_write() {
    local who=$1 request=$2
    request=${request/NODE-STATUS/$WORK/node-status.yaml}
    request=${request/PROFILE-STATUS/$WORK/profile-status.yaml}
    request=${request/NODE/$WORK/new-node.yaml}
    request=${request/PROFILE/$WORK/profile.yaml}
    request=${request/REPLACEMENT/$WORK/replacement.yaml}
    # shellcheck disable=SC2086
    as "$who" $request
}

# All that the rules of RBAC let it write, as the API server itself adds them up: what is not here is refused.
agent_writes() { # NAMESPACE
    jq -n --arg namespace "$1" '{apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: {$namespace}}' |
        as agent-node-1 create --validate=false -o json -f - | jq -r 'if .status.incomplete then "incomplete" else .status.resourceRules[] end |
        .resources[] as $resource | (.verbs - ["get", "list", "watch"])[] as $verb |
        "\($verb) \($resource)\(if .resourceNames then " " + (.resourceNames | join(",")) else "" end)"' | sort -u | paste -sd ';'
}
agent_writes_listed() {
    local namespace reviews='create selfsubjectaccessreviews;create selfsubjectreviews;create selfsubjectrulesreviews'
    for namespace in default kube-system; do
        equal "all that an agent may write in $namespace" \
            "create apparmornodes;create events;$reviews;patch apparmornodes/status;patch events;patch nodes" \
            agent_writes "$namespace"
    done
    # The kernel features of its node: tests/admission/features.sh.
    equal 'and in its own namespace' \
        "create apparmornodes;create configmaps;create events;$reviews;patch apparmornodes/status;patch events;patch nodes" \
        agent_writes apparmor-system
}

agent_without_rights() {
    local verb resource request
    agent_writes_listed
    prepare_foreign_writes
    while IFS='|' read -r verb resource _ _ request; do
        refused "$(by_rbac "$verb" "$resource")" "an agent has no right to $verb $resource: $request" \
            foreign_write agent-node-1 "$request"
    done < <(agent_foreign_writes)
    agent_without_rights_elsewhere
}

# What whoever has taken over a node's agent should not get by it.
agent_without_rights_elsewhere() {
    local verb resource namespace
    while read -r verb resource namespace; do
        may_not agent-node-1 "$verb" "$resource" "$namespace"
    done <<'END'
list controllerrevisions.apps apparmor-system
create controllerrevisions.apps apparmor-system
patch controllerrevisions.apps apparmor-system
get controllerrevisions.apps default
get secrets apparmor-system
list secrets kube-system
create secrets default
get configmaps kube-system
create configmaps default
create pods apparmor-system
patch pods default
delete pods default
get pods default
create pods/exec default
create pods/eviction default
get pods/log default
create pods/binding default
create serviceaccounts/token apparmor-system
impersonate serviceaccounts apparmor-system
get events default
list events default
update events default
delete events default
update leases apparmor-system
patch namespaces
get nodes/proxy
create nodes/proxy
get nodes/status
create clusterrolebindings.rbac.authorization.k8s.io
escalate clusterroles.rbac.authorization.k8s.io
bind clusterroles.rbac.authorization.k8s.io
patch customresourcedefinitions.apiextensions.k8s.io
delete validatingadmissionpolicies.admissionregistration.k8s.io
delete validatingadmissionpolicybindings.admissionregistration.k8s.io
END
    # can-i answers from the rules; the real request must agree with it.
    refused "$(by_rbac get secrets)" 'an agent that reads Secrets is refused' \
        as agent-node-1 -n apparmor-system get secret any
    refused "$(by_rbac create configmaps)" 'an agent that creates a ConfigMap is refused' \
        as agent-node-1 -n default create configmap any
    refused "$(by_rbac create pods)" 'an agent that creates a pod is refused' \
        as agent-node-1 -n default create --validate=false -f "$(manifest pod <<'END'
apiVersion: v1
kind: Pod
metadata: {name: any}
spec: {containers: [{name: any, image: any}]}
END
)"
}

# All rights over Nodes and the project's API, for the agents and for a stranger: what only the stranger may
# still do, the policies alone refuse.
agent_excess_manifest() {
    cat <<'END'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admission-test-excess, labels: {apparmor.io/test: admission}}
rules:
- {apiGroups: [""], resources: [nodes, nodes/status], verbs: ["*"]}
- {apiGroups: [apparmor.io], resources: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: admission-test-excess, labels: {apparmor.io/test: admission}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admission-test-excess}
subjects:
- {kind: ServiceAccount, name: apparmor-agent, namespace: apparmor-system}
- {kind: ServiceAccount, name: default, namespace: apparmor-system}
END
}

agent_with_excess_rights() {
    local verb resource policy message request token
    agent_excess_manifest | as admin apply --server-side -f - >/dev/null
    token=$(as admin -n apparmor-system create token default)
    credential stranger "$token"
    eventually 20 as agent-node-1 auth can-i delete nodes
    eventually 20 as stranger auth can-i delete nodes

    while IFS='|' read -r verb resource policy message request; do
        refused "$(by_policy "$policy" ".*$message|$message")" \
            "with all rights, the policy refuses an agent: $verb $resource: $request" \
            foreign_write agent-node-1 "$request"
        [[ $request == *--raw* ]] || allowed "control: another account may: $request" \
            foreign_write stranger "$request --dry-run=server"
    done < <(agent_foreign_writes)
    refused "$(by_policy agent-node.apparmor.io '.*bound to node node-1')" \
        'with all rights, an agent may not label another Node' patch_node agent-node-1 node-2 "$AGENT_LABELS"
    allowed 'with all rights, an agent labels its own Node' patch_node agent-node-1 node-1 "$AGENT_LABELS"
    allowed 'no Node was deleted' as admin get node node-1 node-2
    allowed 'no object was deleted' as admin get aap/probe-target aan/node-1 aan/node-2

    as admin delete clusterrolebinding admission-test-excess >/dev/null
    eventually 20 fails as agent-node-1 auth can-i delete nodes
    as admin delete aap probe-target >/dev/null
}
