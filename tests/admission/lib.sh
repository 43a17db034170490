# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks for the tests of API and admission: a request, by whom, and what must come of it. To be sourced.

passed=0 failed=0

ok() {
    printf 'ok - %s\n' "$1"
    passed=$((passed + 1))
}
not_ok() { # WHAT DETAIL
    printf 'not ok - %s\n' "$1"
    sed 's/^/    /' <<<"$2"
    failed=$((failed + 1))
}

# as WHO ARGUMENT...: kubectl with a credential of the control plane or one that credential() made. Discovery
# is cached for all alike, as it does not depend on who asks.
as() {
    local config=$WORK/$1.kubeconfig
    [ -f "$config" ] || config=$DIR/$1.kubeconfig
    shift
    "$KUBECTL" --kubeconfig="$config" --cache-dir="$WORK/cache" "$@"
}

credential() { # WHO TOKEN
    sed "s/token: .*/token: $2/" "$DIR/agent-node-1.kubeconfig" >"$WORK/$1.kubeconfig"
}

impersonation() { # WHO USER: the administrator acting as a user without any group of note
    as admin config view --raw -o json | jq --arg user "$2" '.users[0].user.as = $user' >"$WORK/$1.kubeconfig"
}

# allowed WHAT COMMAND...
allowed() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        ok "$what"
    else
        not_ok "$what" "$output"
    fi
}

# refused BY WHAT COMMAND...: the command fails, and the reason it gives matches BY.
refused() {
    local by=$1 what=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        not_ok "$what" "it was not refused: $output"
    elif [[ $output =~ $by ]]; then
        ok "$what"
    else
        not_ok "$what" "refused, but not with «$by»: $output"
    fi
}

# equal WHAT EXPECTED COMMAND...: the command's output, blanks squeezed, is as expected.
equal() {
    local what=$1 expected=$2 output
    shift 2
    if ! output=$("$@" 2>&1); then
        not_ok "$what" "$output"
        return
    fi
    output=$(sed -E 's/ +/ /g; s/ $//' <<<"$output")
    if [ "$output" = "$expected" ]; then
        ok "$what"
    else
        not_ok "$what" "expected «$expected», found «$output»"
    fi
}

# may WHO VERB RESOURCE[/SUBRESOURCE] [NAMESPACE]: yes or no, as RBAC has it.
may() {
    local flags=()
    [ "${3%%/*}" = "$3" ] || flags+=(--subresource="${3#*/}")
    [ -z "${4:-}" ] || flags+=(--namespace="$4")
    # A no is no failure, and that a resource is not namespaced is no matter; that there is none such is.
    as "$1" auth can-i "$2" "${3%%/*}" "${flags[@]}" 2>"$WORK/warnings" || true
    grep "doesn't have a resource type" "$WORK/warnings" || true
}
may_not() { equal "$1 may not $2 $3${4:+ in $4}" no may "$@"; }

# What the API server says when RBAC refuses, and when one of our policies does.
by_rbac() { # VERB RESOURCE
    printf 'cannot %s resource "%s"' "$1" "${2//./\\.}"
}
by_policy() { # NAME MESSAGE, a regular expression
    printf "ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s" "${1//./\\.}" "${1//./\\.}" "$2"
}

# eventually SECONDS COMMAND...: the API server takes roles and policies over a moment after it has accepted
# them; what they bring about is asked for until it is so.
eventually() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            not_ok "in time: $*" "$("$@" 2>&1)"
            return 1
        fi
        sleep 0.1
    done
}
fails() { ! "$@"; }

# manifest NAME: reads a manifest from standard input, names its file.
manifest() {
    cat >"$WORK/$1.yaml"
    printf '%s' "$WORK/$1.yaml"
}

patch_node() { # WHO NODE MERGE-PATCH [FLAG...]
    local who=$1 node=$2 patch=$3
    shift 3
    as "$who" patch node "$node" --type=merge -p "$patch" "$@"
}
