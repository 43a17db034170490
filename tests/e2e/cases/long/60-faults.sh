# shellcheck shell=bash
# As 50-crash.sh, which has the parts: every call fails with every error, half of what is written arrives, the power
# fails.

test_half_of_any_write_leaves_what_the_next_start_repairs() {
    crash_boot
    local scenario
    for scenario in load replace unload; do
        vm exec crash --timeout 600 -- crash.sh all $scenario half
    done
    vm down crash
}

test_an_error_of_any_call_harms_nothing() {
    crash_boot
    local scenario error
    for scenario in load replace unload; do
        for error in EIO ENOSPC EROFS; do
            vm exec crash --timeout 600 -- crash.sh all $scenario $error
        done
    done
    vm down crash
}

# The guest's disk keeps what was synced, and of the rest what the kernel had got round to.
test_a_power_failure_at_any_call_leaves_whole_files() {
    local disk=$CLUSTER_DIR/crash.img number=1 boot
    rm -f "$disk"
    crash_boot --disk "$disk" --reboot-ok
    in_node crash sh -c 'cp -r /expected /etc/apparmor.d/.expected; cp /etc/precious /etc/apparmor.d/.precious; sync'
    while :; do
        in_node crash crash.sh before replace
        in_node crash sync
        boot=$(in_node crash cat /proc/sys/kernel/random/boot_id)
        power_fails_at "$number" "$boot" || break
        in_node crash sh -c 'mkdir -p /manifests; cp -r /etc/apparmor.d/.expected /expected; cp /etc/apparmor.d/.precious /etc/precious
            echo "profile foreign { /foreign r, }" | apparmor_parser -a; . /usr/bin/crash.sh want replace'
        in_node crash env POWER=1 crash.sh after replace
        number=$((number + 1))
    done
    echo "lost power at the calls up to $number"
    [ "$number" -gt 5 ] || fail 'too few calls were counted'
    vm down crash
}
# Fails when there is no such call.
power_fails_at() { # NUMBER BOOT
    in_node crash env BELOW=/etc/apparmor.d:/sys/kernel/security/apparmor crash.sh mishap replace power "$1" &&
        fail 'it did not lose power'
    eventually 30 'it is there again' in_node crash true
    [ "$(in_node crash cat /proc/sys/kernel/random/boot_id)" != "$2" ]
}
