#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In a guest: the agent with one kernel and one release of AppArmor's userspace, which is below /opt/apparmor. A line
# for each test, and "N passed, N failed" at the end.
set -u
USERSPACE=/opt/apparmor
INCLUDES=$USERSPACE/etc/apparmor.d
PARSER=$USERSPACE/sbin/apparmor_parser
KERNEL=/sys/kernel/security/apparmor
POLICY=/etc/apparmor.d
METRICS=http://127.0.0.1:9781/metrics
LOG=/tmp/agent.log
MESSAGES=/tmp/messages
export PATH=/usr/sbin:/usr/bin

# --- helpers --------------------------------------------------------------------

fail() {
    echo "assertion failed: $*"
    exit 1
}
expect() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected «$2», found «$3»"
}
eventually() { # WHAT COMMAND...: within a minute
    local what=$1 end=$(($(date +%s) + 60))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt $end ] || fail "$what: not within a minute: $*"
        sleep 0.1
    done
}

stock_parser() { # ARGUMENT...: as somebody would run it who has never heard of the agent
    "$PARSER" --config-file /dev/null --base "$INCLUDES" -M "$KERNEL/features" -K "$@"
}
agent() { # ARGUMENT...
    apparmor-agent --manifests /manifests --parser "$PARSER" --includes "$INCLUDES" --self-confinement=required \
        --log-format=json --log-level=debug "$@"
}
agent_start() {
    : >$LOG
    agent --listen 127.0.0.1:9781 >/tmp/agent.table 2>>$LOG &
    eventually 'the agent serves' metric apparmor_repairs_total >/dev/null
}
agent_stop() {
    kill -TERM "$(pidof apparmor-agent)" && wait
}
metric() { # NAME: the sum over its series; fails while the agent is not there
    wget -q -O /tmp/metrics $METRICS 2>/dev/null &&
        awk -v name="$1" '$1 == name || index($1, name "{") == 1 { sum += $2 } END { print sum + 0 }' /tmp/metrics
}

