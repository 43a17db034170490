# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What people get by the roles view, edit and admin of Kubernetes.

suite_roles() {
    local who answer verb resource
    roles_bind view viewer
    roles_bind edit editor
    roles_bind admin head
    impersonation nobody test-nobody
    # The controller manager aggregates, and the authorizer learns of the bindings, in their own time.
    eventually 20 roles_can viewer get aap
    eventually 20 roles_can editor create configmaps
    eventually 20 roles_can head create aap

    while read -r who answer verb resource; do
        equal "may $who $verb $resource? $answer" "$answer" may "$who" "$verb" "$resource"
    done <<'END'
viewer yes get apparmorprofiles
viewer yes watch apparmornodes
viewer no create apparmorprofiles
editor yes list apparmornodes
editor no patch apparmorprofiles
editor no delete apparmorprofiles
head yes create apparmorprofiles
head yes patch apparmorprofiles
head yes delete apparmorprofiles
head no patch apparmorprofiles/status
head no patch apparmornodes
head no delete apparmornodes
nobody no get apparmorprofiles
nobody no get apparmornodes
END
}

roles_bind() { # ROLE WHO
    impersonation "$2" "test-$2"
    as admin apply --server-side -f "$(manifest binding <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: admission-test-$1, labels: {apparmor.io/test: admission}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $1}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: test-$2}]
END
)" >/dev/null
}
roles_can() { [ "$(may "$@")" = yes ]; }
