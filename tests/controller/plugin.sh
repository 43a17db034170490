# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# kubectl apparmor, run by kubectl as a user runs it, on what controller and (played) agents have written. To be
# sourced by tests/controller/run.

# kubectl finds its plugins in the PATH, and takes no flags before their name.
PLUGIN_PATH=$(realpath -m "$BUILD")
plugin() { PATH=$PLUGIN_PATH:$PATH KUBECONFIG=$DIR/admin.kubeconfig "$KUBECTL" apparmor "$@"; }
# The same, with the exit status as its last line, and ages that do not change.
plugin_says() {
    local status=0
    plugin "$@" >"$WORK/plugin.out" 2>&1 || status=$?
    sed -E 's/\b[0-9]+[smhd]\b/AGE/g' "$WORK/plugin.out"
    echo "exit $status"
}

plugin_denials='"violations": [], "denials": [
    {"profile": "plug", "object": "plug", "outcome": "Allowed", "class": "file", "operation": "open",
     "name": "/srv/x y", "requested": "r", "denied": "r", "comm": "httpd", "count": 3,
     "firstTime": "2026-01-01T00:00:00Z", "lastTime": "2026-01-01T00:00:00Z", "pods": ["default/app/main"]},
    {"profile": "plug//null-/bin/sh", "object": "plug", "outcome": "Allowed", "class": "capability",
     "operation": "capable", "name": "chown", "comm": "sh", "count": 1,
     "firstTime": "2026-01-01T00:00:00Z", "lastTime": "2026-01-01T00:00:00Z", "pods": ["default/app/main"]}]'

plugin_manifest() { # MODE [RULE]
    cat <<END
apiVersion: apparmor.io/v1alpha1
kind: AppArmorProfile
metadata:
  name: plug
spec:
  mode: $1
  nodeSelector: {matchLabels: {kubernetes.io/hostname: node-1}}
  policy: |
    profile plug {
${2:+      $2
}    }
END
}

# plugin_report STATE [REASON MESSAGE]
plugin_report() {
    local entry generation revision
    generation=$(as admin get aap plug -o jsonpath='{.metadata.generation}')
    revision=$(as admin get aap plug -o jsonpath='{.status.revision}')
    entry=$(jq -nc --arg state "$1" --arg reason "${2:-}" --arg message "${3:-}" --arg revision "$revision" \
        --argjson generation "$generation" '{name: "plug", generation: $generation, revision: $revision,
        state: $state, mode: "Complain", profileNames: ["plug"], lastTransitionTime: "2026-01-01T00:00:00Z"} +
        if $reason == "" then {} else {reason: $reason, message: $message} end')
    agent node-1 PATCH /node-1/status merge-patch+json \
        "{\"status\": {\"apparmor\": \"Enabled\", \"profiles\": [$entry], $plugin_denials}}"
}
plugin_ready_is() { [ "$(as admin get aap plug -o json | jq -r \
    '.status.conditions[]? | select(.type == "Ready") | "\(.status)/\(.reason)"')" = "$1" ]; }
plugin_revision_is_known() { [ -n "$(as admin get aap plug -o jsonpath='{.status.revision}')" ]; }
plugin_has_text() { as admin -n apparmor-system get controllerrevisions -l apparmor.io/profile=plug -o name | grep -q .; }

case_plugin() {
    local before
    before=$(as admin get aan node-1 -o json | jq -c '{status: (.status + {denials: null, violations: null})}')
    as admin label node node-1 kubernetes.io/hostname=node-1 --overwrite >/dev/null
    plugin_manifest Complain | as admin apply --server-side -f - >/dev/null
    eventually 20 plugin_revision_is_known
    plugin_report Loaded
    eventually 20 plugin_ready_is True/AllNodesLoaded
    plugin_shows
    plugin_learns
    plugin_fails
    as admin delete aap plug --wait=false >/dev/null
    agent node-1 PATCH /node-1/status merge-patch+json "$before"
    eventually 20 no_profile_plug
}
no_profile_plug() { [[ $(as admin get aap plug 2>&1) == *NotFound* ]]; }

plugin_shows() {
    equal "kubectl apparmor status shows the profile" "plug Complain 1/1 True AllNodesLoaded AGE" \
        plugin_line status plug
    equal "and describe all about it" \
        "node-1 Loaded Complain 1 - -" plugin_line describe node-1 plug
    equal "and about a node" "plug Loaded Complain 1 plug - -" plugin_line describe plug node/node-1
    allowed "status as YAML is YAML" plugin_yaml_is_read
    refused 'neither a PROFILE nor node/NAME' "what is neither is refused" plugin describe pod/x
    refused 'apparmorprofiles.apparmor.io "none" not found' "a profile that is not there is told" plugin describe none
    equal "kubectl completes its names" "plug" plugin_completes describe plu
    equal "and node names" "$(as admin get aan -o name | sed s,.*/,node/, | paste -sd" ")" plugin_completes describe node/
}
plugin_line() { # COMMAND FIRST-WORD [OPERAND]: the line of its output that begins so
    plugin_says "$1" ${3:+"$3"} | sed -E 's/^ +//' | grep -m 1 "^$2 "
}
plugin_yaml_is_read() { plugin status -o yaml >"$WORK/status.yaml"
    plugin status -o json | jq -e '.profiles | length > 0' >/dev/null && grep -q '^profiles:' "$WORK/status.yaml"; }
