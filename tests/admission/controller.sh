# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the controller's token may do: read Nodes and both kinds, write the status of AppArmorProfiles and its finalizer
# and rollout on them, the texts that they had, Events, and the Lease that its replicas share, follow the pods of its namespace, and look at and evict a pod
# that it knows the name of.

suite_controller() {
    local verb resource namespace
    controller_profile probe | as admin apply --server-side -f - >/dev/null
    while read -r verb resource namespace; do
        equal "the controller may $verb $resource${namespace:+ in $namespace}" yes may controller "$verb" "$resource" "$namespace"
    done <<'END'
list apparmorprofiles.apparmor.io
watch apparmorprofiles.apparmor.io
list apparmornodes.apparmor.io
watch apparmornodes.apparmor.io
list nodes
watch nodes
patch apparmorprofiles.apparmor.io
patch apparmorprofiles.apparmor.io/status
delete apparmornodes.apparmor.io
patch nodes
list pods default
list configmaps apparmor-system
watch configmaps apparmor-system
delete configmaps apparmor-system
list pods apparmor-system
watch pods apparmor-system
list controllerrevisions.apps apparmor-system
watch controllerrevisions.apps apparmor-system
create controllerrevisions.apps apparmor-system
patch controllerrevisions.apps apparmor-system
delete controllerrevisions.apps apparmor-system
create leases.coordination.k8s.io apparmor-system
create events default
patch events default
create events kube-system
get pods default
get namespaces
create pods/eviction default
END
    controller_requests
    controller_lease
    controller_history
    while read -r verb resource namespace; do
        may_not controller "$verb" "$resource" "$namespace"
    done <<'END'
create apparmorprofiles.apparmor.io
update apparmorprofiles.apparmor.io
delete apparmorprofiles.apparmor.io
patch apparmornodes.apparmor.io
patch apparmornodes.apparmor.io/status
update nodes
patch nodes/status
delete nodes
delete events default
list events default
create leases.coordination.k8s.io default
create leases.coordination.k8s.io kube-system
get leases.coordination.k8s.io apparmor-system
patch leases.coordination.k8s.io apparmor-system
list leases.coordination.k8s.io apparmor-system
delete leases.coordination.k8s.io apparmor-system
create controllerrevisions.apps default
list controllerrevisions.apps kube-system
patch daemonsets.apps apparmor-system
get secrets apparmor-system
list secrets kube-system
get configmaps kube-system
watch pods default
get configmaps apparmor-system
create configmaps apparmor-system
patch configmaps apparmor-system
list configmaps kube-system
delete configmaps kube-system
delete pods default
patch pods default
create pods apparmor-system
list namespaces
patch namespaces
create pods/exec default
create serviceaccounts/token apparmor-system
impersonate users
update validatingwebhookconfigurations.admissionregistration.k8s.io
delete validatingadmissionpolicies.admissionregistration.k8s.io
create clusterrolebindings.rbac.authorization.k8s.io
END
    as admin delete aap probe >/dev/null
}

controller_profile() { # NAME
    printf '{"apiVersion":"apparmor.io/v1alpha1","kind":"AppArmorProfile","metadata":{"name":"%s"},
        "spec":{"policy":"profile %s {}"}}' "$1" "$1"
}

# The same by real requests, as can-i only reads the rules.
controller_requests() {
    local status
    status=$(manifest controller-status <<'END'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata: {name: probe}
status: {observedGeneration: 1, revision: abc, nodes: {selected: 2, loaded: 2, summary: 2/2}}
END
)
    allowed 'the controller applies the status of an AppArmorProfile' \
        as controller apply --server-side --subresource=status -f "$status"
    equal 'the status is there' '1 2/2' \
        as admin get aap probe -o 'jsonpath={.status.observedGeneration} {.status.nodes.summary}'
    controller_finalizers
    refused "$(by_rbac delete apparmorprofiles)" 'the controller may not delete an AppArmorProfile' \
        as controller delete aap probe
    controller_nodes
}

