# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The two definitions: what is accepted and refused, what is filled in, what people see.

suite_crds() {
    as admin delete aap,aan --all >/dev/null
    crds_policy_limits
    crds_names
    crds_spec
    crds_defaults
    crds_status
    crds_columns
    crds_explain
    crds_policies_type_check
    as admin delete aap,aan --all >/dev/null
}

# The policy text of a file, by `create --dry-run`; no annotation doubles it, as client-side apply's would.
create_policy() { # FILE
    jq -R -s '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {name: "limits"},
        spec: {policy: .}}' "$1" >"$WORK/limits.json"
    as admin create --dry-run=server -f "$WORK/limits.json"
}
repeat() { # COUNT TEXT
    awk -v count="$1" -v text="$2" 'BEGIN { while (count-- > 0) printf "%s", text }'
}

crds_policy_limits() {
    local bytes='spec\.policy must have at most 262144 bytes'
    repeat 262144 a >"$WORK/text"
    allowed 'a policy of 262144 bytes' create_policy "$WORK/text"
    repeat 262145 a >"$WORK/text"
    refused 'spec\.policy: Too long: may not be more than 262144' 'a policy of 262145 bytes' create_policy "$WORK/text"
    { repeat 87381 €; printf a; } >"$WORK/text"
    allowed 'a policy of 262144 bytes in 87382 characters' create_policy "$WORK/text"
    { repeat 87381 €; printf aa; } >"$WORK/text"
    refused "$bytes" 'a policy of 262145 bytes in 87383 characters' create_policy "$WORK/text"
    repeat 131073 é >"$WORK/text"
    refused "$bytes" 'a policy of 131073 characters of two bytes' create_policy "$WORK/text"
    printf '' >"$WORK/text"
    refused 'spec\.policy: Invalid value: "": spec\.policy in body should be at least 1 chars' 'an empty policy' \
        create_policy "$WORK/text"
    printf 'profile a {}\0profile b {}' >"$WORK/text"
    refused 'spec\.policy must not contain NUL' 'a policy with a NUL character' create_policy "$WORK/text"
}

profile_json() { # NAME SPEC
    printf '{"apiVersion":"apparmor.io/v1alpha1","kind":"AppArmorProfile","metadata":{"name":"%s"},"spec":%s}' \
        "$1" "$2"
}
create_profile() { # NAME SPEC
    profile_json "$1" "$2" >"$WORK/profile.json"
    as admin create --dry-run=server -f "$WORK/profile.json"
}

crds_names() {
    local spec='{"policy":"profile a {}"}'
    allowed 'a name of 55 characters' create_profile "$(repeat 55 n)" "$spec"
    refused 'metadata\.name must have at most 55 characters, as it becomes part of the Node label' \
        'a name of 56 characters' create_profile "$(repeat 56 n)" "$spec"
    refused 'lowercase RFC 1123 subdomain' 'a name with capitals' create_profile Deny-Write "$spec"
    allowed 'a name with dots' create_profile team.deny-write "$spec"
}

