# shellcheck shell=bash
# Assertions for the end-to-end tests. A test is a shell function `test_…` that runs in a subshell under
# `set -e`; the first assertion that does not hold ends it.

fail() {
    echo "assertion failed: $*" >&2
    exit 1
}

# eventually SECONDS WHAT COMMAND...: the command succeeds within the time. PAUSE is the time between two tries.
eventually() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || fail "$what: not within the time: $*"
        sleep "${PAUSE:-0.1}"
    done
}

expect_equal() { # WHAT EXPECTED ACTUAL
    [ "$2" = "$3" ] || fail "$1: expected «$2», found «$3»"
}

expect_match() { # WHAT REGULAR-EXPRESSION ACTUAL
    [[ "$3" =~ $2 ]] || fail "$1: «$3» does not match «$2»"
}

expect_failure() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then
        fail "$what: succeeded but must not: $*"
    fi
}

# run_tests FILE...: every test_ function of the files; prints a line each and the closing line. TRACE=1: logs say when
# each command began.
PS4='+ $EPOCHREALTIME '
run_tests() {
    local file name log start status passed=0 failed=0
    mkdir -p "$CLUSTER_DIR/tests"
    for file in "$@"; do
        # shellcheck disable=SC1090
        source "$file"
        for name in $(sed -n 's/^\(test_[a-z0-9_]*\)() {.*/\1/p' "$file"); do
            [[ -z "${ONLY:-}" || "$name" == *$ONLY* ]] || continue
            log=$CLUSTER_DIR/tests/$name.log
            start=$EPOCHREALTIME
            (
                [ -z "${TRACE:-}" ] || set -x
                set -e
                "$name"
            ) >"$log" 2>&1
            status=$?
            if [ "$status" -eq 0 ] && (forget_profiles) >>"$log" 2>&1; then
                printf 'ok - %s (%.1f s)\n' "${name//_/ }" "$(bc_seconds "$start")"
                passed=$((passed + 1))
            else
                printf 'not ok - %s\n' "${name//_/ }"
                sed 's/^/    /' "$log"
                evidence 2>&1 | sed 's/^/    | /'
                failed=$((failed + 1))
                start_over >"$log.after" 2>&1
            fi
        done
    done
    echo "${SUITE:-e2e}: $passed passed, $failed failed"
    # A selection of nothing shows nothing.
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# Seconds since a value of EPOCHREALTIME.
bc_seconds() {
    awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'
}
