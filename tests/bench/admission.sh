# shellcheck shell=bash
# Reviews of pods by apparmor-controller, as it ships, beside two webhooks in Go, each on one processor, with the load from
# another. The pods are those of tests/admission/pods.jsonl, of the size that pods have; there are a hundred profiles.
# All take turns; what counts is the middle of the rounds.
#
# One of the two, clientgo/webhook, is as small as such a thing can be, net/http around what it says of a pod: who is
# faster than that is faster than any. It has no metrics, places no pods and keeps the certificate that it began with. The
# other, clientgo/manager, does what ours does, as operators are written in Go, and is what memory is compared with, too.
CLUSTER_DIR=build/bench-admission
# shellcheck source=tests/e2e/check.sh
source tests/e2e/check.sh
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
ROUNDS=${ADMISSION_BENCH_ROUNDS:-5}
SECONDS_EACH=${ADMISSION_BENCH_SECONDS:-4}
CONNECTIONS=8
BENCH_PORT=$((20000 + RANDOM % 10000))
PROFILES=100
declare -A PID=() PORT=()

# What a pod has besides, once a Deployment, an API server and a service mesh have seen it: some 6 KB.
bodies() {
    jq -c 'select(.live != false) | {apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: {
        uid: "705ab4f5-6393-11e8-b7cc-42010a800002", kind: {group: "", version: "v1", kind: "Pod"},
        resource: {group: "", version: "v1", resource: "pods"}, requestKind: {group: "", version: "v1", kind: "Pod"},
        requestResource: {group: "", version: "v1", resource: "pods"}, namespace: "shop", operation: "CREATE",
        userInfo: {username: "system:serviceaccount:kube-system:replicaset-controller",
            uid: "b7cc705a-6393-11e8-b7cc-42010a800002", groups: ["system:serviceaccounts",
            "system:serviceaccounts:kube-system", "system:authenticated"]},
        object: (.pod * {apiVersion: "v1", kind: "Pod", metadata: {generateName: "shop-web-7d4b9c6f5-", namespace: "shop",
            creationTimestamp: null, labels: {app: "shop-web", "pod-template-hash": "7d4b9c6f5",
                "app.kubernetes.io/part-of": "shop"}, ownerReferences: [{apiVersion: "apps/v1", kind: "ReplicaSet",
                name: "shop-web-7d4b9c6f5", uid: "11e8705a-6393-11e8-b7cc-42010a800002", controller: true,
                blockOwnerDeletion: true}], managedFields: [{manager: "kube-controller-manager", operation: "Update",
                apiVersion: "v1", time: "2026-01-01T00:00:00Z", fieldsType: "FieldsV1", fieldsV1: {"f:spec":
                ([range(40) | {key: "f:field-\(.)", value: {"f:name": {}, "f:value": {}, ".": {}}}] | from_entries)}}]},
            spec: {restartPolicy: "Always", dnsPolicy: "ClusterFirst", serviceAccountName: "shop", priority: 0,
                tolerations: [range(4) | {key: "node.kubernetes.io/x-\(.)", operator: "Exists", effect: "NoExecute",
                    tolerationSeconds: 300}],
                volumes: [range(4) | {name: "volume-\(.)", projected: {defaultMode: 420, sources: [{configMap: {
                    name: "config-\(.)", items: [{key: "ca.crt", path: "ca.crt"}]}}]}}]}} |
            .spec.containers |= map(. + {terminationMessagePath: "/dev/termination-log", imagePullPolicy: "IfNotPresent",
                env: [range(12) | {name: "VARIABLE_\(.)", value: "the value of it, \(.)"}],
                volumeMounts: [range(4) | {name: "volume-\(.)", mountPath: "/var/run/volume/\(.)", readOnly: true}],
                readinessProbe: {httpGet: {path: "/healthz", port: 8080, scheme: "HTTP"}, periodSeconds: 10},
                resources: {requests: {cpu: "100m", memory: "128Mi"}, limits: {memory: "256Mi"}}})),
        oldObject: null, dryRun: false, options: {kind: "CreateOptions", apiVersion: "meta.k8s.io/v1"}}}' \
        tests/admission/pods.jsonl
}