plugin_completes() { KUBECONFIG=$DIR/admin.kubeconfig "$BUILD/kubectl-apparmor" __complete "$@" |
    grep -v '^:' | paste -sd ' '; }

# plugin_forms COMMAND...: JSON, the same as YAML, and columns
plugin_forms() {
    allowed "$1 -o json is an object" plugin_json "$@"
    equal "$1 -o yaml has the same at its top" "$(jq -r 'keys[]' "$WORK/plugin.json" | paste -sd ' ')" plugin_yaml_keys "$@"
    allowed "$1 -o wide is for people, without colours in a pipe" plugin_wide "$@"
}
plugin_json() { plugin "$@" -o json >"$WORK/plugin.json"; [ $? -le 1 ] && jq -e 'type == "object"' "$WORK/plugin.json"; }
plugin_yaml_keys() { plugin "$@" -o yaml | sed -n 's/^\([a-zA-Z]*\):.*/\1/p' | sort | paste -sd ' '; }
plugin_wide() { plugin "$@" -o wide >"$WORK/plugin.wide"; [ $? -le 1 ] && [ -s "$WORK/plugin.wide" ] &&
    ! jq -e . "$WORK/plugin.wide" >/dev/null 2>&1 && ! grep -q $'\x1b' "$WORK/plugin.wide"; }

plugin_learns() {
    local operands
    plugin_manifest Complain >"$WORK/plug.yaml"
    for operands in status 'describe plug' 'describe node/node-1' 'denials plug' 'suggest plug'; do
        # shellcheck disable=SC2086
        plugin_forms $operands
    done
    equal "status -o wide lists the nodes, too" "$(as admin get aan -o name | wc -l)" plugin_wide_nodes
    equal "denials tells what was seen" "3 Allowed plug open of /srv/x y for r httpd AGE default/app/main 1" \
        plugin_line denials 3 plug
    equal "also of a pod" "exit 1" plugin_last denials pod default/app
    equal "of which there may be none" "exit 0" plugin_last denials pod default/other
    (cd "$WORK" && plugin suggest plug -f plug.yaml >plug.patch && false) && not_ok "suggest says that there is something" ""
    (cd "$WORK" && patch -s plug.yaml plug.patch)
    equal "suggest patches the manifest" "$(printf 'capability chown,\n "/srv/x y" r,' | tr -d '\n')" \
        plugin_added_rules
    allowed "which lint finds in order" plugin lint --features /etc/apparmor.d/abi/3.0 "$WORK/plug.yaml"
    refused 'does not allow what was seen' "promote does not, while there are denials" plugin promote plug
    equal "but is told to" "AppArmorProfile plug: spec.mode: Enforce" plugin_first promote plug --force --apply
    equal "and has" Enforce as admin get aap plug -o 'jsonpath={.spec.mode}'
    eventually 20 plugin_has_text
    equal "history has both texts" "2" plugin_count history plug
    plugin_forms history plug
    allowed "history -o wide has whole revisions" grep -qE '^1 +[0-9a-f]{32,} ' "$WORK/plugin.wide"
    equal "and what the second changed" "-# mode: Complain +# mode: Enforce" plugin_changes
    equal "and the first as it was" Complain plugin_first_mode
}
plugin_wide_nodes() { plugin status -o wide | awk '$1 == "NODE" { inside = 1; next } inside && NF == 0 { exit } inside' | wc -l; }
plugin_last() { plugin_says "$@" | tail -n 1; }
plugin_first() { plugin "$@" 2>/dev/null | head -n 1; }
plugin_added_rules() { diff <(plugin_manifest Complain) "$WORK/plug.yaml" | sed -n 's/^> *//p' | paste -sd ' ' ; }
plugin_count() { plugin "$@" -o json | jq '.texts | length'; }
plugin_numbers() { plugin history plug -o json | jq -r '.texts[].number'; }
plugin_changes() { plugin history plug --diff "$(plugin_numbers | tail -n 1)" | grep '^[-+]#' | paste -sd ' '; }
plugin_first_mode() { plugin history plug --revision "$(plugin_numbers | head -n 1)" | sed -n 's/^  mode: //p'; }

plugin_fails() {
    plugin_report Failed LoadFailed "no memory"
    eventually 20 plugin_ready_is False/NodesFailed
    equal "status says what is wrong, and what to do" "exit 1" plugin_last status
    allowed "and where" grep -q '✗ AppArmorProfile plug: .*node-1: no memory (NodesFailed)' "$WORK/plugin.out"
    allowed "with a remedy" grep -q '→ mend the nodes' "$WORK/plugin.out"
    equal "so does describe" "exit 1" plugin_last describe plug
}
