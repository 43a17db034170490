#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Checks the test guests themselves: boot, exec channel, AppArmor, network, disk, power.
# A line per check, and a status of 1 when one fails.
set -uo pipefail
export LC_ALL=C

vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vm=$vm_dir/vm
work=$(mktemp -d)
# Longer than the path of a socket may be.
export VM_STATE=$work/$(printf 'deep-%.0s' {1..24})
passed=0 failed=0

at_exit()
{
    "$vm" down --all
    rm -rf "$work"
}
trap at_exit EXIT

# check TEXT COMMAND...: the command must succeed
check()
{
    local text=$1
    shift
    if "$@" >"$work/check.log" 2>&1; then
        echo "ok - $text"
        passed=$((passed + 1))
    else
        echo "not ok - $text"
        sed 's/^/    /' "$work/check.log"
        failed=$((failed + 1))
    fi
}

# same EXPECTED ACTUAL
same()
{
    [[ $1 == "$2" ]] && return
    printf 'expected: %s\nfound:    %s\n' "$1" "$2"
    return 1
}

# ends_with STATUS COMMAND...
ends_with()
{
    local expected=$1 status=0
    shift
    "$@" || status=$?
    same "$expected" "$status"
}

# eventually SECONDS COMMAND...: an event that nothing announces, with a deadline
eventually()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >"$work/eventually.log" 2>&1; do
        if ((SECONDS >= end)); then
            cat "$work/eventually.log"
            return 1
        fi
        read -r -t 0.1 <> <(:) || true
    done
}

# In the background use "$vm" exec itself, so that $! is the client and not a shell around it.
guest() { "$vm" exec "$@"; }

# processes VM WORDS: how many of the guest's processes have the words in their command line
processes() { guest "$1" -- sh -c 'ps -o args | grep -c "^$1" || true' sh "$2"; }
has_processes() { same "$3" "$(processes "$1" "$2")"; }

running_qemus() { pgrep -fc "^qemu-system-x86_64 .*$VM_STATE/" || true; }

# --- boot ---------------------------------------------------------------------

boot_two()
{
    local first second
    "$vm" up one --hostfwd "$port:7000" --overlay "$work/overlay" &
    first=$!
    "$vm" up two --append apparmor=0 &
    second=$!
    wait "$first" && wait "$second"
}

make_overlay()
{
    mkdir -p "$work/overlay/lib/tools" "$work/overlay/etc"
    cp "$(PATH=$PATH:/usr/sbin:/sbin command -v mkfs.ext4)" "$work/overlay/lib/tools/"
    echo 'from the overlay' >"$work/overlay/etc/selftest"
    mkdir -p "$work/overlay/bin"
    printf '#!/bin/sh\necho replaced\n' >"$work/overlay/bin/factor"
    chmod +x "$work/overlay/bin/factor"
}

overlay_works()
{
    same 'from the overlay' "$(guest one -- cat /etc/selftest)" &&
        same replaced "$(guest one -- factor 6)" && same 6 "$(guest one -- expr 3 + 3)" &&
        guest one -- /lib/tools/mkfs.ext4 -V && guest one -- sh -c 'test -L /lib && test -L /bin'
}

# --- exec ---------------------------------------------------------------------

streams_are_separate()
{
    guest one -- sh -c 'echo out; echo err >&2' >"$work/out" 2>"$work/err"
    same out "$(<"$work/out")" && same err "$(<"$work/err")"
}

arguments_arrive()
{
    same $'a b|\n|*|' "$(guest one -- sh -c 'printf "%s|" "$@"' sh 'a b' $'\n' '*')"
}

output_is_whole()
{
    local sum
    guest one -- sh -c 'dd if=/dev/urandom of=/tmp/big bs=1M count=50 2>/dev/null && cat /tmp/big' >"$work/big"
    sum=$(guest one -- sh -c 'md5sum </tmp/big; rm /tmp/big')
    same "$sum" "$(md5sum <"$work/big")" && same $((50 * 1024 * 1024)) "$(stat -c %s "$work/big")"
}

both_ways_are_whole()
{
    guest one -i -- cat <"$work/big" >"$work/returned" && test -s "$work/returned" &&
        cmp "$work/big" "$work/returned"
}

# A reader that is slower than the writer, and commands that do not read their input.
flow_is_controlled()
{
    same 100 "$(guest one -- yes | head -n 100 | wc -l)" &&
        ends_with 5 guest one -i -- sh -c 'exit 5' <"$work/big" &&
        eventually 10 has_processes one yes 0
}