# A spec beside the policy, and what is said to it; nothing: it is accepted.
crds_spec() {
    local key_form="a label's key must have the form" spec message long
    long=$(repeat 64 k)
    while IFS='|' read -r spec message; do
        spec="{\"policy\":\"profile a {}\"$spec}"
        spec=${spec/LONG/$long}
        if [ -z "$message" ]; then
            allowed "accepted: $spec" create_profile spec "$spec"
        else
            refused "$message" "refused: $spec" create_profile spec "$spec"
        fi
    done <<END
,"mode":"Enforce"|
,"mode":"Complain"|
,"mode":"Kill"|
,"mode":"Unconfined"|
,"mode":"enforce"|spec\.mode: Unsupported value: "enforce": supported values: "Enforce", "Complain", "Kill", "Unconfined"
,"mode":""|spec\.mode: Unsupported value: ""
,"allowHostAttachment":true|
,"allowHostAttachment":"yes"|spec\.allowHostAttachment.* must be of type boolean
,"adopt":true|
,"adopt":"yes"|spec\.adopt.* must be of type boolean
,"nodeSelector":{}|
,"nodeSelector":{"matchLabels":{"node-role.kubernetes.io/worker":"","pool":"web"}}|
,"nodeSelector":{"matchLabels":{"pool":"-web"}}|nodeSelector\.matchLabels\.pool.*should match
,"nodeSelector":{"matchLabels":{"pool":"LONG"}}|nodeSelector\.matchLabels\.pool: Too long
,"nodeSelector":{"matchLabels":{"a b":"x"}}|$key_form
,"nodeSelector":{"matchLabels":{"a/b/c":"x"}}|$key_form
,"nodeSelector":{"matchLabels":{"LONG":"x"}}|$key_form
,"nodeSelector":{"matchLabels":{"":"x"}}|$key_form
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"In","values":["web","db"]}]}|
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"NotIn","values":["gpu"]}]}|
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"Exists"}]}|
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"DoesNotExist","values":[]}]}|
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"In"}]}|the operators In and NotIn need values
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"NotIn","values":[]}]}|the operators In and NotIn need values
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"Exists","values":["x"]}]}|Exists and DoesNotExist take no values
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"DoesNotExist","values":["x"]}]}|Exists and DoesNotExist take no values
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"Gt","values":["1"]}]}|operator: Unsupported value: "Gt"
,"nodeSelector":{"matchExpressions":[{"operator":"Exists"}]}|matchExpressions\[0\]\.key: Required value
,"nodeSelector":{"matchExpressions":[{"key":"pool"}]}|matchExpressions\[0\]\.operator: Required value
,"nodeSelector":{"matchExpressions":[{"key":"a b","operator":"Exists"}]}|matchExpressions\[0\]\.key.*should match
,"nodeSelector":{"matchExpressions":[{"key":"pool","operator":"In","values":["a b"]}]}|values\[0\].*should match
,"nodeSelector":{"matchLabel":{"pool":"web"}}|unknown field "spec\.nodeSelector\.matchLabel"
,"policies":"x"|unknown field "spec\.policies"
END
    refused 'spec\.policy: Required value' 'refused: a spec without a policy' create_profile spec '{}'
    refused 'spec: Required value' 'refused: no spec' create_profile spec null
    crds_counts
}

crds_counts() {
    local many
    many=$(jq -nc '[range(101) | {key: "k\(.)", operator: "Exists"}]')
    refused 'matchExpressions: Too many: 101: must have at most 100 items' 'refused: 101 requirements' \
        create_profile spec "{\"policy\":\"x\",\"nodeSelector\":{\"matchExpressions\":$many}}"
    many=$(jq -nc '[range(101) | {key: "k\(.)", value: "v"}] | from_entries')
    refused 'matchLabels: Too many: 101: must have at most 100 items' 'refused: 101 labels' \
        create_profile spec "{\"policy\":\"x\",\"nodeSelector\":{\"matchLabels\":$many}}"
}

crds_defaults() {
    profile_json defaults '{"policy":"profile defaults {}"}' | jq '.status = {observedGeneration: 7}' >"$WORK/defaults.json"
    equal 'a new object has observedGeneration -1, whatever it is created with' '-1 false' \
        as admin create -f "$WORK/defaults.json" \
        -o 'jsonpath={.status.observedGeneration} {.spec.allowHostAttachment}'
    equal 'a read shows it' -1 as admin get aap defaults -o 'jsonpath={.status.observedGeneration}'
    equal 'a watch shows it' -1 as admin get aap defaults --watch --request-timeout=2s \
        -o 'jsonpath={.status.observedGeneration}'
    equal 'a change of the spec is a new generation' '2 -1' as admin patch aap defaults --type=merge \
        -p '{"spec":{"mode":"Kill"}}' -o 'jsonpath={.metadata.generation} {.status.observedGeneration}'
    equal 'a change of the status is none' '2 2' as admin patch aap defaults --subresource=status --type=merge \
        -p '{"status":{"observedGeneration":2}}' -o 'jsonpath={.metadata.generation} {.status.observedGeneration}'
    equal 'a change of the spec leaves the status alone' '3 2' as admin patch aap defaults --type=merge \
        -p '{"spec":{"mode":"Enforce"},"status":{"observedGeneration":3}}' \
        -o 'jsonpath={.metadata.generation} {.status.observedGeneration}'
}

status_patch() { # KIND NAME STATUS
    as admin patch "$1" "$2" --subresource=status --type=merge -p "{\"status\":$3}"
}

