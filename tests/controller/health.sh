# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What GitOps tools make of an AppArmorProfile. Every state that the API server shows while the other cases run is
# kept, and judged at the end as Flux and Helm do (with kstatus, their library) and as Argo CD does (with its
# interpreter and the script that deploy/argocd has for it). To be sourced by tests/controller/run.

HEALTH_SCRIPT=deploy/argocd/health.lua

health_begin() {
    # A watch ends with its API server, and with the definition.
    while :; do
        "$KUBECTL" --kubeconfig="$DIR/admin.kubeconfig" get apparmorprofiles.apparmor.io --watch -o json \
            2>/dev/null >>"$WORK/states" &
        echo $! >"$WORK/watch.pid"
        wait
        sleep 0.2
    done &
    HEALTH_WATCHER=$!
}
health_end() {
    [ -n "${HEALTH_WATCHER:-}" ] || return 0
    # Not to start another.
    kill -STOP "$HEALTH_WATCHER"
    kill "$(<"$WORK/watch.pid")" 2>/dev/null
    kill -KILL "$HEALTH_WATCHER"
    wait "$HEALTH_WATCHER" 2>/dev/null
    HEALTH_WATCHER=
}

# What each state is to be, from Ready's reason and whether the controller has given up, with what the two say.
health_expected='
    .metadata as $meta | (.status.conditions // []) as $conditions |
    ($conditions | map(select(.type == "Ready"))[0].reason) as $ready |
    (if $meta.deletionTimestamp then "Terminating Progressing"
     elif .status.observedGeneration != $meta.generation then "InProgress Progressing"
     elif $ready == "AllNodesLoaded" or $ready == "NoNodesSelected" then "Current Healthy"
     elif $ready == "RolloutPaused" then "InProgress Suspended"
     elif $ready == "RolloutHalted" then "Failed Degraded"
     elif $conditions | any(.type == "Stalled") then "Failed Degraded"
     else "InProgress Progressing" end) + " " + ($ready // "none")'

case_health() {
    local seen wrong reason
    health_end
    # The last one may be cut off.
    jq -c --stream -n 'fromstream(inputs)' "$WORK/states" 2>/dev/null | jq -c 'select(.kind == "AppArmorProfile")' |
        sort -u >"$WORK/each"
    jq -r "$health_expected" "$WORK/each" >"$WORK/expected"
    "$INSTALL_PROGRAMS/health" <"$WORK/each" >"$WORK/kstatus" 2>&1
    "$INSTALL_PROGRAMS/health" --argo "$HEALTH_SCRIPT" <"$WORK/each" >"$WORK/argo" 2>&1
    paste -d ' ' <(sed -E 's/^[^ ]+ ([A-Za-z]+):.*/\1/' "$WORK/kstatus") \
        <(sed -E 's/^[^ ]+ ([A-Za-z]+):.*/\1/' "$WORK/argo") >"$WORK/found"
    seen=$(wc -l <"$WORK/each")
    wrong=$(diff <(cut -d' ' -f1,2 "$WORK/expected") "$WORK/found")
    if [ -n "$wrong" ]; then
        not_ok "GitOps tools understand each of $seen states" "$wrong"
        return
    fi
    ok "GitOps tools understand each of $seen states"
    equal 'both show the message of Ready' '' health_messages_lost
    # A part of the cases has a part of the states.
    [ -z "${CASES:-}" ] || return 0
    for reason in AllNodesLoaded NoNodesSelected NodesPending NodesFailed Invalid Terminating RolloutProgressing \
        RolloutPaused RolloutHalted none; do
        if grep -q " $reason$" "$WORK/expected"; then
            ok "  among them $reason: $(grep " $reason$" "$WORK/expected" | sed 's/ [A-Za-z]*$//' | sort -u | paste -sd,)"
        else
            not_ok "  among them $reason" "it was never seen"
        fi
    done
}
# States whose message is in neither verdict; kstatus has words of its own for what is current or being deleted.
health_messages_lost() {
    paste -d '\001' "$WORK/expected" <(jq -r '(.status.conditions // [] | map(select(.type == "Ready"))[0].message // "")
        | gsub("\n"; " ") | .[:60]' "$WORK/each") <(tr '\001' ' ' <"$WORK/argo") |
        awk -F'\001' '$1 ~ /Failed|Healthy/ && index($3, $2) == 0' | head -n 5
}
