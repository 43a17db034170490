# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The admission webhooks as the API server calls them: those of deploy/components/webhooks, through the Service, with two
# controllers on this machine as its endpoints. pods.jsonl is the table of pods, here as requests; tests/unit has it, too.

WEBHOOK_PORT=$((20000 + RANDOM % 10000))
WEBHOOK_ADDRESS=$(hostname -I 2>/dev/null | awk '{ print $1 }')
WEBHOOK_ADDRESS=${WEBHOOK_ADDRESS:-127.0.0.1}
WEBHOOK_SECRET=apparmor-webhooks
declare -A CONTROLLER=()

# --- the controllers ----------------------------------------------------------------

webhooks_start() { # REPLICA [FLAG...]
    local replica=$1
    shift
    POD_NAME=controller-$replica "$BUILD/apparmor-controller" --kubeconfig="$DIR/controller.kubeconfig" \
        --lease-namespace=apparmor-system --listen="127.0.0.1:$((WEBHOOK_PORT + 2 + ${#CONTROLLER[@]}))" \
        --webhook-listen=":$((WEBHOOK_PORT + ${#CONTROLLER[@]}))" --webhook-host=127.0.0.1 \
        --log-format=json "$@" >>"$WORK/controller-$replica.log" 2>&1 &
    CONTROLLER[$replica]=$!
}
webhooks_stop() { # REPLICA
    kill -TERM "${CONTROLLER[$1]}"
    wait "${CONTROLLER[$1]}"
}
webhooks_ready() { curl -sf --max-time 5 -o /dev/null "http://127.0.0.1:$((WEBHOOK_PORT + 2 + $1))/readyz"; }
# asked REPLICA: what it says of a pod without a profile, to somebody who trusts what the Secret says
asked() {
    secret_field ca.crt >"$WORK/authority.crt"
    jq -n '{apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {uid: "u", kind: {kind: "Pod"},
        operation: "CREATE", namespace: "x", object: {spec: {containers: [{name: "main"}]}}}}' |
        curl -s --max-time 30 --cacert "$WORK/authority.crt" -H 'Content-Type: application/json' --data-binary @- \
            --connect-to "::127.0.0.1:$((WEBHOOK_PORT + $1))" \
            https://apparmor-controller.apparmor-system.svc/pods/enforce/confined | jq -c .response.allowed
}
webhooks_metric() { # SERIES: of both
    local i
    for i in 0 1; do curl -s --max-time 5 "http://127.0.0.1:$((WEBHOOK_PORT + 2 + i))/metrics"; done |
        awk -v series="$1" '$1 == series { sum += $2 } END { print sum + 0 }'
}

# The endpoints of the Service, as a cluster has them of its pods: the API server takes one or the other at random. On a
# machine without any address but loopback, which endpoints may not have, the first replica's URL stands for the Service.
webhooks_connect() {
    local i kind
    for kind in validating mutating; do
        as admin get "${kind}webhookconfiguration" apparmor-operator -o json >"$WORK/$kind.json"
    done
    if [ "$WEBHOOK_ADDRESS" = 127.0.0.1 ]; then
        for kind in validating mutating; do
            jq --arg base "https://127.0.0.1:$WEBHOOK_PORT" 'del(.metadata.managedFields) |
                .webhooks[].clientConfig |= ({url: ($base + .service.path)})' "$WORK/$kind.json" |
                as admin replace -f - >/dev/null || return 1
        done
        return
    fi
    for i in 0 1; do
        jq -n --arg name "webhooks-test-$i" --arg address "$WEBHOOK_ADDRESS" --argjson port $((WEBHOOK_PORT + i)) '{
            apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: (if $address | contains(":") then "IPv6" else "IPv4" end),
            metadata: {$name, namespace: "apparmor-system", labels: {"kubernetes.io/service-name": "apparmor-controller",
                "endpointslice.kubernetes.io/managed-by": "tests"}},
            endpoints: [{addresses: [$address], conditions: {ready: true}}], ports: [{name: "webhooks", $port, protocol: "TCP"}]}' |
            as admin apply -f - >/dev/null || return 1
    done
}
webhooks_disconnect() {
    local kind
    as admin delete endpointslice -n apparmor-system --ignore-not-found webhooks-test-0 webhooks-test-1 >/dev/null
    for kind in validating mutating; do
        jq 'del(.metadata.resourceVersion, .metadata.uid, .metadata.managedFields)' "$WORK/$kind.json" |
            as admin replace -f - >/dev/null
    done
}
bundles() { # all of them, each once
    as admin get validatingwebhookconfiguration,mutatingwebhookconfiguration apparmor-operator -o json |
        jq -r '[.items[].webhooks[].clientConfig.caBundle // "none"] | unique | join(" ")'
}
bundles_are_secret() {
    local secret
    secret=$(as admin get secret -n apparmor-system apparmor-webhooks -o json |
        jq -r '[.data | ."previous-ca.crt", ."ca.crt", ."next-ca.crt" | select(. != null) | @base64d] | add | @base64')
    [ -n "$secret" ] && [ "$(bundles)" = "$secret" ]
}

# --- requests ---------------------------------------------------------------------------