controller_nodes() {
    local what patch policy=controller-node.apparmor.io
    as admin label node node-1 apparmor.io/profile-probe=true apparmor.io/other=x pool=web >/dev/null
    while IFS='|' read -r what patch; do
        refused "$(by_policy $policy "(of a Node's labels the|the) controller may")" "of a Node the controller may not $what" \
            as controller patch node node-1 --type=merge -p "$patch"
    done <<'END'
set a label|{"metadata": {"labels": {"apparmor.io/profile-more": "true"}}}
change a label|{"metadata": {"labels": {"apparmor.io/profile-probe": "false"}}}
remove a label of others|{"metadata": {"labels": {"pool": null}}}
remove another of this group|{"metadata": {"labels": {"apparmor.io/other": null}}}
change a taint|{"spec": {"taints": [{"key": "x", "effect": "NoExecute"}]}}
change annotations|{"metadata": {"annotations": {"x": "y"}}}
END
    allowed 'the controller removes a label that an agent has set' \
        as controller patch node node-1 --type=merge -p '{"metadata": {"labels": {"apparmor.io/profile-probe": null}}}'
    as admin label node node-1 apparmor.io/other- pool- >/dev/null
}

patch_probe() { # WHO MERGE-PATCH [FLAG...]
    local who=$1 patch=$2
    shift 2
    as "$who" patch aap probe --type=merge -p "$patch" "$@"
}
probe_finalizers() { as admin get aap probe -o json | jq -c '.metadata.finalizers'; }

controller_finalizers() {
    local what patch policy=controller-api.apparmor.io ours=apparmor.io/profile-protection
    patch_probe admin '{"metadata": {"finalizers": ["example.com/a", "example.com/b"],
        "annotations": {"example.com/note": "mine"}}}' >/dev/null
    while IFS='|' read -r what patch; do
        refused "$(by_policy $policy 'the controller may not change')" "the controller may not change $what" \
            patch_probe controller "$patch"
        allowed "control: an administrator may change $what" patch_probe admin "$patch" --dry-run=server
    done <<END
the spec|{"spec": {"mode": "Complain"}}
the text|{"spec": {"policy": "profile probe { file, }"}}
labels|{"metadata": {"labels": {"example.com/x": "y"}}}
annotations|{"metadata": {"annotations": {"apparmor.io/force-delete": "true"}}}
owners|{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": "1"}]}}
finalizers of others, all of them|{"metadata": {"finalizers": null}}
one of others|{"metadata": {"finalizers": ["example.com/a"]}}
their order|{"metadata": {"finalizers": ["example.com/b", "example.com/a"]}}
others by its own|{"metadata": {"finalizers": ["$ours"]}}
others to new ones|{"metadata": {"finalizers": ["example.com/a", "example.com/b", "example.com/c"]}}
END
    allowed 'the controller adds its finalizer' patch_probe controller \
        '{"metadata": {"finalizers": ["example.com/a", "'$ours'", "example.com/b"]}}'
    equal 'it is there' "[\"example.com/a\",\"$ours\",\"example.com/b\"]" probe_finalizers
    refused "$(by_rbac patch apparmorprofiles)" 'an agent may not remove it' \
        patch_probe agent-node-1 '{"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}'
    refused "$(by_rbac patch apparmorprofiles)" 'nor ask for it to be removed by force' \
        patch_probe agent-node-1 '{"metadata": {"annotations": {"apparmor.io/force-delete": "true"}}}'
    allowed 'the controller publishes how far a rollout is' patch_probe controller \
        '{"metadata": {"annotations": {"apparmor.io/rollout": "{}"}}}'
    allowed 'and something else' patch_probe controller '{"metadata": {"annotations": {"apparmor.io/rollout": "1"}}}'
    refused "$(by_policy $policy 'the controller may not change')" 'the controller may not take all annotations away' \
        patch_probe controller '{"metadata": {"annotations": null}}'
    allowed 'but that one' patch_probe controller '{"metadata": {"annotations": {"apparmor.io/rollout": null}}}'
    allowed 'the controller takes it away' patch_probe controller \
        '{"metadata": {"finalizers": ["example.com/a", "example.com/b"]}}'
    patch_probe admin '{"metadata": {"finalizers": null}}' >/dev/null
}

