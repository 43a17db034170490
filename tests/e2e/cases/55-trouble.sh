# shellcheck shell=bash
# Nodes that cannot do what is asked of them, for a while: a machine of its own, an agent with a folder of manifests.

trouble_boot() {
    local overlay=$CLUSTER_DIR/overlay-trouble
    vm down trouble >/dev/null 2>&1 || true # of a test that failed
    agent_overlay "$overlay"
    vm up trouble --overlay "$overlay" "$@"
    in_node trouble mkdir -p /manifests
}
trouble_agent() { # [FLAG...]: in the background, its log in /run/agent.log
    in_node trouble sh -c 'apparmor-agent --manifests /manifests --log-format=json --listen=127.0.0.1:9781 "$@" \
        </dev/null >/run/table 2>/run/agent.log &' agent "$@"
}
trouble_manifest() { # NAME POLICY
    profile_manifest "$1" <<<"$2" | vm exec trouble -i -- sh -c "cat >/manifests/.$1 && mv /manifests/.$1 /manifests/$1.json"
}
table_says() { in_node trouble grep -qE "$1" /run/table; }
log_says() { in_node trouble grep -q "$1" /run/agent.log; }
trouble_end() { in_node trouble sh -c 'kill $(pidof apparmor-agent); while pidof apparmor-agent; do usleep 50000; done >/dev/null'; }
healthy() { in_node trouble wget -q -O /dev/null http://127.0.0.1:9781/healthz; }

test_a_folder_that_cannot_be_written_is_tried_again() {
    trouble_boot
    in_node trouble sh -c 'mount --bind /etc/apparmor.d /etc/apparmor.d && mount -o remount,bind,ro /etc/apparmor.d'
    trouble_manifest ro 'profile ro { /x r, }'
    trouble_agent --self-confinement=off
    eventually 30 'it says why' table_says 'FileError.*Read-only'
    expect_failure 'loaded without a file that says whose it is' in_kernel trouble ro
    healthy || fail 'the agent is not healthy'
    in_node trouble mount -o remount,bind,rw /etc/apparmor.d
    eventually 90 'it is loaded' in_kernel trouble ro
    trouble_end
}

test_a_compiler_that_is_missing_is_found_when_it_comes() {
    in_node trouble sh -c 'rm -f /manifests/*'
    trouble_manifest late 'profile late { /x r, }'
    trouble_agent --parser=/run/apparmor_parser --self-confinement=off
    eventually 30 'it says why' table_says 'CompilerUnavailable'
    healthy || fail 'the agent is not healthy'
    in_node trouble sh -c 'cp /sbin/apparmor_parser /run/'
    eventually 60 'it is loaded' in_kernel trouble late
    trouble_end
}

test_a_kernel_interface_that_is_mounted_late_is_found() {
    in_node trouble sh -c 'rm -f /manifests/*; umount /sys/kernel/security'
    trouble_manifest mount 'profile mount { /x r, }'
    trouble_agent
    eventually 30 'it says why' log_says SecurityfsMissing
    healthy || fail 'the agent is not healthy'
    in_node trouble mount -t securityfs none /sys/kernel/security
    eventually 60 'it is loaded' in_kernel trouble mount
    trouble_end
}

# What distributions do to profiles that no file of theirs declares, and at each start of their service.
test_tools_of_the_host_leave_our_profiles_as_they_are() {
    in_node trouble sh -c 'rm -f /manifests/*'
    trouble_manifest host 'profile host { /x r, profile kid { /y r, } }'
    trouble_agent
    eventually 30 'it is loaded' in_kernel trouble host
    eventually 30 'all is done' table_says '^host +Loaded'
    local before after
    before=$(kernel_digest trouble host)
    in_node trouble sh -c 'echo "profile unknown { }" | apparmor_parser -a; aa-remove-unknown' || true
    expect_failure 'the unknown one is still there' in_kernel trouble unknown
    in_node trouble sh -c 'apparmor_parser -rK /etc/apparmor.d/apparmor.io.host.profile'
    after=$(kernel_digest trouble host)
    expect_equal 'digest' "$before" "$after"
    expect_equal 'repairs' 0 "$(agent_metric trouble apparmor_repairs_total)"
    trouble_end
    vm down trouble
}
