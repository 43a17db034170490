# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Kernel features: agents may add theirs and nothing else, the controller may take them away and nothing else.

# features NAME [JQ]: a ConfigMap as an agent creates it, or changed by the filter
features() {
    jq -n --arg name "$1" '{apiVersion: "v1", kind: "ConfigMap", metadata: {$name, namespace: "apparmor-system",
        labels: {"apparmor.io/features": "true"}}, immutable: true, data: {features: "file {mask {read\n}\n}\n"}}' |
        jq "${2:-.}" >"$WORK/features.json"
    echo "$WORK/features.json"
}
FEATURES_POLICY="'agent-features.apparmor.io'.*denied request"

suite_features() {
    local name=apparmor-features-0123456789abcdef0123456789abcdef
    eventually 30 quota_counts
    allowed "an agent publishes its kernel's features" as agent-node-1 create --validate=false -f "$(features $name)"
    refused AlreadyExists "what is there stays as it is" as agent-node-2 create --validate=false -f "$(features $name)"
    refused "$(by_rbac patch configmaps)" "no agent changes it" \
        as agent-node-1 -n apparmor-system patch configmap $name --type=merge -p '{"data": {"features": ""}}'
    refused "$(by_rbac delete configmaps)" "or deletes it" as agent-node-1 -n apparmor-system delete configmap $name
    refused "$FEATURES_POLICY.*named apparmor-features-" "under any other name" \
        as agent-node-1 create --validate=false -f "$(features kube-root-ca)"
    refused "$FEATURES_POLICY.*named apparmor-features-" "or with more behind it" \
        as agent-node-1 create --validate=false -f "$(features ${name}0)"
    name=apparmor-features-fedcba9876543210fedcba9876543210
    refused "$FEATURES_POLICY.*16384" "larger than any features" as agent-node-1 create --validate=false \
        -f "$(features $name '.data.features = ("x" * 16385)')"
    refused "$FEATURES_POLICY.*the key features alone" "with more in it" as agent-node-1 create --validate=false \
        -f "$(features $name '.data.more = "x"')"
    refused "$FEATURES_POLICY.*the key features alone" "with data of another kind" as agent-node-1 create --validate=false \
        -f "$(features $name '.binaryData.x = "eA=="')"
    refused "$FEATURES_POLICY.*immutable" "that could be changed" as agent-node-1 create --validate=false \
        -f "$(features $name 'del(.immutable)')"
    refused "$FEATURES_POLICY.*immutable" "without its label" as agent-node-1 create --validate=false \
        -f "$(features $name 'del(.metadata.labels)')"
    refused "$FEATURES_POLICY.*immutable" "with finalizers" as agent-node-1 create --validate=false \
        -f "$(features $name '.metadata.finalizers = ["apparmor.io/x"]')"
    credential agent-unbound "$(as admin -n apparmor-system create token apparmor-agent)"
    refused "$FEATURES_POLICY.*bound to no node" "with a token of no node" \
        as agent-unbound create --validate=false -f "$(features $name)"

    refused "'controller-features.apparmor.io'.*only those with kernel features" "the controller deletes no other ConfigMap" \
        as controller -n apparmor-system delete configmap kube-root-ca.crt
    allowed "but those with features" \
        as controller -n apparmor-system delete configmap apparmor-features-0123456789abcdef0123456789abcdef
    features_end
}

quota_counts() { [ -n "$(as admin -n apparmor-system get resourcequota apparmor-features -o jsonpath='{.status.used}')" ]; }

# There is an end to what a hostile agent can add.
features_end() {
    local i
    as admin -n apparmor-system patch resourcequota apparmor-features --type=merge \
        -p '{"spec": {"hard": {"count/configmaps": "3"}}}' >/dev/null
    eventually 30 quota_is 3
    for i in 1 2 3 4; do
        as agent-node-1 create --validate=false -f "$(features "apparmor-features-0000000000000000000000000000000$i")" \
            >/dev/null 2>&1
    done
    refused "exceeded quota: apparmor-features" "beyond the quota none can be added" as agent-node-1 create \
        --validate=false -f "$(features apparmor-features-00000000000000000000000000000009)"
    as admin -n apparmor-system delete configmap -l apparmor.io/features >/dev/null
    as admin apply --server-side --force-conflicts -f deploy/base/quota.yaml >/dev/null
}
quota_is() { [ "$(as admin -n apparmor-system get resourcequota apparmor-features -o jsonpath='{.status.hard.count/configmaps}')" = "$1" ]; }
