# shellcheck shell=bash
# Last: what the whole run has shown.

# denials_of_agent NODE: refusals of the agent and its compiler that the kernel remembers, by AppArmor or by the filter
# of system calls (type 1326). Other programs come under its profile in 45-self.sh, to be refused.
denials_of_agent() {
    in_node "$1" dmesg | grep -E 'apparmor="(DENIED|ALLOWED)"|type=1326' |
        grep -E 'comm="(apparmor-agent|apparmor_parser|libuv-worker)"' || true
}

test_the_agents_were_denied_nothing_that_they_do() {
    local node
    for node in "${NODES[@]}"; do
        expect_equal "denials of the agent on $node" '' "$(denials_of_agent "$node")"
    done
}
