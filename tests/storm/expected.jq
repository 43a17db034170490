# SPDX-License-Identifier: Apache-2.0
#
# What the status of each AppArmorProfile must say, worked out from what stands in the API, by other means than the
# controller's: {nodes, reports, profiles, revisions} → {name: …}. With $actual, what it says.

def selected($labels): .spec.nodeSelector.matchLabels // {} | to_entries | all(.value == $labels[.key]);

def summary_of($counts; $failures; $profile; $revision):
    ($counts.loaded + $counts.outdated + $counts.pending + $counts.failed) as $selected |
    {
        observedGeneration: $profile.metadata.generation, revision: $revision,
        nodes: {$selected, loaded: $counts.loaded, outdated: $counts.outdated, failed: $counts.failed,
            summary: "\($counts.loaded)/\($selected)"},
        failures: ($failures | sort_by(.node)[:10]),
        ready: (if $selected == 0 then "True/NoNodesSelected"
            elif $counts.failed > 0 then "False/NodesFailed"
            elif $counts.outdated + $counts.pending > 0 then "False/NodesPending"
            else "True/AllNodesLoaded" end),
        reconciling: ($counts.outdated + $counts.pending > 0),
        stalled: ($counts.failed > 0 and $counts.outdated + $counts.pending == 0),
        # With no node to tell, the last that was known stays.
        names: (if $counts.loaded > 0 then [$profile.metadata.name] else null end),
        mode: (if $counts.loaded > 0 then $profile.spec.mode // "Enforce" else null end),
        message: (if $selected == 0 then null else "\($counts.loaded) of \($selected) node\(if $selected == 1 then "" else "s" end) loaded" end),
        rollout: (if $profile.spec.rollout.strategy == "Progressive" then "Complete 100 \($counts.loaded)" else null end),
    };

def expected:
    (.nodes | map({key: .metadata.name, value: (.metadata.labels // {})}) | from_entries) as $nodes |
    (.reports | map({key: .metadata.name, value: (.status.profiles // [] | map({key: .name, value: .}) | from_entries)}) |
        from_entries) as $reports |
    .revisions as $revisions |
    .profiles | map(. as $profile | .metadata.name as $name | $revisions[$name] as $revision |
        [$nodes | to_entries[] | select(.value as $labels | $profile | selected($labels)) | .key |
            select($reports[.] != null) | {node: ., entry: $reports[.][$name]} |
            .state = (if .entry == null then "pending"
                elif .entry.generation != $profile.metadata.generation then "outdated"
                elif .entry.state == "Loaded" then (if .entry.revision == $revision then "loaded" else "outdated" end)
                elif .entry.state == "Failed" then "failed"
                else "pending" end)] as $shares |
        ($shares | group_by(.state) | map({key: .[0].state, value: length}) | from_entries |
            {loaded: 0, outdated: 0, pending: 0, failed: 0} + .) as $counts |
        [$shares[] | select(.state == "failed") | {node, reason: .entry.reason, message: .entry.message}] as $failures |
        {key: $name, value: summary_of($counts; $failures; $profile; $revision)}) | from_entries;

def actual($expected):
    .profiles | map(.metadata.name as $name | .status as $status |
        (.status.conditions // [] | map({key: .type, value: .}) | from_entries) as $conditions | {key: $name, value: {
            observedGeneration: $status.observedGeneration, revision: $status.revision, nodes: $status.nodes,
            failures: $status.failures,
            ready: "\($conditions.Ready.status)/\($conditions.Ready.reason)",
            reconciling: ($conditions.Reconciling.status == "True"), stalled: ($conditions.Stalled.status == "True"),
            names: (if $expected[$name].names then $status.profileNames else null end),
            mode: (if $expected[$name].mode then $status.mode else null end),
            message: (if $expected[$name].message then $conditions.Ready.message | split(";")[0] else null end),
            rollout: (if $status.rollout then $status.rollout | "\(.state) \(.percent) \(.updated)" else null end),
        }}) | from_entries;

# Names with what differs.
expected as $expected | actual($expected) as $actual |
    [$expected | keys[] | select($expected[.] != $actual[.]) | . as $name |
        {name: ., differs: [$expected[.] | keys[] | select($expected[$name][.] != $actual[$name][.]) |
            {key: ., value: {expected: $expected[$name][.], actual: $actual[$name][.]}}] | from_entries}]
