# shellcheck shell=bash
# What a node's policy refuses, and who is told.

# ready_profile NAME: what runs under it may read and start everything, and write nothing.
read_only_profile() {
    apply_profile "$1" <<<"profile $1 { / r, /** mrkix, signal, capability, }"
    k wait --for=condition=Ready --timeout=60s "aap/$1"
}
violations_are() { # PROFILE OPERATION NUMBER
    [ "$(agent_metrics node-1 | grep "^apparmor_violations_total{profile=\"$1\",operation=\"$2\",outcome=\"denied\",namespace=\"default\",pod=\"$1\",container=\"main\"}" |
        awk '{ print $2 }')" = "$3" ]
}
denied_events() { # POD: their messages
    k get events -o json | jq -r --arg pod "$1" '.items[] | select(.reason == "AppArmorDenied" and
        .involvedObject.kind == "Pod" and .involvedObject.name == $pod).message'
}
denied_event_is_told() { [ -n "$(denied_events "$1")" ]; }
denied_lines() { # NAME: lines of the agent's log about it
    grep '"msg":"access denied"' "$CLUSTER_DIR/agent-node-1.log" | jq -c --arg name "$1" 'select(.name == $name)'
}

test_a_denial_is_told_by_metric_log_event_and_status() {
    local writes
    read_only_profile e2e-denied
    pod_asking e2e-denied e2e-denied
    container_starts e2e-denied e2e-denied
    writes=$(agent_writes node-1 apparmornodes)
    container_does e2e-denied e2e-denied 'i=0; while [ $i -lt 37 ]; do i=$((i + 1)); echo x >/etc/denied; done; sleep 1000'

    eventually 20 'the metric tells' violations_are e2e-denied mknod 37
    eventually 20 'the AppArmorNode tells' status_has '.audit.source == "Netlink" and
        (.violations[0] | .object == "e2e-denied" and .denied == 37 and .allowed == 0)'
    expect_equal 'how it tells' 'e2e-denied e2e-denied Denied file mknod c /etc/denied 37 default/e2e-denied/main' \
        "$(k get aan node-1 -o json | jq -r '.status.denials[] | "\(.profile) \(.object) \(.outcome) \(.class) \(
            .operation) \(.denied) \(.name) \(.count) \(.pods | join(","))"')"
    eventually 20 'the Event tells' denied_event_is_told e2e-denied
    expect_match 'the Event' '^container main: mknod of /etc/denied for c denied by e2e-denied, [0-9]+ times$' \
        "$(denied_events e2e-denied)"
    expect_equal 'the line of the log' 'e2e-denied e2e-denied default e2e-denied main c' \
        "$(denied_lines /etc/denied | jq -r '"\(.profile) \(.object) \(.namespace) \(.pod) \(.container) \(.denied)"')"
    [ "$(($(agent_writes node-1 apparmornodes) - writes))" -le 2 ] || fail 'it was written again and again'

    # Another agent goes on from there, and says nothing new.
    writes=$(agent_writes node-1)
    agent_stop node-1
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    status_has '.violations[0].denied == 37' || fail 'the restart has forgotten it'
    expect_equal 'API writes of the restart' "$writes" "$(agent_writes node-1)"

    # What was said of a text says nothing of the next.
    apply_profile e2e-denied <<<'profile e2e-denied { / r, /** mrwkix, signal, capability, }'
    eventually 30 'the AppArmorNode says so' status_has '.violations == null and .denials == null'
    container_ends e2e-denied
    delete_pod e2e-denied
}

