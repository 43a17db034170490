#!/bin/sh
# In a guest: the agent meets with a mishap at each call in turn that changes the node, then runs again undisturbed.
#   crash.sh prepare                 what is foreign, and what should come out
#   crash.sh before SCENARIO         the state before it
#   crash.sh mishap SCENARIO INJECT NUMBER   prints the call; status 3: there are fewer
#   crash.sh after SCENARIO          what must hold at once, then after another run
#   crash.sh all SCENARIO INJECT...  the three of them for every call, or each STEPth; INJECT in turn
set -u
FOLDERS=/etc/apparmor.d:/var/cache/apparmor-operator:/sys/kernel/security/apparmor
KERNEL=/sys/kernel/security/apparmor/policy/profiles
POLICY=/etc/apparmor.d
LOG=/tmp/calls

fail() {
    echo "assertion failed: $*"
    ls -la $POLICY | grep apparmor.io
    exit 1
}
agent() { timeout 60 apparmor-agent --manifests /manifests --once --self-confinement=off --log-level=warn; }

manifest() { # VERSION
    cat >/manifests/crash.yaml <<END
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata: {name: crash}
spec: {policy: "profile crash { /$1 r, profile kid { /$1 w, } }"}
END
}
digest() { cat $KERNEL/"$1".*/sha1 $KERNEL/"$1".*/profiles/*/sha1 2>/dev/null; }
# What was compiled would hide the compiler's part.
run() {
    rm -rf /var/cache/apparmor-operator
    agent >/tmp/agent.log 2>&1
}
want() { # SCENARIO
    rm -f /manifests/crash.yaml
    case $1 in
    load) manifest v1 ;;
    replace) manifest v2 ;;
    esac
}

prepare() {
    mkdir -p /manifests /expected
    echo 'profile foreign { /foreign r, }' | apparmor_parser -a
    echo precious >/etc/precious
    echo 'profile other { }' >$POLICY/apparmor.io.other.profile
    ln -s /etc/precious $POLICY/apparmor.io.link.profile
    local version
    for version in v1 v2; do
        manifest $version
        run || { cat /tmp/agent.log; fail "version $version loads"; }
        digest crash >/expected/$version.digest
        cp $POLICY/apparmor.io.crash.profile /expected/$version.file
        [ -s /expected/$version.digest ] || fail "version $version is in the kernel"
    done
    digest foreign >/expected/foreign
    cmp -s /expected/v1.digest /expected/v2.digest && fail 'the two versions differ'
    return 0
}

before() {
    rm -f /manifests/crash.yaml
    run || fail 'the state before'
    case $1 in replace | unload) manifest v1 && run || fail 'the state before' ;; esac
    want "$1"
}

mishap() { # SCENARIO INJECT NUMBER
    local status=0
    rm -rf $LOG /var/cache/apparmor-operator
    INJECT=$2 INJECT_AT=$3 INJECT_LOG=$LOG INJECT_BELOW=${BELOW:-$FOLDERS} LD_PRELOAD=/usr/lib/inject.so \
        agent >/tmp/agent.log 2>&1 || status=$?
    [ "$(wc -l <$LOG)" -ge "$3" ] || return 3
    sed -n "$3p" $LOG
    case $2 in
    kill | half) [ $status -eq 137 ] || fail "$2 at call $3: the agent ended with $status" ;;
    *) [ $status -le 1 ] || { cat /tmp/agent.log; fail "$2 at call $3: the agent ended with $status"; } ;;
    esac
}

check_foreign() {
    [ "$(digest foreign)" = "$(cat /expected/foreign)" ] || fail 'a foreign profile changed'
    [ "$(cat /etc/precious)" = precious ] && [ -L $POLICY/apparmor.io.link.profile ] || fail 'a link was followed'
    [ "$(cat $POLICY/apparmor.io.other.profile)" = 'profile other { }' ] || fail 'a foreign file changed'
}

# The first lines of a file of ours change with the time of nothing: all of it is compared.
after() { # SCENARIO
    local loaded file=$POLICY/apparmor.io.crash.profile
    loaded=$(digest crash)
    if [ -n "$loaded" ] && ! grep -q '"crash"' $file; then fail 'in the kernel, and no file says that it is ours'; fi
    # A power failure empties the kernel, and there the host loads the file.
    if [ "$1" = replace ] && [ -z "${POWER:-}" ] && [ -z "$loaded" ]; then fail 'the profile was gone for a while'; fi
    if [ -e $file ]; then apparmor_parser -QK $file || fail "the host's parser refuses the file"; fi
    check_foreign
    run || { cat /tmp/agent.log; fail 'the run after it'; }
    case $1 in
    load) version=v1 ;;
    replace) version=v2 ;;
    unload)
        [ -z "$(digest crash)" ] && [ ! -e $file ] || fail 'it is still there'
        version=
        ;;
    esac
    if [ -n "$version" ]; then
        [ "$(digest crash)" = "$(cat /expected/$version.digest)" ] || fail "not $version in the kernel"
        cmp $file /expected/$version.file || fail "not $version in the file"
        [ -z "$(find $POLICY -name '.*.tmp')" ] || fail 'a temporary file was left'
    fi
    check_foreign
}

all() { # SCENARIO INJECT...
    local scenario=$1 number=1 status
    shift
    while :; do
        before "$scenario"
        status=0
        mishap "$scenario" "$1" $number || status=$?
        [ $status -ne 3 ] || break
        [ $status -eq 0 ] || exit 1
        after "$scenario"
        number=$((number + ${STEP:-1}))
        set -- "$@" "$1"
        shift
    done
    echo "$scenario: at least $number calls"
    case $scenario in unload) [ $number -gt 3 ] ;; *) [ $number -gt 10 ] ;; esac || fail 'too few calls were counted'
}

"$@"
