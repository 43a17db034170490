# shellcheck shell=bash
# What the distribution's service runs at boot, on a machine on which the agent never starts again.
test_the_hosts_own_boot_brings_the_profiles_back_without_an_agent() {
    local disk=$CLUSTER_DIR/trouble.img boot before name
    rm -f "$disk"
    trouble_boot --disk "$disk" --host-apparmor
    trouble_manifest first $'include <tunables/global>\nprofile first { include <abstractions/base> profile kid { /y r, } }'
    trouble_manifest second 'profile second flags=(complain) { /x r, }'
    trouble_agent
    eventually 60 'both are loaded' table_says '^second +Loaded'
    eventually 60 'both are loaded' table_says '^first +Loaded'
    before=$(kernel_digest trouble first; kernel_digest trouble second)
    # What they were made from need not be there.
    in_node trouble sh -c 'rm -rf /etc/apparmor.d/abstractions /etc/apparmor.d/tunables; sync'
    boot=$(in_node trouble cat /proc/sys/kernel/random/boot_id)
    vm reboot trouble
    eventually 60 'it has booted' boot_is_another trouble "$boot"
    expect_failure 'an agent runs' in_node trouble pidof apparmor-agent
    for name in first first//kid second; do
        in_kernel trouble "$name" || fail "$name is not back"
    done
    expect_equal 'what is loaded' "$before" "$(kernel_digest trouble first; kernel_digest trouble second)"
    vm down trouble
}
boot_is_another() { # NODE BOOT
    local boot
    boot=$(in_node "$1" cat /proc/sys/kernel/random/boot_id) && [ "$boot" != "$2" ]
}