# cgroup_forms UID ID: where runtimes put a container, below the hierarchies of both versions.
cgroup_forms() {
    local slice=kubepods-besteffort-pod${1//-/_}.slice
    printf '%s\n' "/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/$slice/cri-containerd-$2.scope" \
        "/sys/fs/cgroup/kubepods.slice/kubepods-besteffort.slice/$slice/crio-$2.scope/container" \
        "/sys/fs/cgroup/kubepods/besteffort/pod$1/crio-$2" \
        "/sys/fs/cgroup/system.slice/containerd.service/$slice:cri-containerd:$2" \
        "/run/cgroup1/kubepods/besteffort/pod$1/$2" \
        "/run/cgroup1/kubepods.slice/kubepods-besteffort.slice/$slice/cri-containerd-$2.scope"
}
test_a_denial_is_its_containers_whatever_driver_has_made_its_cgroup() {
    local uid forms
    read_only_profile e2e-forms
    pod_asking e2e-forms e2e-forms
    container_is e2e-forms '{"running": {"startedAt": "2026-01-01T00:00:00Z"}}'
    uid=$(k get pod e2e-forms -o jsonpath='{.metadata.uid}')
    mapfile -t forms < <(cgroup_forms "$uid" "$(container_id e2e-forms)")
    in_node node-1 sh -c 'mkdir -p /run/cgroup1 && mount -t cgroup -o none,name=systemd cgroup /run/cgroup1'
    # They stay until they have been found; each is refused one file.
    tests/vm/vm exec node-1 -- sh -c 'for form; do
            mkdir -p "$form" && sh -c "echo \$\$ >\"\$0/cgroup.procs\" && cat /proc/self/cgroup &&
                exec aa-exec -p e2e-forms -- sh -c \"echo x >/etc/denied; exec sleep 1000\"" "$form" &
        done; wait' sh "${forms[@]}" &
    eventually 30 'each is told as of the pod' violations_are e2e-forms mknod "${#forms[@]}"
    in_node node-1 sh -c 'for form; do kill $(cat "$form/cgroup.procs"); done' sh "${forms[@]}"
    wait $!
    in_node node-1 sh -c 'for form; do rmdir "$form"; done; umount /run/cgroup1' sh "${forms[@]}"
    delete_pod e2e-forms
}

agent_jiffies() { in_node node-1 sh -c 'cat /proc/$(pidof apparmor-agent)/stat' | awk '{ print $14 + $15 }'; }
agent_resident() { agent_status node-1 VmRSS; }
agent_status() { # NODE FIELD of /proc/PID/status
    in_node "$1" sh -c 'cat /proc/$(pidof apparmor-agent)/status' | awk -v field="$2:" '$1 == field { print $2 }'
}
some_violations() { # PROFILE AT-LEAST
    [ "$(agent_metrics node-1 | grep "^apparmor_violations_total{profile=\"$1\"" | awk '{ sum += $2 } END { print sum + 0 }')" -ge "$2" ]
}

events_written() { # by the agent, of the pod e2e-flood
    jq -r 'select(.objectRef.resource == "events" and (.verb == "create" or .verb == "patch") and
        .user.extra["authentication.kubernetes.io/node-name"][0]? == "node-1" and
        (.objectRef.name // "" | startswith("e2e-flood."))) | .verb' "$CLUSTER_DIR/cp/audit.log" | wc -l
}
audit_records() { # that the kernel has emitted since the agent began, as far as that is known
    echo $(($(agent_metric node-1 apparmor_audit_records_total) + $(agent_metric node-1 apparmor_audit_lost_total)))
}

test_a_flood_of_denials_costs_a_bounded_share_and_other_work_goes_on() {
    local began spent resident lines share seen records lost start=$SECONDS
    read_only_profile e2e-flood
    pod_asking e2e-flood e2e-flood
    container_starts e2e-flood e2e-flood
    lines=$(wc -l <"$CLUSTER_DIR/agent-node-1.log")
    make --no-print-directory -s "$BUILD/tests/e2e/flood"
    vm push node-1 "$BUILD/tests/e2e/flood" /run/flood
    container_does e2e-flood e2e-flood 'exec /run/flood'
    eventually 30 'it is told' some_violations e2e-flood 200
    resident=$(agent_resident)
    records=$(audit_records)
    spent=$(agent_jiffies)
    began=$EPOCHREALTIME
    apply_profile e2e-beside <<<'profile e2e-beside { file, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-beside
    eventually 60 'much was told' some_violations e2e-flood 2000
    share=$(awk -v from="$began" -v to="$EPOCHREALTIME" -v ticks="$(($(agent_jiffies) - spent))" \
        'BEGIN { printf "%d", ticks / (to - from) }')
    seen=$(agent_metric node-1 apparmor_violations_total)
    records=$(awk -v from="$began" -v to="$EPOCHREALTIME" -v count="$(($(audit_records) - records))" \
        'BEGIN { printf "%d", count / (to - from) }')
    echo "of $records records a second"
    lost=$(agent_metric node-1 apparmor_audit_lost_total)
    lines=$(($(wc -l <"$CLUSTER_DIR/agent-node-1.log") - lines))
    echo "the agent took $share % of a processor, $seen denials were read, $lost lost"
    echo "it has written $lines lines and $(events_written) Events; its memory was $resident, is $(agent_resident) KiB"
    [ "$share" -lt 40 ] || fail "the agent took $share % of a processor"
    # Fewer than a thousand a second it may well have read all.
    [ "$lost" -gt 0 ] || [ "$records" -lt 1000 ] || fail 'what it did not read is not counted'
    # 200 at once, then ten a second.
    [ "$lines" -lt $((260 + 10 * (SECONDS - start))) ] || fail 'its log is full of it'
    eventually 60 'the AppArmorNode tells' status_has '.denials | length > 10'
    status_has '.denials | length <= 300' || fail 'so is the AppArmorNode'
    # Ten that are much alike, then one that says so, and 25 about one pod.
    eventually 30 'an Event tells' denied_event_is_told e2e-flood
    [ "$(denied_events e2e-flood | wc -l)" -le 26 ] || fail 'so are the Events'
    [ "$(events_written)" -le 60 ] || fail "$(events_written) writes of Events"
    [ "$(($(agent_resident) - resident))" -lt 8192 ] || fail "its memory grew from $resident to $(agent_resident) KiB"
    # Now that all tables are full and all has been told once, nothing grows any more.
    resident=$(agent_resident)
    seen=$(agent_metric node-1 apparmor_violations_total)
    eventually 60 'more was told' some_violations e2e-flood $((seen + 1000))
    echo "after 1000 more its memory is $(agent_resident) KiB, was $resident"
    [ "$(($(agent_resident) - resident))" -lt 1024 ] || fail "it goes on growing: from $resident to $(agent_resident) KiB"
    container_ends e2e-flood
    delete_pod e2e-flood
}

test_a_kernel_without_audit_is_reported() {
    local overlay=$CLUSTER_DIR/overlay-silent
    agent_overlay "$overlay"
    mkdir -p "$overlay/manifests"
    vm up silent --overlay "$overlay" --append audit=0
    vm exec silent --timeout 60 -- sh -c 'apparmor-agent --manifests=/manifests --listen=127.0.0.1:9781 --log-format=json \
        2>/tmp/log & until wget -q -O /tmp/metrics http://127.0.0.1:9781/metrics 2>/dev/null; do sleep 0.2; done; kill $!; cat /tmp/metrics /tmp/log' \
        >"$CLUSTER_DIR/silent.out" || fail 'the agent does not serve'
    vm down silent
    grep -q '^apparmor_audit_available 0$' "$CLUSTER_DIR/silent.out" || fail 'the metric does not tell'
    expect_equal 'the log' AuditDisabled \
        "$(grep '"msg":"denials are not told of on this node"' "$CLUSTER_DIR/silent.out" | jq -r .reason)"
}

test_alerts_and_dashboard_are_about_metrics_that_the_programs_have() {
    local pages=$CLUSTER_DIR/pages
    mkdir -p "$pages"
    # What has labels is served once it has happened.
    read_only_profile e2e-removed
    k delete aap e2e-removed --wait=true --timeout=60s
    read_only_profile e2e-metrics
    expect_failure 'writing' in_node node-1 aa-exec -p e2e-metrics -- touch /etc/refused
    eventually 20 'the denial is counted' some_violations e2e-metrics 1
    agent_metrics node-1 >"$pages/agent"
    curl -sf "http://127.0.0.1:$CONTROLLER_PORT/metrics" >"$pages/controller"
    tests/prometheus/run "$pages/agent" "$pages/controller"
}

processes_are() { # NUMBER: seen under e2e-census on node-1, as its AppArmorNode tells
    [ "$(k get aan node-1 -o json | jq '.status.profiles[] | select(.name == "e2e-census") | .processes')" = "$1" ]
}
# census_pod NAME NUMBER: a container under it, with so many processes more.
census_pod() {
    local begun
    pod_asking "$1" e2e-census
    container_does "$1" e2e-census "for i in \$(seq $2); do sleep 1000 & done; wait"
    begun=$(container_cgroup "$1")
    eventually 20 "the processes of $1 run" census_runs "$begun" "$2"
    container_is_told "$1"
}
census_runs() { in_node node-1 sh -c "[ \"\$(wc -l <$1/cgroup.procs)\" -gt $2 ]"; } # CGROUP NUMBER
# The kubelet's word, which the agent waits for.
container_is_told() { container_is "$1" '{"running": {"startedAt": "2026-01-01T00:00:00Z"}}'; }
promotable() { k get aap e2e-census -o json | jq -r '.status.conditions[] | select(.type == "Promotable") | .message'; }
promotable_tells() { [[ $(promotable) == *"$1"* ]]; }

test_processes_under_complain_are_counted_on_the_kernel_and_a_restart_writes_nothing() {
    local writes pod
    apply_profile e2e-census Complain <<<'profile e2e-census { / r, /** mrkix, signal, capability, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-census
    processes_are 0 || fail 'without any'
    eventually 20 'Promotable tells that nobody uses it' promotable_tells 'no process has been seen under it'
    writes=$(agent_writes node-1 apparmornodes)
    # A shell and its children.
    census_pod e2e-census 6
    eventually 60 'the processes of one container are told, coarsely' processes_are 5
    census_pod e2e-census-2 2
    eventually 60 'those of another are added' processes_are 10
    eventually 20 'the controller adds up the nodes' promotable_tells 'at least 10 processes ran under it'
    [ "$(($(agent_writes node-1 apparmornodes) - writes))" -le 4 ] || fail 'it was written again and again'

    writes=$(agent_writes node-1)
    agent_stop node-1
    agent_start node-1
    eventually 30 'the agent is ready' agent_ready node-1
    processes_are 10 || fail 'the restart has forgotten them'
    expect_equal 'API writes of the restart' "$writes" "$(agent_writes node-1)"
    census_pod e2e-census-3 12
    eventually 60 'what begins after it is counted on top' processes_are 20

    for pod in e2e-census e2e-census-2 e2e-census-3; do
        in_node node-1 sh -c "kill \$(cat $(container_cgroup "$pod")/cgroup.procs)"
        container_is "$pod" '{"terminated": {"exitCode": 0}}'
        delete_pod "$pod"
    done
    processes_are 20 || fail 'what has ended is no longer counted'
    apply_profile e2e-census Complain <<<'profile e2e-census { / r, /** mrkix, signal, capability, network, }'
    eventually 30 'another text begins anew' processes_are 0
}