profiles() {
    local i text
    text=$(sed -n '/^  policy: |$/,$p' examples/profiles/nginx-secure.yaml | sed '1d; s/^    //')
    for ((i = 0; i < PROFILES; i++)); do
        jq -nc --arg name "web-$i" --arg text "${text//nginx-secure/web-$i}" '{apiVersion: "apparmor.io/v1alpha1",
            kind: "AppArmorProfile", metadata: {$name}, spec: {policy: $text},
            status: {profileNames: [$name], nodes: {loaded: 3}}}'
    done >"$CLUSTER_DIR/profiles"
    # As people and as controllers write them.
    k apply --server-side -f "$CLUSTER_DIR/profiles" >/dev/null &&
        jq -c 'del(.spec)' "$CLUSTER_DIR/profiles" |
        k apply --server-side --field-manager=bench --subresource=status -f - >/dev/null
}
start_all() {
    mkdir "$CLUSTER_DIR/tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$CLUSTER_DIR/tls/tls.key" -out "$CLUSTER_DIR/tls/tls.crt" 2>/dev/null
    PORT=([ours]=$BENCH_PORT [webhook]=$((BENCH_PORT + 1)) [manager]=$((BENCH_PORT + 2)))
    export KUBECONFIG=$CLUSTER_DIR/cp/controller.kubeconfig
    taskset -c 0 "$BUILD/apparmor-controller" --listen=127.0.0.1:$((BENCH_PORT + 3)) \
        --webhook-listen="127.0.0.1:${PORT[ours]}" --webhook-host=127.0.0.1 --log-format=json >>"$CLUSTER_DIR/controller.log" 2>&1 &
    PID[ours]=$!
    taskset -c 0 env GOMAXPROCS=1 "$CLIENTGO/webhook" --listen "127.0.0.1:${PORT[webhook]}" \
        --cert "$CLUSTER_DIR/tls/tls.crt" --key "$CLUSTER_DIR/tls/tls.key" >"$CLUSTER_DIR/webhook.log" 2>&1 &
    PID[webhook]=$!
    taskset -c 0 env GOMAXPROCS=1 "$CLIENTGO/manager" --listen "127.0.0.1:${PORT[manager]}" --cert-dir "$CLUSTER_DIR/tls" \
        --metrics "127.0.0.1:$((BENCH_PORT + 4))" --probes "127.0.0.1:$((BENCH_PORT + 5))" >"$CLUSTER_DIR/manager.log" 2>&1 &
    PID[manager]=$!
    eventually 60 'the controller is ready' curl -sf "http://127.0.0.1:$((BENCH_PORT + 3))/readyz"
    eventually 60 'the small webhook in Go is ready' curl -sk "https://127.0.0.1:${PORT[webhook]}/"
    eventually 60 'the manager in Go is ready' curl -sf "http://127.0.0.1:$((BENCH_PORT + 5))/readyz"
}
load() { # PORT
    taskset -c $(($(nproc) - 1)) "$CLIENTGO/load" --url "https://127.0.0.1:$1/pods/enforce/confined" \
        --bodies "$CLUSTER_DIR/bodies" --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s"
}
memory_kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/${PID[$1]}/$3"; } # WHO FIELD FILE
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
# measure WHO: a round, with the processor time that each request took
measure() {
    local before after
    before=$(cpu_ticks "${PID[$1]}")
    load "${PORT[$1]}" >"$CLUSTER_DIR/round.json" || return 1
    after=$(cpu_ticks "${PID[$1]}")
    jq -c --argjson ticks $((after - before)) --argjson hertz "$(getconf CLK_TCK)" \
        '. + {cpu_us: ($ticks * 1e6 / $hertz / .all)}' "$CLUSTER_DIR/round.json" >>"$CLUSTER_DIR/$1.json"
}
middle() { # WHO FIELD
    jq -s "map(.$2) | sort | .[length / 2 | floor]" "$CLUSTER_DIR/$1.json"
}
compare() { # NAME FIELD UNIT BASELINE
    figure "$1" "$(middle ours "$2")" "$3" "$4" "$(middle webhook "$2")" 1
}
compare_memory() { # NAME FIELD FILE WHO WHAT-IT-IS
    figure "$1" "$(memory_kib ours "$2" "$3")" KiB "$5, after the load" "$(memory_kib "$4" "$2" "$3")" 0.25
}

bench_admission() {
    local round who
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s "$BUILD/apparmor-controller" && CLIENTGO=$(tests/bench/clientgo/build.sh) &&
        controlplane_ready && controlplane_start && profiles || return 1
    bodies >"$CLUSTER_DIR/bodies"
    say "$(wc -l <"$CLUSTER_DIR/bodies") reviews of $(($(wc -c <"$CLUSTER_DIR/bodies") / $(wc -l <"$CLUSTER_DIR/bodies"))) bytes each"
    start_all
    for ((round = 0; round < ROUNDS; round++)); do
        for who in ours webhook manager; do measure "$who" || return 1; done
    done
    if [ "$(cd "$CLUSTER_DIR" && jq -r .verdicts ours.json webhook.json manager.json | sort -u | wc -l)" != 1 ]; then
        say 'they do not agree on the pods'
        return 1
    fi
    for who in ours webhook manager; do
        say "$who: $(middle "$who" 'per_second | round') requests/s, p50 $(middle "$who" p50_us) us, p99 $(middle "$who" p99_us) us," \
            "resident $(memory_kib "$who" VmRSS status) KiB, at the most $(memory_kib "$who" VmHWM status)," \
            "private $(memory_kib "$who" RssAnon status)"
    done
    compare admission.cpu_per_request 'cpu_us | round' us 'a small webhook in Go, processor time'
    compare admission.time_per_request 'per_second | 1e6 / . | round' us 'the same, one processor'
    compare admission.p50 p50_us us "the same, $CONNECTIONS connections"
    compare admission.p99 p99_us us "the same, $CONNECTIONS connections"
    # Resident counts the pages of shared libraries that are there once for all programs of a machine, Pss a share of them.
    compare_memory admission.memory_resident VmRSS status webhook 'the small webhook'
    compare_memory admission.memory_resident_full VmRSS status manager 'a manager in Go'
    compare_memory admission.memory_private_full RssAnon status manager 'a manager in Go'
    compare_memory admission.memory_pss_full Pss smaps_rollup manager 'a manager in Go'
}

bench_admission_end() {
    local pid
    for pid in "${PID[@]}"; do end_process "$pid"; done
    cluster_down
}
trap bench_admission_end EXIT
bench_admission