# api METHOD PATH [TYPE FILE]: by the administrator; the answer on standard output.
api() {
    curl -s --max-time 30 --cacert "$WORK/ca.crt" --cert "$WORK/admin.crt" --key "$WORK/admin.key" -X "$1" \
        ${3:+-H "Content-Type: application/$3" --data-binary "@$4"} "$SERVER$2"
}
credentials() {
    as admin config view --raw --minify -o json >"$WORK/admin.json"
    jq -r '.clusters[0].cluster."certificate-authority-data"' "$WORK/admin.json" | base64 -d >"$WORK/ca.crt"
    jq -r '.users[0].user."client-certificate-data"' "$WORK/admin.json" | base64 -d >"$WORK/admin.crt"
    jq -r '.users[0].user."client-key-data"' "$WORK/admin.json" | base64 -d >"$WORK/admin.key"
    SERVER=$(jq -r '.clusters[0].cluster.server' "$WORK/admin.json")
}

webhooks_namespace() { # NAME LABEL...
    local name=$1 labels
    shift
    labels=$(printf ', apparmor.io/%s' "$@")
    as admin create -f "$(manifest "namespace-$name" <<END
apiVersion: v1
kind: Namespace
metadata: {name: $name, labels: {apparmor.io/test: admission${labels//=/: }}}
END
)" >/dev/null
    # Where the scheduler's controllers are slow, pods would be refused for the account.
    as admin create serviceaccount default -n "$name" >/dev/null 2>&1
}

# --- the table -------------------------------------------------------------------------------

# table NAMESPACE LEVEL MODE: each row that the API server itself takes is created as a dry run; the verdict and what the
# pod's affinity has become are as the row says. Before it asks for a verdict it makes fields of annotations.
table() {
    local namespace=$1 level=$2 mode=$3 wrong rows
    mkdir -p "$WORK/table"
    rm -f "$WORK"/table/*
    jq -c 'select(.live != false)' tests/admission/pods.jsonl >"$WORK/table/rows"
    jq -c '.pod * {apiVersion: "v1", kind: "Pod", metadata: {generateName: "row-"}}' "$WORK/table/rows" |
        split -l 1 -a 3 -d - "$WORK/table/pod-"
    local pod
    for pod in "$WORK"/table/pod-*; do
        printf 'next\nurl = "%s/api/v1/namespaces/%s/pods?dryRun=All"\ncacert = "%s"\ncert = "%s"\nkey = "%s"\n' \
            "$SERVER" "$namespace" "$WORK/ca.crt" "$WORK/admin.crt" "$WORK/admin.key"
        printf 'header = "Content-Type: application/json"\ndata-binary = "@%s"\noutput = "%s"\nmax-time = 30\n' \
            "$pod" "${pod/pod-/answer-}"
    done | sed 1d >"$WORK/table/requests"
    curl -s -K "$WORK/table/requests"
    rows=$(wc -l <"$WORK/table/rows")
    for pod in "$WORK"/table/answer-*; do jq -c . "$pod"; done >"$WORK/table/answers"
    wrong=$(jq -c -n --arg level "$level" --arg mode "$mode" --slurpfile rows "$WORK/table/rows" \
        --slurpfile answers "$WORK/table/answers" '
        def apply($patch): reduce ($patch // [])[] as $o (.;
            ($o.path | split("/")[1:] | map(if test("^[0-9]+$") then tonumber else . end)) as $path |
            if $path[-1] == "-" then setpath($path[:-1]; getpath($path[:-1]) + [$o.value]) else setpath($path; $o.value) end);
        range($rows | length) as $i | $rows[$i] as $row | $answers[$i] as $answer | $row[$level] as $offending |
        if $offending != [] then
            select(($answer.code != 403) or ($answer.message | contains($offending | join(", ") | gsub(" by its annotation"; "")) | not))
        else
            select(($answer.kind != "Pod") or
                $answer.spec.affinity != ($row.pod | apply($row[$mode]) | .spec.affinity))
        end | {name: $row.name, $offending, expected: ($row.pod | apply($row[$mode]) | .spec.affinity),
            found: ($answer.message // $answer.spec.affinity)}')
    if [ -z "$wrong" ] && [ "$rows" -ge 130 ] && [ "$(wc -l <"$WORK/table/answers")" = "$rows" ]; then
        ok "$rows pods in a namespace with enforce=$level and scheduling=$mode: verdicts and affinity"
    else
        not_ok "$rows pods in a namespace with enforce=$level and scheduling=$mode" "$wrong"
    fi
}

# --- what people see -----------------------------------------------------------------------------

pod_of() { # NAME [SPEC-FIELDS]: as a template's content
    printf 'metadata: {name: %s, labels: {app: x}}\nspec: {%scontainers: [{name: main, image: busybox}]}\n' "$1" "${2:-}"
}
workload() { # KIND
    local template='{metadata: {labels: {app: x}}, spec: {restartPolicy: Always, containers: [{name: main, image: busybox}]}}'
    local selector='selector: {matchLabels: {app: x}}, ' version=apps/v1 spec
    case $1 in
    Job | CronJob) template=${template/Always/Never} version=batch/v1 selector= ;;
    StatefulSet) selector+='serviceName: x, ' ;;
    ReplicationController) version=v1 selector= ;;
    esac
    spec="{${selector}template: $template}"
    case $1 in
    CronJob) spec="{schedule: '0 0 * * *', jobTemplate: {spec: $spec}}" ;;
    PodTemplate) printf 'apiVersion: v1\nkind: PodTemplate\nmetadata: {name: x}\ntemplate: %s\n' "$template"; return ;;
    esac
    printf 'apiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec: %s\n' "$version" "$1" "$spec"
}

# says WHAT EXPECTED COMMAND...: it succeeds, and its output, warnings included, has that.
says() {
    local what=$1 expected=$2 output
    shift 2
    if output=$("$@" 2>&1) && [[ $output == *"$expected"* ]]; then
        ok "$what"
    else
        not_ok "$what" "$output"
    fi
}
# The same without a word of ours.
says_nothing() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1) && [[ $output != *Warning* ]]; then
        ok "$what"
    else
        not_ok "$what" "$output"
    fi
}

webhooks_levels() {
    local kind pod
    pod=$(printf 'apiVersion: v1\nkind: Pod\n%s\n' "$(pod_of x)" | manifest plain-pod)
    refused 'admission webhook "enforce-confined\.apparmor\.io" denied the request: namespace "webhook-confined" has apparmor\.io/enforce=confined: container "main" has no profile; write securityContext\.appArmorProfile, \{type: RuntimeDefault\}' \
        'a pod without a profile is refused, and told what to write' as admin create -n webhook-confined -f "$pod"
    for kind in Deployment ReplicaSet StatefulSet DaemonSet Job CronJob ReplicationController PodTemplate; do
        says "a $kind is told that its pods will be refused" \
            "Warning: pods of this $kind will be refused, as namespace \"webhook-confined\" has apparmor.io/enforce=confined: container \"main\" has no profile" \
            as admin create --dry-run=server -n webhook-confined -f "$(workload "$kind" | manifest workload)"
        says "a $kind is warned where that is asked for" \
            'namespace "webhook-warn" has apparmor.io/warn=managed: container "main" has no profile' \
            as admin create --dry-run=server -n webhook-warn -f "$(workload "$kind" | manifest workload)"
    done
    says 'a pod is warned' 'Warning: namespace "webhook-warn" has apparmor.io/warn=managed: container "main" has no profile' \
        as admin create --dry-run=server -n webhook-warn -f "$pod"
    says_nothing 'a pod in a namespace without labels is nobody'"'"'s business' \
        as admin create --dry-run=server -n webhook-plain -f "$pod"
    says_nothing 'the level unrestricted asks for nothing' \
        as admin create --dry-run=server -n webhook-unrestricted -f "$pod"
    webhooks_updates
    webhooks_ephemeral
    webhooks_audit "$pod"
}

# What controllers do all the time to what they keep.
webhooks_updates() {
    as admin create -n webhook-warn -f "$(workload Deployment | manifest workload)" >/dev/null 2>&1
    says_nothing 'a Deployment whose template stays is not warned again' \
        as admin scale -n webhook-warn deployment/x --replicas=0
    says 'one whose template changes is' 'Warning: pods would not keep to it' \
        as admin set image -n webhook-warn deployment/x main=other
    as admin delete -n webhook-warn deployment/x --wait=false >/dev/null
}

ephemeral() { # FIELD
    as admin patch pod main -n webhook-confined --subresource=ephemeralcontainers -p \
        '{"spec": {"ephemeralContainers": [{"name": "debug-'"$RANDOM"'", "image": "busybox"'"$1"'}]}}'
}
webhooks_ephemeral() {
    as admin create -n webhook-confined -f "$(manifest confined-pod <<'END'
apiVersion: v1
kind: Pod
metadata: {name: main}
spec: {containers: [{name: main, image: busybox, securityContext: {appArmorProfile: {type: RuntimeDefault}}}]}
END
)" >/dev/null
    refused 'ephemeral container "debug-[0-9]*" has no profile' 'an ephemeral container without a profile is refused' ephemeral ''
    refused 'ephemeral container "debug-[0-9]*" is Unconfined' 'an Unconfined one, too' \
        ephemeral ', "securityContext": {"appArmorProfile": {"type": "Unconfined"}}'
    allowed 'a confined one is added' ephemeral ', "securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}'
    refused 'may not (add|remove or update) AppArmor annotations' 'annotations for profiles cannot be changed later' \
        as admin annotate pod main -n webhook-confined container.apparmor.security.beta.kubernetes.io/main=unconfined
    as admin delete pod main -n webhook-confined --grace-period=0 --force >/dev/null 2>&1
}

webhooks_audit() { # POD-FILE
    says_nothing 'where only audit is asked for, nobody is told' as admin create --dry-run=server -n webhook-audit -f "$1"
    equal 'but the audit log is' 'apparmor.io/audit=confined: container "main" has no profile' audited
}
audited() {
    jq -r 'select(.objectRef.namespace == "webhook-audit") | .annotations["audit-confined.apparmor.io/violations"] // empty' \
        "$DIR/audit.log" | sed 's/;.*//' | sort -u
}

# --- who is not asked ---------------------------------------------------------------------------------

webhooks_exemptions() {
    local pod mirror
    pod=$(printf 'apiVersion: v1\nkind: Pod\n%s\n' "$(pod_of x)" | manifest plain-pod)
    allowed 'an exempt user is not held to the level' \
        as admin --as=exempt-user --as-group=system:masters create --dry-run=server -n webhook-confined -f "$pod"
    refused 'has no profile' 'another is' \
        as admin --as=other-user --as-group=system:masters create --dry-run=server -n webhook-confined -f "$pod"
    allowed 'an exempt namespace is not held to it' as admin create --dry-run=server -n webhook-exempt -f "$pod"
    as admin create -f "$(manifest runtime-class <<'END'
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: vm, labels: {apparmor.io/test: admission}}
handler: vm
END
)" >/dev/null
    allowed 'nor is an exempt runtime class' as admin create --dry-run=server -n webhook-confined -f \
        "$(printf 'apiVersion: v1\nkind: Pod\n%s\n' "$(pod_of x 'runtimeClassName: vm, ')" | manifest vm-pod)"
    as admin delete runtimeclass vm >/dev/null
    mirror=$(manifest mirror <<'END'
apiVersion: v1
kind: Pod
metadata: {name: x-node-1, annotations: {kubernetes.io/config.mirror: abc, kubernetes.io/config.source: file}}
spec: {nodeName: node-1, enableServiceLinks: false, automountServiceAccountToken: false, containers: [{name: main, image: busybox}]}
END
)
    refused 'has no profile' 'the annotation of a mirror pod exempts nobody' \
        as admin create --dry-run=server -n webhook-confined -f "$mirror"
    jq -n --argjson pod "$(as admin create --dry-run=client -o json -f "$mirror")" --arg uid \
        "$(as admin get node node-1 -o jsonpath='{.metadata.uid}')" '$pod | .metadata.namespace = "webhook-confined" | .metadata.ownerReferences = [{apiVersion: "v1",
        kind: "Node", name: "node-1", $uid, controller: true}]' >"$WORK/mirror.json"
    allowed 'a kubelet shows its static pod' as admin --as=system:node:node-1 --as-group=system:nodes create \
        --dry-run=server -n webhook-confined -f "$WORK/mirror.json"
}

