# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The webhooks with a certificate of cert-manager: its own controllers issue and renew it, its CA injector tells API
# servers whom to trust, and the controllers do no more than serve it. By name only: cert-manager takes minutes to build.

# shellcheck source=tests/admission/webhooks.sh
source tests/admission/webhooks.sh
CERTIFICATE=apparmor-controller-webhooks # and the Secret that it is written to
CERT_MANAGER_PID=

# What an administrator writes, with the names of docs/admission.md.
certmanager_objects() {
    manifest certificates <<END
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: apparmor-bootstrap, namespace: apparmor-system}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: apparmor-authority, namespace: apparmor-system}
spec:
  isCA: true
  commonName: apparmor-authority
  secretName: apparmor-authority
  privateKey: {algorithm: ECDSA, size: 256}
  issuerRef: {name: apparmor-bootstrap}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: apparmor-authority, namespace: apparmor-system}
spec: {ca: {secretName: apparmor-authority}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: $CERTIFICATE, namespace: apparmor-system}
spec:
  secretName: $CERTIFICATE
  dnsNames: [apparmor-controller.apparmor-system.svc]
  ipAddresses: ["127.0.0.1"]
  duration: 24h
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  issuerRef: {name: apparmor-authority}
END
}
certmanager_start() {
    local built
    built=$(tests/admission/certmanager/build.sh) || return 1
    as admin apply --server-side -f "$built/crds" >/dev/null &&
        as admin wait --for=condition=Established --timeout=60s -f "$built/crds" >/dev/null || return 1
    # By whom and with what it is not told apart: it has all rights.
    KUBECONFIG=$DIR/admin.kubeconfig "$built/certmanager" >"$WORK/certmanager.log" 2>&1 &
    CERT_MANAGER_PID=$!
}
certificate_is_ready() {
    [ "$(as admin get certificate -n apparmor-system "$CERTIFICATE" \
        -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}')" = True ]
}
# As `cmctl renew` asks for it.
renew() {
    as admin get certificate -n apparmor-system "$CERTIFICATE" -o json | jq --arg now "$(date -u +%FT%TZ)" \
        '.metadata.generation as $observedGeneration | .status.conditions |= map(select(.type != "Issuing")) + [{type: "Issuing", status: "True", reason: "ManuallyTriggered",
            message: "asked for", lastTransitionTime: $now, $observedGeneration}] |
        del(.metadata.managedFields)' | as admin replace --subresource=status -f - >/dev/null
}
injected() { # all webhooks have the authority of the Secret, and nothing besides
    local authority
    authority=$(secret_field ca.crt)
    [ -n "$authority" ] && [ "$(bundles | base64 -d 2>/dev/null)" = "$authority" ]
}
confined_is_enforced() {
    [[ $(as admin create --dry-run=server -n webhook-confined -f "$WORK/plain-pod.yaml" 2>&1) == *'has no profile'* ]]
}
writers() { # KIND NAME [NAMESPACE]: who has written it, by the names of their field managers
    as admin get "$1" "$2" ${3:+-n "$3"} -o json --show-managed-fields | jq -r '[.metadata.managedFields[].manager] | unique | join(" ")'
}

certmanager_rotations() {
    local before answers round
    jq -n '{apiVersion: "v1", kind: "Pod", metadata: {generateName: "x-"}, spec: {containers: [{name: "main", image: "x"}]}}' \
        >"$WORK/traffic.json"
    touch "$WORK/traffic.on"
    traffic "$WORK/traffic.on" >"$WORK/traffic.1" &
    answers=$!
    for round in 1 2 3; do
        before=$(serving 0)
        renew
        eventually 40 serves_another 0 "$before" && eventually 40 serves_another 1 "$before" &&
            ok "renewed for the $round. time, it is served by both replicas"
        equal 'the same' "$(serving 0)" serving 1
        equal 'who trusts the authority has an answer of each' 'false false' echo "$(asked 0) $(asked 1)"
    done
    traffic_ends "$answers"
}

suite_certmanager() {
    local replica kind WEBHOOK_SECRET=$CERTIFICATE
    CONTROLLER=()
    make --no-print-directory -s VARIANT="${BUILD##*/}" "$BUILD/apparmor-controller" || return 1
    credentials
    webhooks_connect || { not_ok 'the API server has a way to the webhooks' ''; return; }
    as admin get namespace webhook-confined >/dev/null 2>&1 || webhooks_namespace webhook-confined enforce=confined
    printf 'apiVersion: v1\nkind: Pod\n%s\n' "$(pod_of x)" | manifest plain-pod >/dev/null
    # What docs/admission.md tells to do.
    as admin patch role -n apparmor-system apparmor-controller-webhooks --type=json \
        -p '[{"op": "add", "path": "/rules/0/resourceNames/-", "value": "'$CERTIFICATE'"}]' >/dev/null
    for kind in validating mutating; do
        as admin annotate "${kind}webhookconfiguration" apparmor-operator \
            cert-manager.io/inject-ca-from="apparmor-system/$CERTIFICATE" >/dev/null
    done
    # Before there is a Secret, as happens when all is applied at once.
    for replica in a b; do webhooks_start "$replica" --webhook-secret="$CERTIFICATE"; done
    certmanager_start || { not_ok 'cert-manager starts' "$(tail -n 20 "$WORK/certmanager.log")"; return; }
    as admin apply --server-side -f "$(certmanager_objects)" >/dev/null
    eventually 90 certificate_is_ready && ok 'cert-manager issues a certificate'
    eventually 40 webhooks_ready 0 && eventually 40 webhooks_ready 1 && ok 'both replicas serve with it'
    eventually 40 injected && ok 'cert-manager says in all webhooks whom to trust'
    eventually 40 confined_is_enforced && ok 'the webhooks are called'
    certmanager_rotations
    equal 'nobody else has written the Secret' cert-manager-certificates-issuing \
        writers secret "$CERTIFICATE" apparmor-system
    eventually 1 injected && ok 'nor another authority into the webhooks'
    certmanager_end
}
certmanager_end() {
    local replica kind
    for replica in a b; do webhooks_stop "$replica"; done
    kill -TERM "$CERT_MANAGER_PID"
    wait "$CERT_MANAGER_PID"
    for kind in validating mutating; do
        as admin annotate "${kind}webhookconfiguration" apparmor-operator cert-manager.io/inject-ca-from- >/dev/null
    done
    webhooks_disconnect
    as admin delete -f "$WORK/certificates.yaml" >/dev/null
    as admin delete secret -n apparmor-system "$CERTIFICATE" apparmor-authority >/dev/null
}
