# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Definitions that are older or newer than the program, or not there. To be sourced by tests/controller/run.

# define JQ: the definition of AppArmorProfiles, changed by the filter
define() {
    as admin get crd apparmorprofiles.apparmor.io -o json | jq "$1" | as admin replace -f - >/dev/null
}
SCHEMA='.spec.versions[0].schema.openAPIV3Schema.properties'
serves_field() { as admin explain "aap.$1"; }
define_ours() {
    as admin apply --server-side --force-conflicts -f crds/apparmorprofiles.yaml >/dev/null
}
log_lines() { grep -c "$1" "$LOG"; } # TEXT
api_requests() { # REPLICA: all that it has made
    page "$1" /metrics | awk '/^apparmor_controller_api_requests_total/ { sum += $2 } END { print sum + 0 }'
}
says_apply_the_crds() { [[ $(page a /readyz) == *"apparmorprofiles: the API server does not have this resource: apply the CRDs of this release"* ]]; }

case_definitions() {
    local before requests

    define "del($SCHEMA.status.properties.validation, $SCHEMA.status.properties.warnings)"
    eventually 20 fails serves_field status.validation
    before=$(writes)
    policy older $'profile older {\n  deny /a r,\n}\n' '{"mode": "Complain"}'
    valid older "True/Compiled the policy compiles" "with an older definition the rest of the status is there"
    eventually 10 grep -q 'older than this program; apply the CRDs of this release' "$LOG" &&
        ok "and the log names the remedy"
    eventually 20 quiet
    # Finalizer and status, which an Event or a report in between may make two.
    if [ $(($(writes) - before)) -le 4 ]; then
        ok "what it cannot store is not written for ever ($(($(writes) - before)) writes)"
    else
        not_ok "what it cannot store is not written for ever" "$(($(writes) - before)) writes"
    fi
    define_ours
    eventually 20 serves_field status.validation

    define "$SCHEMA.spec.properties.mode.enum += [\"Audit\"] | $SCHEMA.spec.properties.later = {type: \"string\"}"
    eventually 20 serves_field spec.later
    policy newer 'profile newer { /a r, }' '{"later": "x"}'
    valid newer "True/Compiled the policy compiles" "a field that only a newer program knows is no harm"
    policy newer 'profile newer { /a r, }' '{"mode": "Audit"}'
    valid newer "False/InvalidSpec spec.mode: must be Enforce, Complain, Kill or Unconfined" \
        "a value that only a newer program knows is refused, and nothing else happens"
    policy newer 'profile newer { /a r, }' '{"mode": "Enforce"}'
    as admin delete aap newer older --wait=false >/dev/null
    eventually 20 is_gone newer && eventually 20 is_gone older
    define_ours

    as admin delete aap --all --wait=false >/dev/null
    nobody_has_any
    eventually 20 no_profiles
    as admin delete crd apparmorprofiles.apparmor.io --wait=false >/dev/null
    eventually 30 definition_is_gone
    program_stop a
    program_launch a
    if eventually 30 says_apply_the_crds; then ok "without the definition it is not ready, and says what to do"; fi
    equal "but alive" ok page a /healthz
    requests=$(api_requests a)
    eventually 30 more_failures_than 3
    if [ $(($(api_requests a) - requests)) -le 40 ]; then
        ok "it asks again ever more rarely"
    else
        not_ok "it asks again ever more rarely" "$(($(api_requests a) - requests)) requests"
    fi
    define_ours
    eventually 30 serves_profiles
    # Back-off goes up to half a minute, and as much again by chance.
    if eventually 70 ready a; then ok "and is ready when it is there"; fi
}
no_profiles() { [ -z "$(as admin get aap -o name)" ]; }
more_failures_than() { [ "$(metric a 'apparmor_controller_informer_failures_total{resource="apparmorprofiles"}')" -gt "$1" ]; }
