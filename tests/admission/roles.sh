# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What people get by the roles view, edit and admin of Kubernetes.

suite_roles() {
    local role
    for role in view edit admin; do
        roles_binding "$role" | as admin apply --server-side -f - >/dev/null
    done
    # The controller manager aggregates, and the authorizer learns of the bindings, in their own time.
    eventually 20 roles_can viewer get aap && eventually 20 roles_can admin create aap &&
        eventually 20 roles_can editor create configmaps

    roles_may viewer yes get aap
    roles_may viewer yes watch aan
    roles_may viewer no create aap
    roles_may editor yes list aan
    roles_may editor no patch aap
    roles_may admin yes create aap
    roles_may admin yes patch aap
    roles_may admin yes delete aap
    roles_may admin no patch aap/status
    roles_may admin no patch aan
    roles_may admin no delete aan
    roles_may nobody no get aap
}

# The user of the role `view` is viewer, and so on.
roles_binding() { # ROLE
    local user=$1
    case $1 in view) user=viewer ;; edit) user=editor ;; esac
    cat <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: admission-test-$1, labels: {apparmor.io/test: admission}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: $1}
subjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: test-$user}]
END
}

roles_ask() { # USER VERB RESOURCE[/SUBRESOURCE]
    local flags=()
    [ "${3%%/*}" = "$3" ] || flags+=(--subresource="${3#*/}")
    as admin --as="test-$1" auth can-i "$2" "${3%%/*}" "${flags[@]}" 2>/dev/null
}
roles_can() { [ "$(roles_ask "$@")" = yes ]; }
roles_answer() { roles_ask "$@" || true; }
roles_may() { # USER EXPECTED VERB RESOURCE
    equal "$1: $3 $4: $2" "$2" roles_answer "$1" "$3" "$4"
}