# --- scheduling -----------------------------------------------------------------------------------------

confined_pod() { # NAME PROFILE [ANNOTATION]
    manifest "pod-$1" <<END
apiVersion: v1
kind: Pod
metadata: {name: $1, annotations: {${3:-}}}
spec:
  securityContext: {appArmorProfile: {type: Localhost, localhostProfile: $2}}
  containers: [{name: main, image: busybox}]
END
}
pod_node() { as admin get pod -n "$1" "$2" -o jsonpath='{.spec.nodeName}'; }
is_on() { [ "$(pod_node "$1" "$2")" = "$3" ]; }
is_pending() {
    [ "$(as admin get pod -n "$1" "$2" -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].reason}')" = Unschedulable ]
}
node_has() { patch_node "agent-$1" "$1" "{\"metadata\": {\"labels\": {\"apparmor.io/profile-$2\": $3}}}" >/dev/null; }

webhooks_scheduling() {
    says 'who names a profile that is not there is told' \
        'Warning: no AppArmorProfile declares the Localhost profile "later": on a node that does not have it' \
        as admin create --dry-run=server -n webhook-plain -f "$(confined_pod early later)"
    says 'where pods wait, they wait for a profile that comes later' \
        'Warning: no AppArmorProfile declares the profile "later": the pod waits until a node has the label apparmor.io/profile-later' \
        as admin create -n webhook-required -f "$(confined_pod early later)"
    eventually 30 is_pending webhook-required early && ok 'the scheduler has no node for it'
    node_has node-2 later '"true"'
    eventually 30 is_on webhook-required early node-2 && ok 'and takes the first that has the profile'
    node_has node-2 later null

    says 'who names a profile that no node has yet is told' 'Warning: no node has loaded the profile "web" yet' \
        as admin create --dry-run=server -n webhook-plain -f "$(confined_pod x web)"
    node_has node-1 web '"true"'
    as admin create -n webhook-plain -f "$(confined_pod preferring web)" >/dev/null 2>&1
    eventually 30 is_on webhook-plain preferring node-1 && ok 'elsewhere pods come to a node that has it, too'
    node_has node-1 web null
    as admin create -n webhook-plain -f "$(confined_pod alone web)" >/dev/null 2>&1
    eventually 30 scheduled webhook-plain alone && ok 'but wait for nothing'
    equal 'a pod may ask for nothing' null \
        affinity webhook-required "$(confined_pod free web 'apparmor.io/scheduling: disabled')"
    equal 'a namespace, too' null affinity webhook-disabled "$(confined_pod free web)"
    as admin delete pod -n webhook-required early --grace-period=0 --force >/dev/null 2>&1
    as admin delete pod -n webhook-plain preferring alone --grace-period=0 --force >/dev/null 2>&1
}
scheduled() { [ -n "$(pod_node "$1" "$2")" ]; }
affinity() { as admin create --dry-run=server -o json -n "$1" -f "$2" 2>/dev/null | jq -c .spec.affinity; }

