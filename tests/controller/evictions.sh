# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Pods that run unconfined, and opt in, are evicted. There is no kubelet: the status of a pod says what one would say,
# and an evicted pod goes at once, unless a finalizer holds it. To be sourced by tests/controller/run.

EVICT='"apparmor.io/evict-unconfined": "true"'

# deployment NAME NODE [POD-ANNOTATIONS]: of one pod that asks for a profile, and runs.
deployment() {
    jq -n --arg name "$1" --arg node "$2" --argjson annotations "{${3:-}}" '{apiVersion: "apps/v1", kind: "Deployment",
        metadata: {name: $name, namespace: "evictions"}, spec: {selector: {matchLabels: {app: $name}}, template: {
            metadata: {labels: {app: $name}, annotations: $annotations}, spec: {nodeName: $node,
                automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, containers: [{name: "main",
                    image: "none", securityContext: {appArmorProfile: {type: "Localhost",
                        localhostProfile: "web"}}}]}}}}' | as admin apply -f - >/dev/null
    eventually 20 pod_of "$1"
    run_pod "$(pod_of "$1")"
}
evictions() { as admin -n evictions "$@"; }
pod_of() { # DEPLOYMENT: its pod that is not going
    evictions get pods -l "app=$1" -o json |
        jq -er 'first(.items[] | select(.metadata.deletionTimestamp == null)).metadata.name'
}
# The id of its container is made of the pod's uid.
pod_uid() { evictions get pod "$1" -o jsonpath='{.metadata.uid}'; }
run_pod() { # POD
    evictions patch pod "$1" --subresource=status --type=merge -p "$(jq -n --arg id "containerd://$(pod_uid "$1")" \
        '{status: {phase: "Running", conditions: [{type: "Ready", status: "True"}], containerStatuses: [{name: "main",
            image: "none", imageID: "none", ready: true, restartCount: 0, containerID: $id,
            state: {running: {startedAt: "2026-01-01T00:00:00Z"}}}]}}')" >/dev/null
}

# unconfined_pods POD...: the status of a node on which these run unconfined.
unconfined_pods() {
    local pod
    for pod in "$@"; do
        jq -n --arg pod "$pod" --arg uid "$(pod_uid "$pod")" '{namespace: "evictions", pod: $pod, podUID: $uid,
            container: "main", containerID: $uid, asked: "Localhost/web", actual: "unconfined", profileLoaded: true}'
    done | jq -sc '{apparmor: "Enabled", profiles: [], unconfinedContainers: length, unconfined: .}'
}
all_confined='{"apparmor": "Enabled", "profiles": [], "unconfinedContainers": 0, "unconfined": null}'

pod_is_there() { [ "$(evictions get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}')" = '' ]; }
pod_is_gone() { ! evictions get pod "$1" 2>/dev/null; }
pod_is_going() { [ "$(evictions get pod "$1" -o jsonpath='{.metadata.deletionTimestamp}')" != '' ]; }
# The controller has looked again, so often, and the pod had not gone.
waits_for() { # POD TIMES
    [ "$(grep -c "an unconfined pod has not gone yet.*\"$1\"" "$LOG")" -ge "$2" ]
}
pod_event() { # POD REASON
    evictions get events -o json | jq -er --arg pod "$1" --arg reason "$2" \
        'first(.items[] | select(.involvedObject.name == $pod and .reason == $reason)).message'
}
there() { # POD WHAT
    if pod_is_there "$1"; then ok "$2"; else not_ok "$2" "it is gone or going"; fi
}
gone() { # SECONDS POD WHAT
    if eventually "$1" pod_is_gone "$2"; then ok "$3"; fi
}

case_eviction() {
    local shop blog other far
    as admin create namespace evictions --dry-run=client -o yaml | as admin apply -f - >/dev/null
    deployment blog node-1
    deployment shop node-1 "$EVICT"
    deployment other node-1 '"apparmor.io/evict-unconfined": "false"'
    deployment far node-2 "$EVICT"
    blog=$(pod_of blog) shop=$(pod_of shop) other=$(pod_of other) far=$(pod_of far)

    # The first that may go is evicted, which shows that those before it have been looked at.
    report node-1 "$(unconfined_pods "$blog" "$other" "$far" "$shop")"
    gone 10 "$shop" "a pod that runs unconfined and opts in is evicted"
    eventually 20 pod_of shop && ok "and its controller makes another"
    there "$blog" "one that does not opt in stays"
    there "$far" "a node's report says nothing about pods of another node"
    if eventually 10 pod_event "$shop" AppArmorEvicted; then
        equal "an Event on the pod tells" \
            "evicted, so that container main starts again confined: it asks for Localhost/web and runs unconfined" \
            pod_event "$shop" AppArmorEvicted
    fi
    equal "so does a metric" 1 metric a 'apparmor_controller_evictions_total{outcome="evicted"}'

    as admin annotate namespace evictions apparmor.io/evict-unconfined=true >/dev/null
    report node-1 "$all_confined"
    report node-1 "$(unconfined_pods "$other" "$blog")"
    gone 10 "$blog" "a namespace opts in for its pods"
    there "$other" "but for those that opt out"
    as admin annotate namespace evictions apparmor.io/evict-unconfined- >/dev/null
    case_eviction_one_by_one
    case_eviction_blocked
    report node-1 "$all_confined"
    report node-1 "$(enabled "$(loaded)")"
    as admin delete namespace evictions --wait=false >/dev/null
}

case_eviction_one_by_one() {
    local first second
    deployment first node-1 "$EVICT"
    deployment second node-1 "$EVICT"
    first=$(pod_of first) second=$(pod_of second)
    evictions patch pod "$first" --type=merge -p '{"metadata": {"finalizers": ["apparmor.io/test"]}}' >/dev/null
    report node-1 "$(unconfined_pods "$first" "$second")"
    eventually 10 pod_is_going "$first"
    eventually 30 waits_for "$first" 2
    there "$second" "the next pod of a node waits until the last has gone"
    evictions patch pod "$first" --type=merge -p '{"metadata": {"finalizers": null}}' >/dev/null
    gone 20 "$second" "and then goes, too"
}

budget_counts() {
    [ "$(evictions get pdb shop -o jsonpath='{.status.currentHealthy}/{.status.desiredHealthy}/{.status.disruptionsAllowed}')" = 1/1/0 ]
}
case_eviction_blocked() {
    local shop
    shop=$(pod_of shop)
    run_pod "$shop"
    evictions create poddisruptionbudget shop --selector=app=shop --min-available=1 >/dev/null
    eventually 30 budget_counts
    report node-1 "$(unconfined_pods "$shop")"
    eventually 20 pod_event "$shop" AppArmorEvictionBlocked
    there "$shop" "a pod that its PodDisruptionBudget protects stays"
    [[ $(pod_event "$shop" AppArmorEvictionBlocked) == "not evicted yet, though container main runs unconfined: "*"disruption budget"* ]] &&
        ok "and an Event tells" || not_ok "an Event tells" "$(pod_event "$shop" AppArmorEvictionBlocked)"
    evictions delete pdb shop >/dev/null
    gone 60 "$shop" "when the budget allows it, the pod goes"
}
