# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Metrics as Prometheus wants them, and those that people ask for first. To be sourced by tests/controller/run.

case_promtool() {
    local metrics=$WORK/metrics name
    page a /metrics >"$metrics"
    equal "promtool finds nothing wrong with the metrics" "" "$(tests/prometheus/promtool.sh)" check metrics <"$metrics"
    for name in 'queue_duration_seconds_count' 'reconcile_duration_seconds_count' 'leader' \
        'compile_duration_seconds_count{outcome="accepted"}' 'api_requests_total{verb="PATCH",code="200"}' \
        'api_requests_total{verb="WATCH",code="200"}' 'api_request_duration_seconds_count{verb="GET"}'; do
        grep -qF "apparmor_controller_$name " "$metrics" && ok "there is $name" ||
            not_ok "there is $name" "$(grep -o "^[^ ]*" "$metrics" | head -40)"
    done
    grep -q '^apparmor_controller_build_info{version=".*"} 1$' "$metrics" && ok "and the version" ||
        not_ok "and the version" "$(grep build_info "$metrics")"
}
