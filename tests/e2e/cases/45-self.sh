# shellcheck shell=bash
# The agent's own confinement. Its denials over the whole run are looked at in 99-denials.sh.

SELF=apparmor.io.agent

agent_labels() { # NODE: one line for each different label of its threads
    in_node "$1" sh -c 'cat /proc/$(pidof apparmor-agent)/task/*/attr/current | sort -u'
}
agent_status() { # NODE FIELD of /proc/PID/status
    in_node "$1" sh -c 'cat /proc/$(pidof apparmor-agent)/status' | awk -v field="$2:" '$1 == field { print $2 }'
}
self_metric_is() { [ "$(agent_metric "$1" apparmor_agent_confined)" = "$2" ]; }
as_agent() { # NODE COMMAND...: under the agent's profile
    local node=$1
    shift
    in_node "$node" aa-exec -p "$SELF" -- "$@"
}
restart_agent() { # NODE: what it logs from then on is in LOG
    local lines
    agent_running "$1" && agent_stop "$1"
    lines=$(wc -l <"$CLUSTER_DIR/agent-$1.log")
    agent_start "$1"
    eventually 60 'the agent is ready' agent_ready "$1"
    LOG=$(tail -n "+$((lines + 1))" "$CLUSTER_DIR/agent-$1.log")
}
expect_confined() { # NODE
    expect_equal "labels of the agent's threads" "$SELF (enforce)" "$(agent_labels "$1")"
    self_metric_is "$1" 1 || fail 'the metric does not say so'
}

test_all_threads_of_the_agent_run_under_its_own_profile() {
    # A load takes a thread.
    apply_profile e2e-thread <<<'profile e2e-thread { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-thread
    [ "$(agent_status node-1 Threads)" -gt 1 ] || fail 'it has one thread'
    expect_confined node-1
    expect_equal 'no_new_privs' 1 "$(agent_status node-1 NoNewPrivs)"
    expect_equal 'a filter of system calls' 2 "$(agent_status node-1 Seccomp)"
}

test_the_compiler_runs_under_one_profile_more() {
    local label
    # As soon as there is a compiler.
    in_node node-1 sh -c 'echo watching; end=$(($(date +%s) + 60)); while [ "$(date +%s)" -lt $end ]; do
        pid=$(pidof apparmor_parser) && cat /proc/${pid%% *}/attr/current 2>/dev/null && exit; done; echo none' \
        >"$CLUSTER_DIR/parser-label" &
    eventually 30 'somebody watches' grep -q watching "$CLUSTER_DIR/parser-label"
    # It takes the emulated compiler some tenths of a second.
    apply_profile e2e-compiled <<<'include <tunables/global>
        profile e2e-compiled { include <abstractions/base> include <abstractions/nameservice> }'
    k wait --for=condition=Ready --timeout=90s aap/e2e-compiled
    wait $!
    label=$(tail -n 1 "$CLUSTER_DIR/parser-label")
    expect_equal 'label of the compiler' "$SELF//&$SELF//parser (enforce)" "$label"
}

test_many_at_once_are_forked_from_one_compiler_that_is_held() {
    local i
    AGENT_FLAGS=(--log-level=debug)
    restart_agent node-1
    AGENT_FLAGS=()
    expect_confined node-1
    for i in $(seq 12); do
        profile_manifest "e2e-many-$i" <<<"profile e2e-many-$i { file, }"
    done | k apply --server-side -f - >/dev/null
    for i in $(seq 12); do
        k wait --for=condition=Ready --timeout=90s "aap/e2e-many-$i" >/dev/null
    done
    # It ends when there is no more to do.
    eventually 30 'the agent tells what it was good for' grep -q '"served":"[1-9]' "$CLUSTER_DIR/agent-node-1.log"
    expect_equal 'held compilers that did not start' 0 "$(grep -c 'cannot be held ready' "$CLUSTER_DIR/agent-node-1.log")"
    restart_agent node-1
}

test_a_restart_neither_compiles_nor_loads_what_the_kernel_has() {
    local revision
    revision=$(in_node node-1 dd bs=64 count=1 if="$KERNEL_POLICY/revision" 2>/dev/null)
    restart_agent node-1
    expect_confined node-1
    expect_equal 'revision of the policy' "$revision" "$(in_node node-1 dd bs=64 count=1 if="$KERNEL_POLICY/revision" 2>/dev/null)"
}