# --- what webhooks are not called for -------------------------------------------------------------------------

reviews() { # of both controllers, whatever came of them
    local i
    for i in 0 1; do curl -s --max-time 5 "http://127.0.0.1:$((WEBHOOK_PORT + 2 + i))/metrics"; done |
        awk '$1 ~ /^apparmor_admission_requests_total/ { sum += $2 } END { print sum + 0 }'
}
webhooks_not_called() {
    local before namespace default
    before=$(reviews)
    default=$(manifest default-pod <<'END'
apiVersion: v1
kind: Pod
metadata: {name: x}
spec: {securityContext: {appArmorProfile: {type: RuntimeDefault}}, containers: [{name: main, image: busybox}]}
END
)
    allowed 'a pod without a profile, where nothing is asked for' \
        as admin create --dry-run=server -n webhook-plain -f "$WORK/plain-pod.yaml"
    for namespace in plain required confined managed warn audit; do
        allowed "a pod with the runtime's profile, in webhook-$namespace" \
            as admin create --dry-run=server -n "webhook-$namespace" -f "$default"
    done
    for namespace in kube-system apparmor-system; do
        allowed "a pod with a profile, in $namespace" \
            as admin create --dry-run=server -n "$namespace" -f "$(confined_pod x web)"
    done
    equal 'no webhook was called for them' "$before" reviews
    as admin create --dry-run=server -n webhook-plain -f "$(confined_pod x web)" >/dev/null 2>&1
    equal 'but is for a pod that names a profile' $((before + 1)) reviews
}