runs_at_once()
{
    local number
    guest one -- rm -f /tmp/go
    for number in {1..12}; do
        "$vm" exec one -- sh -c 'until [ -e /tmp/go ]; do sleep 0.1; done; echo "$0"' "waiter-$number" &
    done >"$work/waiters"
    eventually 20 has_processes one 'sh -c until' 12
    local together=$?
    guest one -- touch /tmp/go
    wait
    same "$(printf 'waiter-%s\n' {1..12} | sort)" "$(sort "$work/waiters")" && return "$together"
}

# More rounds than there are channels: each must be usable again.
killed_clients_leave_nothing()
{
    local client round
    for round in {1..20}; do
        "$vm" exec one -- sh -c 'echo started; sleep 4242 & sleep 4242; echo never' >"$work/started" &
        client=$!
        eventually 10 grep -q started "$work/started" || return 1
        kill -KILL "$client"
        wait "$client" 2>/dev/null
    done
    eventually 10 has_processes one 'sleep 4242' 0 &&
        eventually 10 has_processes one 'sh -c echo started' 0
}

killed_in_full_flow()
{
    local client round
    for round in {1..20}; do
        "$vm" exec one -i -- cat <"$work/big" >"$work/flow" &
        client=$!
        eventually 10 test -s "$work/flow" || return 1
        kill -KILL "$client"
        wait "$client" 2>/dev/null
        same "round $round" "$(guest one -i -- cat <<<"round $round")" || return 1
    done
    eventually 10 has_processes one cat 0
}

signals_are_passed_on()
{
    local client
    "$vm" exec one -- sh -c 'trap "echo stopping; exit 3" TERM; echo started; while :; do sleep 0.1; done' \
        >"$work/signal" &
    client=$!
    eventually 10 grep -q started "$work/signal" || return 1
    kill -TERM "$client"
    ends_with 3 wait "$client" && grep -q stopping "$work/signal"
}

timeout_ends_a_command()
{
    ends_with 124 guest one --timeout 0.5 -- sh -c 'trap "" TERM; sleep 4343; sleep 4343' &&
        has_processes one 'sleep 4343' 0
}

terminal_works()
{
    script -qec "stty rows 33 cols 99; '$vm' exec one -t -- sh -c 'tty; stty size; exit 4'" /dev/null \
        </dev/null >"$work/terminal"
    same 4 "$?" && grep -q /dev/pts/ "$work/terminal" && grep -q '33 99' "$work/terminal" &&
        ends_with 255 guest one -t -- true </dev/null
}

has_no_zombies()
{
    same 0 "$(guest one -- sh -c 'cat /proc/[0-9]*/stat 2>/dev/null | grep -c ") Z " || true')"
}

orphans_are_reaped()
{
    guest one -- sh -c '(sleep 0 & sleep 0 &) ; exit 0'
    eventually 10 has_no_zombies
}

# --- AppArmor, network, files -------------------------------------------------