test_under_its_profile_there_is_little_to_take() {
    in_node node-1 sh -c 'umask 077; echo secret >/etc/shadow'
    expect_failure 'a file of the host is read' as_agent node-1 cat /etc/shadow
    expect_failure 'a file of the host is read' as_agent node-1 cat /etc/passwd
    expect_failure 'a folder of the host is read' as_agent node-1 ls /root
    expect_failure 'a file is written beside its own' as_agent node-1 touch /etc/apparmor.d/another
    expect_failure 'a file is written anywhere' as_agent node-1 touch /tmp/another
    # Neither its own nor one that anything may enter.
    expect_failure 'a program is started' as_agent node-1 sh -c '/bin/busybox true'
    expect_failure "a process's memory is read" as_agent node-1 cat /proc/1/environ
    expect_failure 'something is mounted' as_agent node-1 mount -t tmpfs none /mnt
    in_node node-1 rm /etc/shadow
    # So that the refusals above say something.
    as_agent node-1 cat "$KERNEL_POLICY/profiles" >/dev/null
    as_agent node-1 cat /proc/1/attr/current >/dev/null
}

test_no_profile_takes_a_name_of_the_operators() {
    local digest
    digest=$(kernel_digest node-1 "$SELF")
    [ -n "$digest" ] || fail 'no digest'
    apply_profile e2e-usurper <<<"profile $SELF { file, }"
    eventually 30 'it is refused' node_entry_reason_is node-1 e2e-usurper NotOwned
    apply_profile e2e-squatter <<<'profile apparmor.io.anything { file, }'
    eventually 30 'so is another' node_entry_reason_is node-1 e2e-squatter NotOwned
    expect_match 'it says why' "the operator's own" "$(node_entry node-1 e2e-squatter .message)"
    not_in_kernel node-1 apparmor.io.anything || fail 'loaded'
    k delete aap --all --wait=true
    expect_equal "the agent's own profile" "$digest" "$(kernel_digest node-1 "$SELF")"
    expect_confined node-1
}

test_tools_of_the_host_leave_the_agent_its_profile() {
    in_node node-1 aa-remove-unknown
    expect_confined node-1
    # As a reload of the host's policy does.
    in_node node-1 apparmor_parser -r -K "/etc/apparmor.d/$SELF"
    expect_confined node-1
}

test_a_profile_that_is_removed_is_missed_and_comes_back_with_the_next_start() {
    in_node node-1 apparmor_parser -R "/etc/apparmor.d/$SELF"
    eventually 20 'the metric says so' self_metric_is node-1 0
    grep -q 'own profile was unloaded' "$CLUSTER_DIR/agent-node-1.log" || fail 'the log does not say so'
    # It goes on with its work.
    apply_profile e2e-onward <<<'profile e2e-onward { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-onward
    restart_agent node-1
    expect_confined node-1
}

test_a_file_of_anothers_in_its_place_is_left_alone() {
    in_node node-1 sh -c "cp /etc/apparmor.d/$SELF /tmp/own && echo precious >/etc/apparmor.d/$SELF"
    restart_agent node-1
    expect_confined node-1
    expect_equal 'the file' precious "$(in_node node-1 cat "/etc/apparmor.d/$SELF")"
    expect_match 'it says so' 'was not written by this agent' "$LOG"
    in_node node-1 mv /tmp/own "/etc/apparmor.d/$SELF"
    restart_agent node-1
    expect_confined node-1
}

