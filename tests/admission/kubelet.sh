# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# A kubelet may label its own Node, but not under apparmor.io/. With the credentials that kubelets have.

suite_kubelet() {
    local by
    by=$(by_policy kubelet-labels.apparmor.io '.*remove from --node-labels: ')
    as admin label --overwrite node node-1 apparmor.io/enabled=true >/dev/null
    allowed 'a kubelet sets a label of its own choice on its Node' \
        as kubelet-node-1 label --overwrite node node-1 example.com/rack=r1
    allowed 'a kubelet leaves an existing apparmor.io/ label alone' \
        as kubelet-node-1 label node node-1 example.com/rack-
    refused "${by}apparmor\.io/profile-x" 'a kubelet may not promise a profile' \
        as kubelet-node-1 label node node-1 apparmor.io/profile-x=true
    refused "${by}apparmor\.io/enabled" 'a kubelet may not change a label under apparmor.io/' \
        as kubelet-node-1 label --overwrite node node-1 apparmor.io/enabled=false
    refused "${by}apparmor\.io/enabled" 'a kubelet may not remove a label under apparmor.io/' \
        as kubelet-node-1 label node node-1 apparmor.io/enabled-
    refused "${by}apparmor\.io/profile-x" 'a kubelet may not do so by the status either' \
        as kubelet-node-1 apply --server-side --subresource=status -f "$(kubelet_node node-1)"
    allowed 'control: an administrator may' \
        as admin label node node-1 apparmor.io/profile-x=true --dry-run=server
    allowed 'a kubelet updates its status' as kubelet-node-1 apply --server-side --force-conflicts \
        --subresource=status -f "$(kubelet_node node-1 example.com/via-status)"
    kubelet_registers
    as admin label node node-1 apparmor.io/enabled- example.com/via-status- >/dev/null
}

kubelet_node() { # NAME [LABEL]
    manifest "kubelet-$1" <<END
apiVersion: v1
kind: Node
metadata:
  name: $1
  labels: {${2:-apparmor.io/profile-x}: "true"}
status:
  phase: Running
END
}

# A kubelet that is started with --node-labels registers its Node with them.
kubelet_registers() {
    local user=(--as=system:node:node-9 --as-group=system:nodes --as-group=system:authenticated)
    refused "$(by_policy kubelet-labels.apparmor.io '.*apparmor\.io/profile-x')" \
        'a kubelet may not register with a label under apparmor.io/' \
        as admin "${user[@]}" create --dry-run=server -f "$(kubelet_node node-9)"
    allowed 'a kubelet registers with another label' \
        as admin "${user[@]}" create --dry-run=server -f "$(kubelet_node node-9 example.com/rack)"
}