# --- profiles come and go ----------------------------------------------------------------------------------

webhooks_managed() {
    local pod
    pod=$(confined_pod x admission-late)
    refused 'apparmor\.io/enforce=managed: container "main" asks for the Localhost profile "admission-late" by the pod.s securityContext; no AppArmorProfile declares that profile: apply one' \
        'a profile that nobody manages is refused' as admin create --dry-run=server -n webhook-managed -f "$pod"
    # One file, as people write it: the pod comes a moment after its profile.
    { webhooks_profile admission-late | jq -c . && echo --- && cat "$pod"; } >"$WORK/both.yaml"
    allowed 'a profile and its pod may be applied together' as admin create -n webhook-managed -f "$WORK/both.yaml"
    as admin delete -n webhook-managed -f "$WORK/both.yaml" --grace-period=0 --force >/dev/null 2>&1
    eventually 10 fails as admin create --dry-run=server -n webhook-managed -f "$pod" &&
        ok 'a profile that is deleted is managed no more'
}

# --- AppArmorProfiles ------------------------------------------------------------------------------------------

# with_policy NAME TEXT [JQ-FILTER]: a manifest
with_policy() {
    jq -n --arg name "$1" --arg text "$2" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile",
        metadata: {$name, labels: {"apparmor.io/test": "admission"}}, spec: {policy: $text}}' | jq "${3:-.}" |
        manifest "profile-$1"
}
compiles() { webhooks_metric 'apparmor_controller_compile_duration_seconds_count{outcome="accepted"}'; }
events_about() { as admin get events -n default --field-selector "involvedObject.name=$1" -o name | wc -l; }

webhooks_policies() {
    local before text what
    refused 'admission webhook "profiles\.apparmor\.io" denied the request: spec\.policy: CompileError: line 3: .*
.*3 \|   /srv/\*\* zz,' 'policy with a mistake is refused, with the line' \
        as admin create -f "$(with_policy mistake $'# text\nprofile mistake {\n  /srv/** zz,\n}\n')"
    refused '.*\^' 'and a caret' as admin create -f "$WORK/profile-mistake.yaml"
    refused 'spec\.policy: ForbiddenInclude: ' 'an include of something else is refused' \
        as admin create -f "$(with_policy include $'include "/etc/passwd"\nprofile include { }')"
    refused 'HostAttachment' 'attachment to the host is refused' \
        as admin create -f "$(with_policy attach 'profile attach /usr/bin/x { }')"
    says 'and told where the switch allows it' 'Warning: spec.policy: profile "attach" attaches to' \
        as admin create --dry-run=server -f "$(with_policy attach 'profile attach /usr/bin/x { }' '.spec.allowHostAttachment = true')"
    says 'and told what adopting means' 'Warning: spec.adopt: where a node has profile "adopt" from elsewhere' \
        as admin create --dry-run=server -f "$(with_policy adopt 'profile adopt { }' '.spec.adopt = true')"
    refused 'the profile name "apparmor\.io\.x" is reserved' 'names of the operator are refused' \
        as admin create -f "$(with_policy reserved 'profile apparmor.io.x { }')"
    refused 'the profile name "cri-containerd\.apparmor\.d" is taken' 'and those of container runtimes' \
        as admin create -f "$(with_policy runtime 'profile cri-containerd.apparmor.d { }')"
    refused 'AppArmorProfile "shop" declares the profile "shop-a", too, and both are for all nodes' \
        'one that another object has everywhere is refused' as admin create -f "$(with_policy second 'profile shop-a { }')"
    says 'but for a replacement that is announced' 'Warning: AppArmorProfile "shop" declares the profile "shop-a", too' as admin create \
        --dry-run=server -f "$(with_policy second 'profile shop-a { }' '.metadata.annotations = {"apparmor.io/replaces": "shop"}')"
    says 'and for some nodes alone' 'Warning: AppArmorProfile "shop" declares the profile "shop-a", too' as admin create \
        --dry-run=server -f "$(with_policy second 'profile shop-a { }' '.spec.nodeSelector = {matchLabels: {pool: "a"}}')"
    # As many characters as there may be bytes, of which one takes two.
    { printf 'profile large {}\n#\303\266' && head -c 262125 /dev/zero | tr '\0' 'x'; } >"$WORK/large.policy"
    jq -R -s '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile", metadata: {name: "large"}, spec: {policy: .}}' \
        "$WORK/large.policy" >"$WORK/large.json"
    refused 'bytes' 'sizes are those of bytes' as admin create --dry-run=server -f "$WORK/large.json"
    before=$(compiles)
    text=$(with_policy dry 'profile dry { /srv/dry r, }')
    says_nothing 'what is fine is taken without a word' as admin create --dry-run=server -f "$text"
    allowed 'a dry run has the same verdict again' as admin create --dry-run=server -f "$text"
    equal 'and leaves nothing behind' "$((before + 2)) 0" echo "$(compiles) $(events_about dry)"
    webhooks_policy_changes
}

