# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/: the API server takes them, the parser of this machine compiles them, and pods name profiles that
# exist.

EXAMPLES_FEATURES=/etc/apparmor.d/abi/3.0

suite_examples() {
    local file name
    for file in examples/profiles/*.yaml; do
        name=$(basename "$file" .yaml)
        allowed "$name: the API server takes it" as admin apply --server-side --dry-run=server -f "$file"
        examples_spec "$file" | jq -r .spec.policy >"$WORK/$name.policy"
        equal "$name: the object, the file and the profile in the text have one name" "$name $name" \
            examples_names "$file" "$WORK/$name.policy"
        allowed "$name: compiles without a warning" examples_compile "$WORK/$name.policy"
    done
    for file in examples/pods/*.yaml; do
        name=$(basename "$file" .yaml)
        allowed "pod $name: the API server takes it" as admin apply --server-side --dry-run=server -f "$file"
        equal "pod $name: selects nodes by the profile that it names" '' examples_pod_mismatch "$file"
    done
}

examples_spec() { # FILE: as JSON
    as admin create --dry-run=client -o json -f "$1"
}
examples_names() { # FILE POLICY
    printf '%s %s\n' "$(examples_spec "$1" | jq -r .metadata.name)" \
        "$(apparmor_parser --config-file /dev/null --base /etc/apparmor.d -M "$EXAMPLES_FEATURES" -Q -K --names "$2")"
}

examples_compile() { # POLICY
    local out=$WORK/compiled log=$WORK/parser.log
    apparmor_parser --config-file /dev/null --base /etc/apparmor.d -M "$EXAMPLES_FEATURES" --warn=all \
        -Q -K -S "$1" >"$out" 2>"$log" && [ -s "$out" ] && ! [ -s "$log" ] && return 0
    cat "$log"
    return 1
}

# Pods and pod templates whose profile is missing in examples/profiles or not asked for by the nodeSelector.
examples_pod_mismatch() { # FILE
    local profile selected found=0
    while read -r profile selected; do
        found=1
        [ -f "examples/profiles/$profile.yaml" ] || echo "no AppArmorProfile $profile"
        [ "$selected" = true ] || echo "nodeSelector lacks apparmor.io/profile-$profile"
    done < <(examples_spec "$1" | jq -r '(.items // [.])[] |
        (if .kind == "Pod" then .spec else .spec.template.spec? end) | select(. != null) |
        .securityContext.appArmorProfile as $profile | select($profile.type == "Localhost") |
        "\($profile.localhostProfile) \(.nodeSelector["apparmor.io/profile-" + $profile.localhostProfile])"')
    [ "$found" = 1 ] || echo "no pod with a Localhost profile"
}
