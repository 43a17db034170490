# shellcheck shell=bash

test_tasks_that_complain_mode_has_left_are_told() {
    apply_profile e2e-learnt Complain <<<'profile e2e-learnt { /** rwm, }'
    k wait --for=condition=Ready --timeout=60s aap/e2e-learnt
    confined_shell node-1 e2e-learnt
    shell_says 'sleep 1000 & cat /proc/$!/attr/current | cut -d/ -f1-3' 'e2e-learnt//null-'
    k patch aap e2e-learnt --type=merge -p '{"spec":{"mode":"Enforce"}}'
    eventually 30 'it is told' node_entry_reason_is node-1 e2e-learnt NotEnforced
    expect_match 'how many' '^1 task, for example of process' "$(node_entry node-1 e2e-learnt .message)"
    in_node node-1 killall sleep
    eventually 30 'until it has ended' node_entry_reason_is node-1 e2e-learnt null
    end_shell
}