webhooks_policy_changes() {
    as admin create -f "$(with_policy changing 'profile changing { /srv/a r, }')" >/dev/null
    refused 'CompileError: line 1' 'an update is looked at as well' as admin patch aap changing --type=merge \
        -p '{"spec": {"policy": "profile changing { /srv/a zz, }"}}'
    # Stored while no webhook was there to say so.
    as admin get validatingwebhookconfiguration apparmor-operator -o json >"$WORK/now.json"
    jq '.webhooks |= map(select(.name != "profiles.apparmor.io"))' "$WORK/now.json" | as admin replace -f - >/dev/null
    eventually 20 as admin patch aap changing --type=merge -p '{"spec": {"policy": "profile changing {"}, "metadata": {"finalizers": ["example.com/hold"]}}'
    jq 'del(.metadata.resourceVersion)' "$WORK/now.json" | as admin replace -f - >/dev/null
    eventually 20 fails as admin create --dry-run=server -f "$WORK/profile-mistake.yaml"
    allowed 'labels of a bad object may change' as admin label aap changing example.com/x=y
    as admin delete aap changing --wait=false >/dev/null
    allowed 'and its finalizers may go' as admin patch aap changing --type=merge -p '{"metadata": {"finalizers": null}}'

    as admin create -n webhook-plain -f "$(confined_pod user shop-b)" >/dev/null 2>&1
    says 'who deletes a profile that pods use is told which' 'Warning: pods use it: webhook-plain/user; nodes keep its profiles' \
        as admin delete --dry-run=server aap shop
    says_nothing 'who deletes one that nobody uses is not' as admin delete --dry-run=server aap pool-1
    as admin delete pod -n webhook-plain user --grace-period=0 --force >/dev/null 2>&1
}

# --- certificates ------------------------------------------------------------------------------------------

# serving REPLICA: the serial number of the certificate that it shows
serving() {
    openssl s_client -connect "127.0.0.1:$((WEBHOOK_PORT + $1))" </dev/null 2>/dev/null | openssl x509 -noout -serial
}
serves_another() { local now; now=$(serving "$1") && [ -n "$now" ] && [ "$now" != "$2" ]; }
secret_field() { as admin get secret -n apparmor-system "$WEBHOOK_SECRET" -o json | jq -r ".data[\"$1\"] // \"\" | @base64d"; }
not_staged() { [ -z "$(secret_field next-tls.crt)" ]; }

# Reviews without a pause, each of which is to be refused by the webhook and by nothing else, until the file is gone.
traffic() { # FILE
    local answer
    while [ -e "$1" ]; do
        answer=$(api POST "/api/v1/namespaces/webhook-confined/pods?dryRun=All" json "$WORK/traffic.json")
        if [[ $answer == *'has no profile'* ]]; then echo ok; else echo "$answer"; fi
    done
}

traffic_ends() { # PID
    rm "$WORK/traffic.on"
    wait "$1"
    if [ "$(sort -u "$WORK/traffic.1")" = ok ]; then
        ok "no request of $(wc -l <"$WORK/traffic.1") failed meanwhile"
    else
        not_ok 'no request failed meanwhile' "$(sort "$WORK/traffic.1" | uniq -c | head -n 5)"
    fi
}

foreign_bundle() {
    as admin get validatingwebhookconfiguration apparmor-operator -o json | jq 'del(.metadata.resourceVersion) |
        .webhooks[].clientConfig.caBundle = "'"$(base64 -w0 <"$WORK/ca.crt")"'"' | as admin replace -f - >/dev/null
}
bundle_writes() { # of the controllers
    jq -r 'select(.user.username == "system:serviceaccount:apparmor-system:apparmor-controller" and .verb == "patch") |
        select(.objectRef.resource == "validatingwebhookconfigurations") | .verb' "$DIR/audit.log" | wc -l
}
# Something that keeps writing its own is answered ever more rarely, by each replica for itself.
webhooks_fight() {
    local before i
    before=$(bundle_writes)
    for i in $(seq 20); do foreign_bundle; done
    eventually 40 bundles_are_secret && ok 'also one that somebody keeps writing'
    i=$(($(bundle_writes) - before))
    if [ "$i" -le 12 ]; then ok "20 foreign bundles cost $i writes of two replicas"; else not_ok "20 foreign bundles cost $i writes" ""; fi
}
webhooks_certificates() {
    local before answers
    eventually 20 bundles_are_secret && ok 'all webhooks are told whom to trust'
    [ -n "$(serving 0)" ] && equal 'both replicas serve one certificate' "$(serving 0)" serving 1
    foreign_bundle
    eventually 20 bundles_are_secret && ok 'a bundle that somebody else wrote is put right'
    webhooks_fight

    before=$(serving 0)
    jq -n '{apiVersion: "v1", kind: "Pod", metadata: {generateName: "x-"}, spec: {containers: [{name: "main", image: "x"}]}}' \
        >"$WORK/traffic.json"
    eventually 20 fails as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
    touch "$WORK/traffic.on"
    traffic "$WORK/traffic.on" >"$WORK/traffic.1" &
    answers=$!
    as admin annotate secret -n apparmor-system apparmor-webhooks apparmor.io/rotate-certificate=true >/dev/null
    eventually 40 serves_another 0 "$before" && eventually 40 serves_another 1 "$before" &&
        ok 'a new certificate is served by both replicas'
    equal 'the same' "$(serving 0)" serving 1
    eventually 20 bundles_are_secret && eventually 20 not_staged && ok 'and trusted, as is the one before'
    equal 'two authorities are trusted' 2 grep -c BEGIN "$(as admin get mutatingwebhookconfiguration apparmor-operator \
        -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d | manifest bundle)"
    traffic_ends "$answers"
    webhooks_foreign_certificate
}