# From beyond the node, by an agent under its profile and with its own rights.
test_metrics_are_read_by_whom_the_api_server_lets() {
    local url=https://127.0.0.1:$METRICS_PORT/metrics token answer
    k apply -f deploy/components/metrics/role.yaml
    k create serviceaccount e2e-metrics
    k create clusterrolebinding e2e-metrics --clusterrole=apparmor-metrics-reader --serviceaccount=default:e2e-metrics
    token=$(k create token e2e-metrics)
    AGENT_FLAGS=(--metrics-listen=:9782)
    restart_agent node-1
    AGENT_FLAGS=()
    expect_equal "labels of the agent's threads" "$SELF (enforce)" "$(agent_labels node-1)"
    expect_equal 'without a token' 401 "$(curl -sk --max-time 20 -o /dev/null -w '%{http_code}' "$url")"
    answer=$(curl -sk --max-time 20 -H "Authorization: Bearer $token" "$url")
    expect_match 'with one' 'apparmor_agent_confined 1' "$answer"
    k delete clusterrolebinding/e2e-metrics serviceaccount/e2e-metrics
    restart_agent node-1
}

# once NODE FLAG...: an agent of its own without a cluster, which ends by itself
once() {
    local node=$1
    shift
    in_node "$node" mkdir -p /tmp/manifests
    vm exec "$node" --timeout 60 -- apparmor-agent --manifests=/tmp/manifests --once --log-format=json "$@" 2>&1
}

test_what_is_required_and_fails_ends_the_agent() {
    local output status=0
    # Under another's profile there is nothing for it to do.
    in_node node-2 sh -c 'echo "profile e2e-outer { file, network, capability, change_profile, signal, ptrace, unix, }" |
        apparmor_parser -r -K'
    in_node node-2 mkdir -p /tmp/manifests
    in_node node-2 aa-exec -p e2e-outer -- apparmor-agent --manifests=/tmp/manifests --once --self-confinement=required
    in_node node-2 sh -c 'echo "profile e2e-outer { }" | apparmor_parser -R'
    output=$(once node-2 --parser=/bin/false --self-confinement=required) || status=$?
    expect_equal 'its exit status' 1 "$status"
    expect_match 'what it says' 'self-confinement=required' "$output"
    output=$(once node-2 --parser=/bin/false)
    expect_match 'what it says' 'does not confine itself' "$output"
    output=$(once node-2 --parser=/bin/false --self-confinement=off)
    [[ $output != *confine* ]] || fail "off says $output"
    # The profile of the cluster's agent is what it was.
    restart_agent node-2
    expect_confined node-2
}

# What is left of a cluster on a node that has left it.
test_an_empty_folder_purges_what_a_cluster_has_left() {
    local output status=0 pid
    profile_manifest e2e-left <<<'profile e2e-left { file, }' | k apply -f - >/dev/null
    profile_manifest e2e-left-in-use <<<'profile e2e-left-in-use { file, signal, }' | k apply -f - >/dev/null
    eventually 60 'both are loaded' node_entry_is node-2 e2e-left Loaded
    eventually 60 'both are loaded' node_entry_is node-2 e2e-left-in-use Loaded
    agent_stop node-2
    in_node node-2 sh -c 'aa-exec -p e2e-left-in-use -- sleep 1000 </dev/null >/dev/null 2>&1 &'
    output=$(once node-2 --self-confinement=off) || true
    in_kernel node-2 e2e-left || fail "an agent with an empty folder takes what is a cluster's: $output"
    output=$(once node-2 --self-confinement=off --purge) || status=$?
    expect_equal 'exit status while a process has one' 1 "$status"
    expect_match 'what it says of it' 'e2e-left-in-use +Draining' "$output"
    expect_failure 'the other is still there' in_kernel node-2 e2e-left
    in_kernel node-2 e2e-left-in-use || fail 'a profile went from under a process'
    in_node node-2 sh -c 'kill $(pidof sleep)'
    status=0
    output=$(once node-2 --self-confinement=off --purge) || status=$?
    expect_equal "exit status when nothing is left: $output" 0 "$status"
    expect_failure 'a profile is left' in_kernel node-2 e2e-left-in-use
    expect_equal 'files of ours' '' "$(in_node node-2 sh -c 'ls /etc/apparmor.d | grep "^apparmor.io.*profile$"')"
    agent_start node-2
    k delete aap e2e-left e2e-left-in-use >/dev/null
}

test_a_node_without_apparmor_takes_no_notice() {
    restart_agent node-3
    [[ $LOG != *confine* ]] || fail "it says $LOG"
    self_metric_is node-3 0 || fail 'the metric says that it is confined'
    expect_equal 'a filter of system calls' 2 "$(agent_status node-3 Seccomp)"
}