crds_status() {
    local now='"lastTransitionTime":"2026-01-01T00:00:00Z"' many
    profile_json shown '{"policy":"profile shown {}"}' | as admin create -f - >/dev/null
    as admin create -f "$(manifest aan <<'END'
apiVersion: apparmor.io/v1alpha1
kind: AppArmorNode
metadata: {name: node-1}
END
)" >/dev/null
    allowed 'an AppArmorProfile takes a whole status' status_patch aap shown "{\"observedGeneration\":1,
        \"revision\":\"abc\",\"profileNames\":[\"shown\"],\"mode\":\"Enforce\",
        \"nodes\":{\"selected\":3,\"loaded\":2,\"outdated\":1,\"failed\":1,\"summary\":\"2/3\"},
        \"failures\":[{\"node\":\"n\",\"reason\":\"CompileError\",\"message\":\"line 1: syntax error\"}],
        \"conditions\":[{\"type\":\"Ready\",\"status\":\"False\",\"reason\":\"Failed\",\"message\":\"\",$now}]}"
    many=$(jq -nc '[range(11) | {node: "n\(.)", reason: "CompileError"}]')
    refused 'status\.failures: Too many: 11: must have at most 10 items' 'it takes no more than 10 failures' \
        status_patch aap shown "{\"failures\":$many}"
    refused 'conditions\[0\]\.reason: Required value' 'a condition needs a reason' \
        status_patch aap shown "{\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"message\":\"\",$now}]}"
    refused 'Duplicate value: \{"type":"Ready"\}' 'a condition is there once' status_patch aap shown \
        "{\"conditions\":$(jq -nc --argjson c "{\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"A\",\"message\":\"\",$now}" '[$c, $c]')}"
    refused 'nodes\.loaded.*should be greater than or equal to 0' 'counts are not negative' \
        status_patch aap shown '{"nodes":{"loaded":-1}}'

    allowed 'an AppArmorNode takes a whole status' status_patch aan node-1 "{\"apparmor\":\"Enabled\",
        \"kernelRelease\":\"6.1.0-1-cloud-amd64\",\"featuresID\":\"0123456789abcdef\",\"parserVersion\":\"3.0.8\",
        \"agentVersion\":\"v1\",\"loaded\":1,\"failed\":2,\"profiles\":[{\"name\":\"shown\",\"generation\":1,
        \"revision\":\"abc\",\"state\":\"Loaded\",\"mode\":\"Enforce\",\"profileNames\":[\"shown\"],
        \"reason\":\"Orphaned\",\"message\":\"m\",$now}]}"
    refused 'status\.apparmor: Unsupported value: "Maybe": supported values: "Enabled", "Disabled"' \
        'AppArmor is Enabled or Disabled' status_patch aan node-1 '{"apparmor":"Maybe"}'
    refused 'profiles\[0\]\.state: Unsupported value: "Gone": supported values: "Loaded", "Pending", "Failed", "Draining"' \
        'a profile has one of four states' status_patch aan node-1 '{"profiles":[{"name":"a","state":"Gone"}]}'
    refused 'profiles\[0\]\.state: Required value' 'a profile has a state' \
        status_patch aan node-1 '{"profiles":[{"name":"a"}]}'
    crds_denials
    many=$(jq -nc '[range(2001) | {name: "p\(.)", state: "Loaded"}]')
    refused 'status\.profiles: Too many: 2001: must have at most 2000 items' 'it takes no more than 2000 profiles' \
        status_patch aan node-1 "{\"profiles\":$many}"
}