manifest() { # NAME MODE TEXT: of no mode when that is -
    local mode=
    [ "$2" = - ] || mode="
  mode: $2"
    # At once, as the agent reads it whenever it changes.
    cat >"/tmp/$1.yaml" <<END
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata:
  name: $1
spec:
  allowHostAttachment: true$mode
  policy: |2
$(printf '%s\n' "$3" | sed 's/^/    /')
END
    mv "/tmp/$1.yaml" "/manifests/$1.yaml"
}
# The last that the agent said of an object.
report() { grep "\"msg\":\"profile state\",\"profile\":\"$1\"" $LOG | tail -n 1; }
state() { report "$1" | sed 's/.*"state":"\([A-Za-z]*\)".*/\1/'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
record() { grep '^# apparmor.io: ' "$POLICY/apparmor.io.$1.profile"; }

# walk FOLDER PREFIX: name and folder of each profile in the kernel, children after their parents
walk() {
    local entry name
    for entry in "$1"/*/; do
        if [ -e "$entry/name" ]; then
            name=$2$(cat "$entry/name")
            echo "$name $entry"
            walk "$entry/profiles" "$name//"
        fi
    done
}
all_in_kernel() { walk $KERNEL/policy/profiles ''; }
folder() { all_in_kernel | sed -n "s|^$1 ||p"; } # PROFILE
in_kernel() { grep -qF "$1 (" $KERNEL/profiles; }
not_in_kernel() { ! in_kernel "$1"; }
mode_is() { grep -qxF "$1 ($2)" $KERNEL/profiles; }
digest() { cat "$(folder "$1")/$DIGEST" 2>/dev/null; }
digest_is() { [ "$(digest "$1")" = "$2" ]; }
digest_is_not() { [ -n "$(digest "$1")" ] && ! digest_is "$1" "$2"; }

# Name and digest of all that is in the kernel, and of all that the agent has a record of.
kernel_digests() {
    local name entry
    all_in_kernel | while read -r name entry; do
        echo "$name $(cat "$entry/$DIGEST")"
    done
}
record_digests() {
    cat $POLICY/apparmor.io.*.profile | grep '^# apparmor.io: ' | grep -o '{"name":"[^}]*' |
        sed "s/{\"name\":\"\([^\"]*\)\".*\"$DIGEST\":\"\([0-9a-f]*\)\".*/\1 \2/"
}

has_feature() { # FILE WORD
    grep -qw "$2" "$KERNEL/features/$1" 2>/dev/null
}
parser_at_least() { # MAJOR
    [ "${VERSION%%.*}" -ge "$1" ]
}

# --- tests ----------------------------------------------------------------------

FAMILY='profile family {
  /etc/hostname r,
  /usr/bin/* mrix,
  profile kid {
    /kid w,
  }
  ^hat {
    /hat r,
  }
}'

test_a_profile_is_loaded_with_its_child_and_hat() {
    local name
    manifest family - "$FAMILY"
    eventually 'it is loaded' state_is family Loaded
    for name in family family//kid family//hat; do
        mode_is "$name" enforce || fail "$name is not in the kernel"
        [ -n "$(digest "$name")" ] || fail "the kernel shows no $DIGEST of $name"
    done
    stock_parser -Q $POLICY/apparmor.io.family.profile || fail "the host's parser refuses the file"
}

test_what_is_not_allowed_is_denied() {
    expect 'what is allowed' "$(hostname)" "$(aa-exec -p family -- cat /etc/hostname)"
    ! aa-exec -p family -- cat /etc/passwd || fail 'it could be read'
}

test_a_replace_changes_what_is_loaded() {
    local before
    before=$(digest family)
    manifest family - "$(echo "$FAMILY" | sed 's|/etc/hostname|/etc/passwd|')"
    eventually 'it is replaced' digest_is_not family "$before"
    expect 'the child' enforce "$(cat "$(folder family//kid)/mode")"
    aa-exec -p family -- cat /etc/passwd >/dev/null || fail 'the new text does not hold'
    ! aa-exec -p family -- cat /etc/hostname || fail 'the old text still holds'
}

# What the mode does to who does what is not allowed: the status of cat.
test_every_mode_is_what_the_kernel_shows_and_does() {
    local mode name status
    while read -r mode expected; do
        manifest mode "$mode" "$(echo "$FAMILY" | sed 's/profile family/profile mode/')"
        mode=$(echo "$mode" | tr A-Z a-z)
        eventually "mode $mode" mode_is mode "$mode"
        for name in mode mode//kid mode//hat; do
            eventually "mode of $name" mode_is "$name" "$mode"
            expect "mode of $name" "$mode" "$(cat "$(folder "$name")/mode")"
        done
        status=0
        aa-exec -p mode -- cat /etc/passwd >/dev/null 2>&1 || status=$?
        expect "status in mode $mode" "$expected" "$status"
    done <<END
Enforce 1
Complain 0
Kill 137
Unconfined 0
END
}

test_an_error_has_the_line_of_the_policy() {
    manifest broken - 'profile broken {
  /a r,
  this is no rule,
}'
    eventually 'it has failed' state_is broken Failed
    report broken | grep -q '"reason":"CompileError".*"detail":"line 3: ' || fail "$(report broken)"
    not_in_kernel broken || fail 'it is loaded'
}

# repaired HOW DIGEST COUNT
repaired() {
    eventually "what was $1 is repaired" digest_is drift "$2"
    eventually "the repair of what was $1 is counted" repairs_are "$3"
    digest_is drift "$2" && mode_is drift enforce && mode_is drift//kid enforce || fail "it does not stay repaired"
}
repairs_are() { [ "$(metric apparmor_repairs_total)" -ge "$1" ]; }

test_drift_is_repaired() {
    local before count
    manifest drift - 'profile drift { /a r, profile kid { /b w, } }'
    eventually 'it is loaded' state_is drift Loaded
    before=$(digest drift)
    [ -n "$before" ] || fail 'no digest'
    count=$(metric apparmor_repairs_total)
    printf drift >$KERNEL/.remove || fail 'it cannot be removed'
    repaired removed "$before" $((count + 1))
    echo 'profile drift { /other r, profile kid { /b w, } }' | stock_parser -r || fail 'it cannot be replaced'
    repaired replaced "$before" $((count + 2))
    stock_parser -C -r $POLICY/apparmor.io.drift.profile || fail 'its mode cannot be changed'
    repaired 'put into another mode' "$before" $((count + 3))
}

test_what_nobody_wants_any_more_is_unloaded() {
    rm /manifests/drift.yaml
    eventually 'it is unloaded' not_in_kernel drift
    eventually 'its file is gone' [ ! -e $POLICY/apparmor.io.drift.profile ]
    in_kernel family || fail 'another is gone, too'
}

# Each rule with the first parser that knows it.
test_newer_rules_load_where_the_parser_knows_them() {
    local name first rule state
    while read -r name first rule; do
        manifest "$name" - "profile $name { $rule }"
        state=Failed
        ! parser_at_least "$first" || state=Loaded
        eventually "$rule with parser $VERSION" state_is "$name" $state
        if [ $state = Loaded ]; then
            mode_is "$name" enforce || fail "$rule: not in the kernel"
        else
            report "$name" | grep -q '"detail":"line 1: ' || fail "$(report "$name")"
        fi
        rm "/manifests/$name.yaml"
    done <<END
rule-userns 4 userns,
rule-mqueue 4 mqueue,
rule-io-uring 4 io_uring,
rule-all 4 all,
rule-priority 4 priority=10 /x r,
END
}

# The rule counts where kernel, parser and abi of the text know it.
test_a_kernel_that_mediates_user_namespaces_does_so() {
    local expected=allowed found=denied
    parser_at_least 4 || return 0
    manifest spaces - 'abi <abi/4.0>,
profile spaces {
  file,
  capability,
}'
    eventually 'it is loaded' state_is spaces Loaded
    unshare -U true || fail 'nobody here can have a user namespace'
    ! aa-exec -p spaces -- unshare -U true || found=allowed
    ! has_feature namespaces/mask userns_create || expected=denied
    expect 'a new user namespace' $expected $found
}

test_the_agent_and_its_compiler_are_confined() {
    local pid name
    pid=$(pidof apparmor-agent)
    for name in apparmor.io.agent apparmor.io.agent//parser; do
        mode_is $name enforce || fail "$name is not in the kernel"
    done
    expect 'label of the agent' 'apparmor.io.agent (enforce)' "$(cat "/proc/$pid/attr/current")"
    grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$pid/status" || fail 'it can have new privileges'
    grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail 'its system calls are not filtered'
    grep -qw landlock /sys/kernel/security/lsm || fail 'the kernel has no Landlock to confine the compiler'
}

# The examples, and a tenth of the distribution's profiles.
sample_manifests() {
    local file name
    cp /examples/*.yaml /manifests/
    for file in "$INCLUDES"/* "$USERSPACE"/share/extra-profiles/*; do
        if [ -f "$file" ] && [ "${file##*/}" != README ]; then echo "$file"; fi
    done | awk 'NR % 10 == 0' >/tmp/sample
    while read -r file; do
        name=$(echo "d-${file##*/}" | tr 'A-Z_+' 'a-z--' | cut -c 1-55)
        manifest "$name" - "$(cat "$file")"
        echo "$name $file"
    done </tmp/sample >/tmp/sample.names
}
test_profiles_of_the_distribution_load_as_they_are_recorded() {
    local name file loaded=0
    agent_stop
    rm -f /manifests/*
    sample_manifests
    agent --once >/tmp/sample.table 2>$LOG || true
    cat /tmp/sample.table
    for name in $(cd /examples && ls *.yaml); do
        state_is "${name%.yaml}" Loaded || fail "$(report "${name%.yaml}")"
    done
    while read -r name file; do
        if state_is "$name" Loaded; then
            loaded=$((loaded + 1))
        elif report "$name" | grep -q 'it names a namespace'; then
            echo "$file names a namespace"
        elif stock_parser -QS "$file" >/dev/null 2>&1; then
            fail "the stock parser takes $file: $(report "$name")"
        fi
    done </tmp/sample.names
    echo "$loaded of $(wc -l </tmp/sample) loaded"
    [ $loaded -ge 10 ] || fail 'hardly a profile'
    kernel_digests >/tmp/kernel.digests
    record_digests >/tmp/record.digests
    [ "$(wc -l </tmp/record.digests)" -gt $loaded ] || fail 'hardly a record'
    ! grep -vxFf /tmp/kernel.digests /tmp/record.digests || fail 'the kernel shows other digests than are recorded'
}

# The next read of it would wait for a change.
revision() { dd if=$KERNEL/revision bs=64 count=1 2>/dev/null; }
test_a_restart_finds_all_as_it_was() {
    local before
    before=$(revision)
    [ "$before" -gt 0 ] || fail 'no revision'
    agent --once >/dev/null 2>$LOG || true
    expect 'policy revision' "$before" "$(revision)"
}

# Nobody has asked for a denial of the agent itself.
test_the_kernel_has_nothing_to_complain_of() {
    dmesg >$MESSAGES
    ! grep -E 'BUG:|Oops|WARNING:|Call Trace|general protection|stack-out-of|blocked for more than|rcu.*stall' $MESSAGES ||
        fail 'the kernel is in trouble'
    ! grep 'apparmor="DENIED".*profile="apparmor.io.agent' $MESSAGES || fail 'the agent was denied something'
}

# --- all of them -----------------------------------------------------------------

evidence() {
    tail -n 30 $LOG
    dmesg | tail -n 20
}

main() {
    local name passed=0 failed=0 status
    mkdir -p /manifests
    # Each denial is to be seen.
    echo 0 >/proc/sys/kernel/printk_ratelimit
    VERSION=$("$PARSER" --version | sed -n 's/.*version \([0-9.]*\).*/\1/p')
    DIGEST=sha1
    [ -z "$(find $KERNEL/features/policy -name permstable32)" ] || DIGEST=sha256
    agent_start
    for name in $(sed -n 's/^\(test_[a-z_]*\)() {.*/\1/p' "$0"); do
        status=0
        (
            set -e
            "$name"
        ) >/tmp/test.log 2>&1 || status=$?
        if [ $status -eq 0 ]; then
            echo "ok - $name" | tr _ ' '
            passed=$((passed + 1))
        else
            echo "not ok - $name" | tr _ ' '
            { cat /tmp/test.log && evidence; } | sed 's/^/    /'
            failed=$((failed + 1))
        fi
    done
    agent_stop 2>/dev/null || true
    echo "kernel $(uname -r), AppArmor $(cat $USERSPACE/version): $passed passed, $failed failed"
    [ $failed -eq 0 ]
}
main
