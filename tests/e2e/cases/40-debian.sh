# shellcheck shell=bash
# Policy that others wrote: the profiles of Debian's packages, through the API, onto both nodes. All of them with
# DEBIAN_EVERY=1 (make debian), else each twelfth, which takes the emulated compilers a minute.
DEBIAN_EVERY=${DEBIAN_EVERY:-12}

DEBIAN_PACKAGES='apparmor apparmor-profiles apparmor-profiles-extra'

# The files of the packages that are profiles: one object each, named after the file.
debian_profiles() {
    # shellcheck disable=SC2086
    dpkg -L $DEBIAN_PACKAGES | grep -E '^(/etc/apparmor\.d|/usr/share/apparmor/extra-profiles)/[^/]+$' |
        while read -r file; do
            [ -f "$file" ] && [ "${file##*/}" != README ] && echo "$file"
        done | sort | awk -v every="$DEBIAN_EVERY" 'NR % every == 0'
}
object_name() { # FILE: a valid metadata.name, distinct for the two folders
    local name=${1##*/}
    name=$(tr 'A-Z_+' 'a-z--' <<<"$name" | sed 's/[^a-z0-9.-]//g; s/^[^a-z0-9]*//; s/[^a-z0-9]*$//')
    case $1 in */extra-profiles/*) name=extra-$name ;; esac
    echo "${name:0:55}"
}
# Whether the stock parser takes the file, with what the nodes' kernel offers.
stock_parser_accepts() {
    apparmor_parser --config-file /dev/null --base /etc/apparmor.d -M "$CLUSTER_DIR/features" \
        -Q -K -S "$1" >/dev/null 2>&1
}
fetch_features() {
    mkdir -p "$CLUSTER_DIR/features"
    # Files of securityfs say that they are empty.
    in_node node-1 sh -c "cp -r $KERNEL_POLICY/features /run/ && cd /run/features && tar c ." | tar x -C "$CLUSTER_DIR/features"
}
debian_manifests() { # LIST-OF-FILES ALLOW-HOST-ATTACHMENT
    local file
    while read -r file; do
        jq -R -s --arg name "$(object_name "$file")" --argjson allow "$2" '{apiVersion: "apparmor.io/v1alpha1",
            kind: "AppArmorProfile", metadata: {name: $name}, spec: {policy: ., allowHostAttachment: $allow}}' "$file"
    done <"$1"
}

test_profiles_of_debian_load_on_both_nodes() {
    local accepted=$CLUSTER_DIR/accepted refused=0 file node
    fetch_features
    : >"$accepted"
    for file in $(debian_profiles); do
        if stock_parser_accepts "$file"; then
            echo "$file" >>"$accepted"
        else
            echo "the stock parser refuses $file"
            refused=$((refused + 1))
        fi
    done
    local total exceptions
    total=$(wc -l <"$accepted")
    debian_manifests "$accepted" true | k apply --server-side -f - >/dev/null
    for node in node-1 node-2; do
        eventually 600 "$node has dealt with all of them" node_has_settled "$node" "$total"
        k get aan "$node" -o json |
            jq -r '.status.profiles[] | select(.state != "Loaded") | "\(.name) \(.reason): \(.message)"'
        # The one exception is two files that declare the same profile: it has one owner.
        exceptions=$(k get aan "$node" -o json |
            jq '[.status.profiles[] | select(.state != "Loaded" and .reason != "NameConflict")] | length')
        expect_equal "profiles that $node did not load" 0 "$exceptions"
        expect_equal "labels of $node" "$(k get aan "$node" -o json |
            jq '[.status.profiles[] | select(.state == "Loaded")] | length')" \
            "$(k get node "$node" -o json |
                jq '[.metadata.labels | keys[] | select(startswith("apparmor.io/profile-"))] | length')"
    done
    echo "$total profiles; the stock parser refused $refused"
}
node_has_settled() {
    [ "$(k get aan "$1" -o json |
        jq '[.status.profiles[]? | select(.state == "Loaded" or .state == "Failed")] | length')" = "$2" ]
}

test_those_that_attach_to_a_path_are_refused_by_default() {
    local list=$CLUSTER_DIR/attaching file
    # A sample over the forms: a path as the name, a name with an attachment, several in one file.
    printf '%s\n' /etc/apparmor.d/bin.ping /etc/apparmor.d/usr.sbin.dnsmasq \
        /usr/share/apparmor/extra-profiles/usr.sbin.sshd >"$list"
    debian_manifests "$list" false | k apply --server-side -f - >/dev/null
    while read -r file; do
        eventually 60 "$file is refused" node_entry_is node-1 "$(object_name "$file")" Failed
        expect_equal "reason of $file" HostAttachment "$(node_entry node-1 "$(object_name "$file")" .reason)"
        expect_match "message of $file" 'allowHostAttachment' "$(node_entry node-1 "$(object_name "$file")" .message)"
    done <"$list"
}