crds_columns() {
    local header='NAME MODE LOADED READY REASON AGE'
    equal 'kubectl get aap has the columns' "$header" first_line as admin get aap
    equal 'they show the status' 'shown Enforce 2/3 False Failed' without_age as admin get aap shown --no-headers
    equal 'kubectl get aan has the columns' 'NAME APPARMOR LOADED FAILED AGENT AGE' first_line as admin get aan
    equal 'they show the status of the node' 'node-1 Enabled 1 2 v1' without_age as admin get aan node-1 --no-headers
    equal '-o wide adds kernel, parser and unconfined containers' 'NAME APPARMOR LOADED FAILED AGENT KERNEL PARSER UNCONFINED AGE' \
        first_line as admin get aan -o wide
    equal 'and shows them' 'node-1 Enabled 1 2 v1 6.1.0-1-cloud-amd64 3.0.8' \
        without_age as admin get aan node-1 -o wide --no-headers
    equal 'the category apparmor has both kinds' \
        'apparmornode.apparmor.io/node-1 apparmorprofile.apparmor.io/defaults apparmorprofile.apparmor.io/shown' \
        one_line as admin get apparmor -o name
    allowed 'kubectl wait sees the conditions' \
        as admin wait --for=condition=Ready=false --timeout=5s aap/shown
}
first_line() { "$@" | sed -E 's/ +/ /g; s/ $//' | head -n 1; }
without_age() { "$@" | sed -E 's/ +[0-9a-z]+$//'; }
one_line() { "$@" | tr '\n' ' '; }

# Fields without a description, anywhere in the published schema but in metadata.
undescribed() {
    as admin get --raw /openapi/v3/apis/apparmor.io/v1alpha1 | jq -r '
        def fields($path): (.properties // {}) | to_entries[] | select(.key != "metadata") |
            ($path + "." + .key) as $here | .value as $field |
            (if ($field.description // "") == "" then $here else empty end),
            ($field | fields($here)), ($field.items // {} | fields($here + "[]"));
        .components.schemas | to_entries[] | select(.key | test("v1alpha1.AppArmor(Profile|Node)$")) |
        .key as $kind | .value | (if .description then empty else $kind end), fields($kind)'
}

crds_explain() {
    local text
    equal 'every field has a description' '' undescribed
    text=$(as admin explain aap.spec.policy --recursive)
    if [[ $text == *'of 1 to'*'262144 bytes'*'profile my-app'*'Absolute paths'*'last good revision'* ]]; then
        ok 'kubectl explain aap.spec.policy tells what it is, its limits, an example and what becomes of errors'
    else
        not_ok 'kubectl explain aap.spec.policy' "$text"
    fi
    allowed 'kubectl explain aan.status.profiles.state' as admin explain aan.status.profiles.state
}

crds_denials() {
    local when='"firstTime":"2026-01-01T00:00:00Z","lastTime":"2026-01-01T00:00:00Z"' denial many
    denial="\"profile\":\"web\",\"outcome\":\"Denied\",\"class\":\"file\",\"operation\":\"open\",\"count\":3,$when"
    allowed 'and what was denied' status_patch aan node-1 "{\"audit\":{\"source\":\"Netlink\"},
        \"violations\":[{\"object\":\"web\",\"revision\":\"abc\",\"denied\":3,\"allowed\":0,$when}],
        \"denialsNotListed\":1,\"denials\":[{$denial,\"object\":\"web\",\"requested\":\"r\",\"denied\":\"r\",
        \"name\":\"/etc/shadow\",\"owner\":true,\"comm\":\"cat\",\"pods\":[\"default/web/main\"]}]}"
    equal 'which is there' '3 /etc/shadow default/web/main' as admin get aan node-1 \
        -o 'jsonpath={.status.violations[0].denied} {.status.denials[0].name} {.status.denials[0].pods[0]}'
    refused 'denials\[0\]\.outcome: Unsupported value: "DENIED"' 'an outcome is one of three' \
        status_patch aan node-1 "{\"denials\":[{${denial/Denied/DENIED}}]}"
    many=$(jq -nc --argjson d "{$denial}" '[range(301) | $d]')
    refused 'status\.denials: Too many: 301: must have at most 300 items' 'it takes no more than 300 denials' \
        status_patch aan node-1 "{\"denials\":$many}"
}

# Expressions that the API server can tell to be wrong only fail when a request meets them.
crds_policies_type_check() {
    equal 'the API server has no warning about the expressions of the policies' '' as admin get \
        validatingadmissionpolicy -o 'jsonpath={.items[*].status.typeChecking.expressionWarnings}'
    equal 'both definitions are structural and accepted' 'True True' as admin get crd \
        apparmorprofiles.apparmor.io apparmornodes.apparmor.io \
        -o 'jsonpath={.items[*].status.conditions[?(@.type=="Established")].status}'
    equal 'neither has a structural problem' '' as admin get crd -o \
        'jsonpath={.items[*].status.conditions[?(@.type=="NonStructuralSchema")].message}'
}
