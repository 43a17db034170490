# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Who may read the metrics, as a real API server has it. To be sourced by tests/controller/run.

METRICS_PORT=$((BASE_PORT + 2))

# The HTTP status of the answer to a request for metrics; its body is in $WORK/metrics.
metrics_status() { # [TOKEN]
    curl -sk --max-time 10 -o "$WORK/metrics" -w '%{http_code}' ${1:+-H "Authorization: Bearer $1"} \
        "https://127.0.0.1:$METRICS_PORT/metrics"
}
metrics_status_is() { [ "$(metrics_status "$2")" = "$1" ]; } # STATUS TOKEN
answers() { # WHAT STATUS TEXT [TOKEN]
    equal "$1" "$2" metrics_status "${4:-}"
    grep -qF -- "$3" "$WORK/metrics" && ok "$1, and is told so" || not_ok "$1, and is told so" "$(head -c 500 "$WORK/metrics")"
}
token_reviews() { jq -r 'select(.objectRef.resource == "tokenreviews").verb' "$DIR/audit.log" | wc -l; }
account() { # NAME: its token
    as admin create serviceaccount "$1" --dry-run=client -o json | as admin apply -f - >/dev/null
    as admin create token "$1"
}

case_access() {
    local reader later stranger
    PROGRAM_FLAGS=(--metrics-listen=":$METRICS_PORT")
    program_start b
    PROGRAM_FLAGS=()
    reader=$(account metrics-reader)
    stranger=$(account metrics-stranger)

    answers 'a controller that may not ask lets nobody in' 503 \
        'this program may not create tokenreviews: bind the ClusterRole apparmor-metrics-auth' "$reader"
    as admin apply -f deploy/components/metrics/role.yaml >/dev/null
    as admin create clusterrolebinding metrics-reader --clusterrole=apparmor-metrics-reader \
        --serviceaccount=default:metrics-reader >/dev/null
    eventually 30 metrics_status_is 200 "$reader"
    answers 'a reader reads them' 200 'apparmor_controller_leader 0' "$reader"
    answers 'without a token nobody does' 401 'send a bearer token'
    answers 'nor with one that is none' 401 'does not take your token for valid' not.a.token
    answers 'nor with that of somebody who may not' 403 \
        'system:serviceaccount:default:metrics-stranger may not get the nonResourceURL /metrics' "$stranger"
    equal 'the probes are for everybody' ok page b /healthz
    equal 'and serve no metrics beside them' 'not found' page b /metrics
    access_flood "$reader"
    later=$(as admin create token metrics-reader)
    access_away "$later"
    program_stop b
    equal 'it ends with 0' 0 echo "$PROGRAM_STATUS"
}

# Many bad tokens on one connection; ten at once and two a second are asked about.
access_flood() { # READER
    local count=500 before took begin=$SECONDS answers number
    before=$(token_reviews)
    for number in $(seq $count); do
        printf 'url = "https://127.0.0.1:%s/metrics"\nheader = "Authorization: Bearer bad-%s"\ninsecure\nsilent\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"\nnext\n' \
            "$METRICS_PORT" "$number"
    done >"$WORK/flood"
    answers=$(curl --config "$WORK/flood" 2>/dev/null | sort | uniq -c | awk '{ print $2 ":" $1 }' | paste -sd ' ')
    metrics_status_is 200 "$1" && ok 'in a flood of bad tokens a reader goes on' ||
        not_ok 'in a flood of bad tokens a reader goes on' "$(<"$WORK/metrics")"
    took=$((SECONDS - begin + 1))
    number=$(($(token_reviews) - before))
    # The reader's may be among them, and a round that did not count as a whole second.
    if [ "$number" -gt 0 ] && [ "$number" -le $((10 + 2 * took + 2)) ] && [[ $answers == 401:*\ 429:* ]]; then
        ok "$count bad tokens in $took s are $number TokenReviews ($answers)"
    else
        not_ok 'a flood of bad tokens is no flood of TokenReviews' "$number in $took s: $answers"
    fi
}

# Its probe is answered all the while: nothing waits on the loop.
access_away() { # TOKEN
    "$CONTROLPLANE" ctl --dir "$DIR" stop-apiserver --now >/dev/null
    # Not before the flood is forgotten.
    eventually 20 metrics_status_is 503 "$1"
    answers 'without the API server nobody new is let in' 503 'the API server could not be asked who you are' "$1"
    metrics_status "$1" >/dev/null &
    equal 'and its probes answer while that is found out' ok page b /healthz
    wait $!
    "$CONTROLPLANE" ctl --dir "$DIR" start-apiserver >/dev/null
    eventually 30 metrics_status_is 200 "$1" && ok 'and when it is back, a reader reads'
}
