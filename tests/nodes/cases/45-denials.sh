# shellcheck shell=bash
# What policy refuses to real containers, and who is told.

# Denied as it begins, which is before its kubelet has told of it; the process goes on.
writer() { # FILE
    echo "echo x >/$1; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"
}
denied_pod() {
    confined_pod refused nodes-refused nodes-refused | jq --arg one "$(writer of-main)" --arg other "$(writer of-side)" '
        .spec.containers[0] as $main | .spec.containers = [
            ($main | .command = ["sh", "-c", $one]), ($main | .name = "side" | .command = ["sh", "-c", $other])]'
}
pod_event_says() { # POD REASON TEXT
    k get events -o json | jq -e --arg pod "$1" --arg reason "$2" --arg text "$3" 'any(.items[];
        .involvedObject.kind == "Pod" and .involvedObject.name == $pod and .reason == $reason and .message == $text)'
}

node_says_denied_are() { # NODE PODS
    [ "$(k get aan "$1" -o json | jq -r '[.status.denials[]? | select(.object == "nodes-refused").pods[]] | sort | join(" ")')" = "$2" ]
}
test_what_a_container_is_denied_is_told_on_its_pod() {
    local node
    apply_profile nodes-refused <<<'profile nodes-refused flags=(attach_disconnected) { / r, /** mrkix, network, capability, signal, }'
    denied_pod | k apply -f -
    pod_ready refused
    node=$(pod_node refused)
    eventually 60 'an Event tells of the one container' pod_event_says refused AppArmorDenied \
        'container main: mknod of /of-main for c denied by nodes-refused'
    eventually 60 'an Event tells of the other' pod_event_says refused AppArmorDenied \
        'container side: mknod of /of-side for c denied by nodes-refused'
    eventually 60 'the AppArmorNode tells of both' node_says_denied_are "$node" 'default/refused/main default/refused/side'
    delete_pod refused
}