# As cert-manager leaves it.
webhooks_foreign_certificate() {
    local before
    before=$(serving 0)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=foreign \
        -addext subjectAltName=DNS:apparmor-controller.apparmor-system.svc,IP:127.0.0.1 -keyout "$WORK/foreign.key" -out "$WORK/foreign.crt" 2>/dev/null
    jq -n --rawfile crt "$WORK/foreign.crt" --rawfile key "$WORK/foreign.key" '{apiVersion: "v1", kind: "Secret", metadata:
        {name: "apparmor-webhooks", namespace: "apparmor-system"}, type: "Opaque", data: {"ca.crt": ($crt | @base64),
        "tls.crt": ($crt | @base64), "tls.key": ($key | @base64)}}' | as admin replace -f - >/dev/null
    eventually 20 serves_another 0 "$before" && ok "somebody else's certificate is served"
    eventually 20 bundles_are_secret && ok 'and trusted'
    eventually 20 fails as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
    refused 'has no profile' 'and the webhooks are called' \
        as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
}

# --- what is not meant well ---------------------------------------------------------------------------------

direct() { # EXPECTED-STATUS CURL-ARGUMENT...
    local expected=$1
    shift
    [ "$(curl -sk --max-time 30 -o /dev/null -w '%{http_code}' "$@" "https://127.0.0.1:$WEBHOOK_PORT/pods/enforce/confined")" = "$expected" ]
}
webhooks_abuse() {
    local fd i fds=()
    head -c 10485760 /dev/zero | tr '\0' ' ' >"$WORK/large"
    allowed 'a body of 10 MB is refused' direct 413 -H 'Content-Type: application/json' --data-binary "@$WORK/large"
    allowed 'one that is no JSON' direct 400 -H 'Content-Type: application/json' --data-binary '{"kind":'
    allowed 'one that is no AdmissionReview' direct 400 -H 'Content-Type: application/json' --data-binary '{"kind":"Pod"}'
    allowed 'one of another type' direct 415 -H 'Content-Type: application/yaml' --data-binary 'kind: AdmissionReview'
    allowed 'another method' direct 405 -X GET
    # More connections than are taken that say nothing, say it slowly, or say what is no TLS. The server may be done with one
    # before we are.
    trap '' PIPE
    for i in $(seq 600); do
        exec {fd}<>"/dev/tcp/127.0.0.1/$WEBHOOK_PORT" && fds+=("$fd")
        [ $((i % 3)) != 1 ] || printf 'POST /pods HTTP/1.1\r\n' >&"$fd"
        [ $((i % 3)) != 2 ] || printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0' >&"$fd"
    done 2>/dev/null
    refused 'has no profile' "beside ${#fds[@]} connections that are no good, reviews are answered" \
        as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
    for fd in "${fds[@]}"; do exec {fd}>&-; done 2>/dev/null
    trap - PIPE
    webhooks_slow
    webhooks_http2
}

raw_tls() { timeout 60 openssl s_client -connect "127.0.0.1:$WEBHOOK_PORT" "$@"; }
# Many who have begun a request, well encrypted, and do not go on: half of the headers, half of a body.
webhooks_slow() {
    local i hold pids=()
    printf 'POST /pods/enforce/confined HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' >"$WORK/slow-0"
    { cat "$WORK/slow-0" && printf 'Content-Length: 1000000\r\n\r\n{"kind":'; } >"$WORK/slow-1"
    rm -f "$WORK"/slow-*.log "$WORK/hold"
    mkfifo "$WORK/hold"
    exec {hold}<>"$WORK/hold"
    for i in $(seq 32); do
        # Who had the other end would never see it closed.
        { cat "$WORK/slow-$((i % 2))" "$WORK/hold" | raw_tls -brief >"$WORK/slow-$i.log" 2>&1; } {hold}>&- &
        pids+=($!)
    done
    eventually 30 slow_are_connected
    refused 'has no profile' 'beside requests that never end, reviews are answered' \
        as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
    exec {hold}>&-
    wait "${pids[@]}"
}
slow_are_connected() { [ "$(cat "$WORK"/slow-*.log | grep -c '^CONNECTION ESTABLISHED')" = 32 ]; }

# A million empty DATA frames, from each of some who speak HTTP/2 and nothing else: they are not understood, and let go.
webhooks_http2() {
    local i pids=() status=0
    equal 'who offers HTTP/2 gets HTTP/1.1' '1.1 405' curl -sk --max-time 30 --http2 -o /dev/null -w '%{http_version} %{http_code}' \
        "https://127.0.0.1:$WEBHOOK_PORT/pods/enforce/confined"
    for i in $(seq 8); do
        { printf 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' && head -c 9000000 /dev/zero; } 2>/dev/null |
            raw_tls -quiet -alpn h2 >/dev/null 2>&1 &
        pids+=($!)
    done
    refused 'has no profile' 'in a flood of HTTP/2 frames, reviews are answered' \
        as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
    for i in "${pids[@]}"; do
        wait "$i"
        [ $? != 124 ] || status=1
    done
    equal 'and the flood is cut off' 0 echo "$status"
}

# --- without controllers -------------------------------------------------------------------------------------

webhooks_down() {
    local replica status
    # Sanitizers tell at the end of leaks.
    for replica in a b; do
        status=0
        webhooks_stop "$replica" || status=$?
        equal "a controller that is told to end ends well" 0 echo "$status"
    done
    as admin create -n webhook-plain -f "$WORK/plain-pod.yaml" >/dev/null
    eventually 30 scheduled webhook-plain x && ok 'without controllers, pods start in namespaces without labels'
    as admin delete pod -n webhook-plain x --grace-period=0 --force >/dev/null 2>&1
    allowed 'those that name a profile, too' \
        as admin create --dry-run=server -n webhook-plain -f "$(confined_pod x web)"
    allowed 'pods that want to wait for one' as admin create --dry-run=server -n webhook-required -f "$(confined_pod x web)"
    allowed 'and pods where a level is warned of' as admin create --dry-run=server -n webhook-warn -f "$WORK/plain-pod.yaml"
    allowed 'where a level is enforced, those that plainly keep to it' as admin create --dry-run=server -n webhook-confined \
        -f "$(confined_pod x web)"
    allowed 'and what makes pods' as admin create --dry-run=server -n webhook-confined -f "$(workload Deployment | manifest workload)"
    refused 'failed calling webhook "enforce-confined\.apparmor\.io"' 'others do not' \
        as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml"
}

suite_webhooks() {
    local replica
    make --no-print-directory -s VARIANT="${BUILD##*/}" "$BUILD/apparmor-controller" || return 1
    credentials
    as admin replace -f - >/dev/null <<'END'
{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "apparmor-webhooks", "namespace": "apparmor-system"}, "type": "Opaque"}
END
    webhooks_connect || { not_ok 'the API server has a way to the webhooks' ''; return; }
    for replica in a b; do
        webhooks_start "$replica" --exempt-user=exempt-user --exempt-namespace=webhook-exempt --exempt-runtime-class=vm
    done
    webhooks_namespace webhook-confined enforce=confined
    webhooks_namespace webhook-managed enforce=managed scheduling=required
    webhooks_namespace webhook-warn warn=managed
    webhooks_namespace webhook-audit audit=confined
    webhooks_namespace webhook-unrestricted enforce=unrestricted warn=unrestricted
    webhooks_namespace webhook-exempt enforce=confined
    webhooks_namespace webhook-required scheduling=required
    webhooks_namespace webhook-disabled scheduling=disabled
    webhooks_namespace webhook-plain test=x
    webhooks_profiles
    eventually 20 webhooks_ready 0 && eventually 20 webhooks_ready 1 && ok 'both replicas make themselves ready'
    printf 'apiVersion: v1\nkind: Pod\n%s\n' "$(pod_of x)" | manifest plain-pod >/dev/null
    eventually 20 webhooks_in_force
    table webhook-confined confined preferred
    table webhook-managed managed required
    webhooks_levels
    equal 'each replica answers' 'false false' echo "$(asked 0) $(asked 1)"
    webhooks_exemptions
    webhooks_scheduling
    webhooks_not_called
    webhooks_managed
    webhooks_policies
    webhooks_abuse
    webhooks_certificates
    webhooks_down
    webhooks_disconnect
    as admin delete aap -l apparmor.io/test=admission --wait=false >/dev/null
    as admin get aap -o name -l apparmor.io/test=admission | xargs -r -n 1 sh -c \
        '"$0" --kubeconfig="$1" patch "$2" --type=merge -p "{\"metadata\": {\"finalizers\": null}}"' "$KUBECTL" \
        "$DIR/admin.kubeconfig" >/dev/null
    if grep -qE 'Sanitizer|runtime error|Assertion' "$WORK"/controller-*.log; then
        not_ok 'the logs of the controllers are clean' \
            "$(grep -hE -m 1 -A 200 'Sanitizer|runtime error|Assertion' "$WORK"/controller-*.log)"
    else
        ok 'the logs of the controllers are clean'
    fi
}
webhooks_in_force() {
    [[ $(as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml" 2>&1) == *'denied the request'* ]] &&
        as admin create --dry-run=server -o json -n webhook-plain -f "$(confined_pod x web)" 2>/dev/null |
        jq -e '.spec.affinity != null'
}

webhooks_profile() { # NAME
    jq -n --arg name "$1" '{apiVersion: "apparmor.io/v1alpha1", kind: "AppArmorProfile",
        metadata: {$name, labels: {"apparmor.io/test": "admission"}}, spec: {policy: "profile \($name) {}"}}'
}
# What the table says that there is.
webhooks_profiles() {
    local name
    for name in web shop pool-1 pool-2; do
        webhooks_profile "$name" | as admin create -f - >/dev/null
    done
    profile_status web '["web"]' 1
    profile_status shop '["shop-a", "shop-b"]' 0
    profile_status pool-1 '["pooled"]' 0
    profile_status pool-2 '["pooled"]' 1
}
profile_status() { # NAME NAMES LOADED
    as admin patch aap "$1" --subresource=status --type=merge \
        -p "{\"status\": {\"profileNames\": $2, \"nodes\": {\"loaded\": $3}}}" >/dev/null
}
