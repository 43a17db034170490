# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The levels that a Namespace may ask for.

LEVELS_POLICY=namespace-levels.apparmor.io

suite_namespaces() {
    local key level
    for key in enforce warn audit; do
        for level in unrestricted confined managed; do
            allowed "a Namespace may be created with apparmor.io/$key=$level" \
                as admin create --dry-run=server -f "$(namespace_manifest "$key" "$level")"
        done
        for level in Confined restricted true ''; do
            refused "$(by_policy $LEVELS_POLICY "apparmor\.io/$key=$level: the levels are")" \
                "a Namespace may not be created with apparmor.io/$key=«$level»" \
                as admin create --dry-run=server -f "$(namespace_manifest "$key" "$level")"
        done
    done
    for level in preferred required disabled; do
        allowed "a Namespace may be created with apparmor.io/scheduling=$level" \
            as admin create --dry-run=server -f "$(namespace_manifest scheduling "$level")"
    done
    for level in Required always; do
        refused "$(by_policy $LEVELS_POLICY "apparmor\.io/scheduling=$level: the modes are")" \
            "a Namespace may not be created with apparmor.io/scheduling=«$level»" \
            as admin create --dry-run=server -f "$(namespace_manifest scheduling "$level")"
    done
    as admin create -f "$(namespace_manifest enforce confined)" >/dev/null
    allowed 'a Namespace changes to another level' \
        as admin label --overwrite namespace admission-test apparmor.io/enforce=managed
    refused "$(by_policy $LEVELS_POLICY 'apparmor\.io/enforce=manged')" \
        'a Namespace does not change to a level with a typing error' \
        as admin label --overwrite namespace admission-test apparmor.io/enforce=manged
    namespaces_of_before
}

namespace_manifest() { # KEY LEVEL
    manifest namespace <<END
apiVersion: v1
kind: Namespace
metadata:
  name: admission-test
  labels: {apparmor.io/$1: "$2", apparmor.io/test: admission}
END
}

# Without the policy the same is accepted, which shows that the policy is what refuses; and what a Namespace
# has from before the policy stops no other change.
namespaces_of_before() {
    local bad=(as admin label --overwrite namespace admission-test apparmor.io/warn=always)
    as admin get validatingadmissionpolicybinding $LEVELS_POLICY -o json |
        jq 'del(.metadata.uid, .metadata.resourceVersion, .metadata.managedFields)' >"$WORK/binding.json"
    as admin delete validatingadmissionpolicybinding $LEVELS_POLICY >/dev/null
    eventually 20 "${bad[@]}" --dry-run=server
    allowed 'control: without the policy any level is accepted' "${bad[@]}"
    as admin create -f "$WORK/binding.json" >/dev/null
    eventually 20 fails as admin label --overwrite namespace admission-test apparmor.io/warn=never --dry-run=server
    allowed 'an unknown level from before the policy stops no other change' \
        as admin label namespace admission-test example.com/team=blue
    refused "$(by_policy $LEVELS_POLICY 'apparmor\.io/warn=never')" 'it may not become another unknown one' \
        as admin label --overwrite namespace admission-test apparmor.io/warn=never
    allowed 'it may be removed' as admin label namespace admission-test apparmor.io/warn-
}
