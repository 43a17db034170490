# shellcheck shell=bash
# Reviews of pods by apparmor-controller, as it ships, beside a small webhook in Go of equal function, each on one
# processor, with the load from another. The pods are those of tests/admission/pods.jsonl, of the size that pods have.
# The two take turns; what counts is the middle of the rounds.
CLUSTER_DIR=build/bench-admission
# shellcheck source=tests/e2e/check.sh
source tests/e2e/check.sh
# shellcheck source=tests/e2e/cluster.sh
source tests/e2e/cluster.sh
ROUNDS=${ADMISSION_BENCH_ROUNDS:-5}
SECONDS_EACH=${ADMISSION_BENCH_SECONDS:-4}
CONNECTIONS=8
BENCH_PORT=$((20000 + RANDOM % 10000))
GO_PID=

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

start_both() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=bench \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$CLUSTER_DIR/go.key" -out "$CLUSTER_DIR/go.crt" 2>/dev/null
    taskset -c 0 env GOMAXPROCS=1 KUBECONFIG="$CLUSTER_DIR/cp/controller.kubeconfig" "$CLIENTGO/webhook" --listen "127.0.0.1:$((BENCH_PORT + 1))" --cert "$CLUSTER_DIR/go.crt" \
        --key "$CLUSTER_DIR/go.key" >"$CLUSTER_DIR/go.log" 2>&1 &
    GO_PID=$!
    taskset -c 0 "$BUILD/apparmor-controller" --kubeconfig="$CLUSTER_DIR/cp/controller.kubeconfig" --listen=127.0.0.1:$((BENCH_PORT + 2)) \
        --webhook-listen="127.0.0.1:$BENCH_PORT" --webhook-host=127.0.0.1 --log-format=json >>"$CLUSTER_DIR/controller.log" 2>&1 &
    echo $! >"$CLUSTER_DIR/controller.pid"
    eventually 60 'the controller is ready' curl -sf "http://127.0.0.1:$((BENCH_PORT + 2))/readyz"
    eventually 60 'the webhook in Go is ready' curl -sk "https://127.0.0.1:$((BENCH_PORT + 1))/"
}
load() { # PORT
    taskset -c $(($(nproc) - 1)) "$CLIENTGO/load" --url "https://127.0.0.1:$1/pods/enforce/confined" \
        --bodies "$CLUSTER_DIR/bodies" --connections "$CONNECTIONS" --duration "${SECONDS_EACH}s"
}
memory_kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$1/status"; } # PID FIELD
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
# measure FILE PORT PID: a round, with the processor time that each request took
measure() {
    local before after
    before=$(cpu_ticks "$3")
    load "$2" >"$CLUSTER_DIR/round.json" || return 1
    after=$(cpu_ticks "$3")
    jq -c --argjson ticks $((after - before)) --argjson hertz "$(getconf CLK_TCK)" \
        '. + {cpu_us: ($ticks * 1e6 / $hertz / .all)}' "$CLUSTER_DIR/round.json" >>"$1"
}
middle() { # FILE FIELD
    jq -s "map(.$2) | sort | .[length / 2 | floor]" "$1"
}

bench_admission() {
    local round ours=$CLUSTER_DIR/ours.json go=$CLUSTER_DIR/go.json
    rm -rf "$CLUSTER_DIR"
    mkdir -p "$CLUSTER_DIR"
    make --no-print-directory -s "$BUILD/apparmor-controller" && CLIENTGO=$(tests/bench/clientgo/build.sh) &&
        controlplane_ready && controlplane_start || return 1
    bodies >"$CLUSTER_DIR/bodies"
    say "$(wc -l <"$CLUSTER_DIR/bodies") reviews of $(($(wc -c <"$CLUSTER_DIR/bodies") / $(wc -l <"$CLUSTER_DIR/bodies"))) bytes each"
    start_both
    for ((round = 0; round < ROUNDS; round++)); do
        measure "$ours" "$BENCH_PORT" "$(<"$CLUSTER_DIR/controller.pid")" &&
            measure "$go" $((BENCH_PORT + 1)) "$GO_PID" || return 1
    done
    if [ "$(jq -r .verdicts "$ours" "$go" | sort -u | wc -l)" != 1 ]; then
        say 'the two do not agree on the pods'
        return 1
    fi
    say "requests per second: ours $(middle "$ours" 'per_second | round'), Go $(middle "$go" 'per_second | round')"
    figure admission.cpu_per_request "$(middle "$ours" 'cpu_us | round')" us 'a webhook in Go, processor time' \
        "$(middle "$go" 'cpu_us | round')" 1
    figure admission.time_per_request "$(jq -n "1e6 / $(middle "$ours" per_second) | round")" us \
        'a webhook in Go, one processor' "$(jq -n "1e6 / $(middle "$go" per_second) | round")" 1
    figure admission.p50 "$(middle "$ours" p50_us)" us "the same, $CONNECTIONS connections" "$(middle "$go" p50_us)" 1
    figure admission.p99 "$(middle "$ours" p99_us)" us "the same, $CONNECTIONS connections" "$(middle "$go" p99_us)" 1
    # Of what is resident, the code of shared libraries is there once for all programs that use them.
    figure admission.memory_private "$(memory_kib "$(<"$CLUSTER_DIR/controller.pid")" RssAnon)" KiB 'the same' \
        "$(memory_kib "$GO_PID" RssAnon)" 0.25
    figure admission.memory_resident "$(memory_kib "$(<"$CLUSTER_DIR/controller.pid")" VmRSS)" KiB 'the same' \
        "$(memory_kib "$GO_PID" VmRSS)" 0.25
}

bench_admission_end() {
    [ -z "$GO_PID" ] || kill -TERM "$GO_PID" 2>/dev/null
    cluster_down
}
trap bench_admission_end EXIT
bench_admission
