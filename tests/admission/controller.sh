# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the controller's token may do: read Nodes and both kinds, and write the status of AppArmorProfiles.

suite_controller() {
    local verb resource namespace
    controller_profile probe | as admin apply --server-side -f - >/dev/null
    while read -r verb resource namespace; do
        equal "the controller may $verb $resource" yes may controller "$verb" "$resource" "$namespace"
    done <<'END'
list apparmorprofiles.apparmor.io
watch apparmorprofiles.apparmor.io
list apparmornodes.apparmor.io
watch apparmornodes.apparmor.io
list nodes
watch nodes
patch apparmorprofiles.apparmor.io/status
END
    controller_requests
    while read -r verb resource namespace; do
        may_not controller "$verb" "$resource" "$namespace"
    done <<'END'
create apparmorprofiles.apparmor.io
patch apparmorprofiles.apparmor.io
delete apparmorprofiles.apparmor.io
patch apparmornodes.apparmor.io
patch apparmornodes.apparmor.io/status
delete apparmornodes.apparmor.io
patch nodes
patch nodes/status
delete nodes
get secrets apparmor-system
list secrets kube-system
get configmaps kube-system
list pods default
create pods apparmor-system
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
    refused "$(by_rbac patch apparmorprofiles)" 'the controller may not change the spec of an AppArmorProfile' \
        as controller patch aap probe --type=merge -p '{"spec":{"mode":"Complain"}}'
    refused "$(by_rbac delete apparmorprofiles)" 'the controller may not delete an AppArmorProfile' \
        as controller delete aap probe
    refused "$(by_rbac patch nodes)" 'the controller may not label a Node' \
        as controller label node node-1 apparmor.io/profile-probe=true
}