confines()
{
    guest one -i -- apparmor_parser -r <<'END' || return 1
abi <abi/3.0>,
include <tunables/global>
profile selftest {
  include <abstractions/base>
  file,
  deny /tmp/** w,
}
END
    guest one -- grep -qx 'selftest (enforce)' /sys/kernel/security/apparmor/profiles &&
        ! guest one -- aa-exec -p selftest -- touch /tmp/denied &&
        ! guest one -- test -e /tmp/denied &&
        guest one -- aa-exec -p selftest -- touch /run/allowed && guest one -- touch /tmp/allowed
}

# The second guest reaches a port of the host's loopback, which is forwarded to the first.
network_works()
{
    "$vm" exec one -- sh -c 'echo greeting | nc -l -p 7000' &
    eventually 10 guest one -- grep -q ':1B58 .* 0A ' /proc/net/tcp /proc/net/tcp6 || return 1
    same greeting "$(guest two --timeout 10 -- nc 10.0.2.2 "$port" </dev/null)"
    local result=$?
    wait
    return "$result"
}

copies_work()
{
    mkdir -p "$work/tree/sub"
    printf 'a\0b' >"$work/tree/sub/file"
    chmod 750 "$work/tree/sub/file"
    "$vm" push one "$work/tree" /tmp/tree && "$vm" pull one /tmp/tree "$work/back" &&
        "$vm" push one "$work/tree/sub/file" /tmp/file && "$vm" pull one /tmp/file "$work/file" &&
        diff -r "$work/tree" "$work/back" && cmp "$work/tree/sub/file" "$work/file" &&
        same 750 "$(guest one -- stat -c %a /tmp/file)"
}

# --- power --------------------------------------------------------------------

disk_survives()
{
    "$vm" up disk --disk "$work/disk.img" &&
        guest disk -- sh -c 'echo kept >/etc/apparmor.d/kept; echo lost >/home/lost' &&
        "$vm" reboot disk && same kept "$(guest disk -- cat /etc/apparmor.d/kept)" &&
        ! guest disk -- test -e /home/lost &&
        guest disk -- sh -c 'echo synced >/var/lib/apparmor.io/synced; sync' &&
        "$vm" reset disk && same synced "$(guest disk -- cat /var/lib/apparmor.io/synced)" &&
        guest disk -- test -e /etc/apparmor.d/abstractions/base
}

guest_can_reboot()
{
    "$vm" up again --reboot-ok || return 1
    "$vm" exec again -- sleep 100 &
    local client=$!
    eventually 10 has_processes again 'sleep 100' 1
    guest again -- sh -c 'touch /run/before; reboot'
    ends_with 255 wait "$client" && ! guest again -- test -e /run/before
}

host_profiles_are_loaded()
{
    "$vm" up host --host-apparmor && guest host -- grep -q '(enforce)' /sys/kernel/security/apparmor/profiles &&
        "$vm" down host && "$vm" up host &&
        same '' "$(guest host -- cat /sys/kernel/security/apparmor/profiles)"
}

run_reports()
{
    printf '#!/bin/sh\ncat; echo "$1 in $(hostname)"; exit 9\n' >"$work/script"
    "$vm" run once "$work/script" ran <<<input >"$work/out"
    same 9 "$?" && same $'input\nran in once' "$(<"$work/out")" &&
        same 0 "$("$vm" list | grep -c '^once running')"
}

dead_kernel_is_reported()
{
    "$vm" up dead --append rdinit=/bin/false 2>"$work/err"
    same 255 "$?" && grep -q 'did not boot twice' "$work/err" &&
        same 0 "$("$vm" list | grep -c '^dead running')"
}

wrong_suites_are_named()
{
    "$vm" up suite --userspace 'sid; x' 2>"$work/err"
    same 255 "$?" && grep -q "'sid; x' is no suite of Debian" "$work/err" || return
    "$vm" up suite --kernel ../sid 2>"$work/err"
    same 255 "$?" && grep -q "'../sid' is no suite of Debian" "$work/err" &&
        same 0 "$("$vm" list | grep -c '^suite running')"
}

down_leaves_nothing()
{
    [[ $(running_qemus) -gt 0 ]] && "$vm" down --all && same 0 "$(running_qemus)"
}

port=$((20000 + RANDOM % 10000))
make_overlay

check 'two VMs boot at once' boot_two
((failed == 0)) || exit 1
check "an overlay's programs get their libraries" overlay_works
check 'a command succeeds' ends_with 0 guest one -- true
check 'an exit status comes back' ends_with 7 guest one -- sh -c 'exit 7'
check 'a killed command is told by 128 + signal' ends_with 137 guest one -- sh -c 'kill -9 $$'
check 'a missing command ends with 127' ends_with 127 guest one -- /no/such/command
check 'a VM that is not there is an error' ends_with 255 guest nobody -- true
check 'output and error output are separate' streams_are_separate
check 'arguments arrive as they are' arguments_arrive
check '50 MiB of output arrive whole' output_is_whole
check '50 MiB go in and out at once' both_ways_are_whole
check 'slow readers and deaf commands do not block' flow_is_controlled
check '12 commands run at once' runs_at_once
check 'a killed client takes its command along and frees the channel' killed_clients_leave_nothing
check 'a client killed in full flow leaves a clean channel' killed_in_full_flow
check 'signals reach the command' signals_are_passed_on
check 'a timeout ends a command' timeout_ends_a_command
check 'a terminal can be had' terminal_works
check 'orphans are reaped' orphans_are_reaped
check 'AppArmor is on' same Y "$(guest one -- cat /sys/module/apparmor/parameters/enabled)"
check 'apparmor=0 turns it off' same N "$(guest two -- cat /sys/module/apparmor/parameters/enabled)"
check 'a profile confines' confines
check "a guest reaches the host's loopback, and a forwarded port the other guest" network_works
check 'files are copied in and out' copies_work
check 'the disk survives reboot and power loss, the rest does not' disk_survives
check 'a guest may reboot by itself' guest_can_reboot
check "the host's profiles are loaded at boot when asked for" host_profiles_are_loaded
check 'run ends as its script did' run_reports
check 'a kernel that dies is reported' dead_kernel_is_reported
check "what cannot be a suite's name is refused" wrong_suites_are_named
check 'power off leaves no process' down_leaves_nothing

echo "$passed passed, $failed failed"
((failed == 0))