text_kept() { # NAME LABELS-JSON
    printf '{"apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1, "data": {"spec": {"policy": "x"}},
        "metadata": {"name": "%s", "namespace": "apparmor-system", "labels": %s, "ownerReferences": [
            {"apiVersion": "apparmor.io/v1alpha1", "kind": "AppArmorProfile", "name": "probe", "uid": "%s"}]}}' \
        "$1" "$2" "$(as admin get aap probe -o jsonpath='{.metadata.uid}')"
}
controller_history() {
    local policy=controller-history.apparmor.io ours='{"apparmor.io/profile": "probe"}'
    local rule='the controller may write only ControllerRevisions that keep texts' text other
    text=$(text_kept probe-1 "$ours" | manifest text)
    other=$(text_kept probe-2 '{"app": "agent"}' | manifest other)
    allowed 'the controller keeps a text' as controller create -f "$text"
    refused "$(by_policy $policy "$rule")" 'the controller creates no ControllerRevision of a DaemonSet' \
        as controller create -f "$other"
    as admin create -f "$other" >/dev/null
    refused "$(by_policy $policy "$rule")" 'nor changes one' \
        patch_revision probe-2 '{"revision": 7}'
    refused "$(by_policy $policy "$rule")" 'not even by taking it for its own' \
        patch_revision probe-2 '{"metadata": {"labels": {"apparmor.io/profile": "probe"}, "ownerReferences": null}}'
    refused "$(by_policy $policy "$rule")" 'nor deletes one' as controller delete -n apparmor-system controllerrevision probe-2
    allowed 'the controller gives a text another number' patch_revision probe-1 '{"revision": 7}'
    refused 'field is immutable' 'nobody changes a text that is kept' \
        patch_revision probe-1 '{"data": {"spec": {"policy": "other"}}}'
    allowed 'an agent reads it' as agent-node-1 get -n apparmor-system controllerrevision probe-1
    allowed 'the controller drops it' as controller delete -n apparmor-system controllerrevision probe-1
    as admin delete -n apparmor-system controllerrevision probe-2 >/dev/null
}
patch_revision() { # NAME MERGE-PATCH: (`kubectl patch` reads first, which the controller may not.)
    local server token
    server=$(as controller config view --minify -o jsonpath='{.clusters[0].cluster.server}')
    token=$(as controller config view --raw --minify -o jsonpath='{.users[0].user.token}')
    [ -n "$token" ] || token=$(<"$(as controller config view --raw --minify -o jsonpath='{.users[0].user.tokenFile}')")
    curl -sS --fail-with-body --max-time 10 -k -X PATCH -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/merge-patch+json' --data "$2" \
        "$server/apis/apps/v1/namespaces/apparmor-system/controllerrevisions/$1"
}

lease() { # NAME NAMESPACE HOLDER
    printf '{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "%s",
        "namespace": "%s"}, "spec": {"holderIdentity": "%s"}}' "$1" "$2" "$3"
}
change_lease() { # NAME NAMESPACE
    as controller patch lease "$1" -n "$2" --type=merge -p '{"spec": {"holderIdentity": "other"}}'
}

controller_lease() {
    # Whoever can write the Lease of the scheduler stops it.
    lease kube-scheduler-test kube-system nobody | as admin apply -f - >/dev/null
    lease other apparmor-system nobody | as admin apply -f - >/dev/null
    as admin delete lease -n apparmor-system apparmor-controller --ignore-not-found >/dev/null
    allowed 'the controller creates its Lease' \
        as controller create -f "$(lease apparmor-controller apparmor-system one | manifest lease)"
    allowed 'and changes it' change_lease apparmor-controller apparmor-system
    refused "$(by_rbac get leases)" 'the controller may not change another Lease of its namespace' \
        change_lease other apparmor-system
    refused "$(by_rbac get leases)" 'nor one of another namespace' change_lease kube-scheduler-test kube-system
    refused "$(by_rbac delete leases)" 'nor delete its own' \
        as controller delete lease -n apparmor-system apparmor-controller
    as admin delete lease -n apparmor-system apparmor-controller other >/dev/null
    as admin delete lease -n kube-system kube-scheduler-test >/dev/null
}
