# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian packages of this machine's suite or of another, unpacked and never installed. Those of another come from
# the mirror that apt uses here, signed by Debian's archive, and leave the machine's own apt as it is. To be
# sourced by vm.

archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

own_suite()
{
    sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

is_own() { [[ ! $1 || $1 == "$(own_suite)" ]]; }

check_suite()
{
    [[ $1 =~ ^[a-z][a-z-]{1,30}$ ]] || die "'$1' is no suite of Debian, such as bookworm, trixie or sid"
}

# Prints where apt gets Debian's packages from.
debian_mirror()
{
    local lines line
    lines=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages')
    while read -r line; do
        if [[ $line == 'Debian|Debian|'* ]]; then
            echo "${line#Debian|Debian|}"
            return
        fi
    done <<<"$lines"
    die "apt uses no mirror of Debian here: add one to its sources and run apt-get update as root"
}

# apt_options SUITE: sets options, those that make apt's programs look at this suite alone. The unprivileged user
# that apt would download as cannot write to the cache.
apt_options()
{
    local dir=$cache_dir/apt-$1
    options=(-o APT::Sandbox::User=root)
    ! is_own "$1" || return 0
    options+=(-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache"
        -o Dir::Cache::pkgcache=pkgcache.bin -o Dir::Cache::srcpkgcache=srcpkgcache.bin
        -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts="$dir/none"
        -o Dir::Etc::preferences="$dir/preferences" -o Dir::Etc::preferencesparts="$dir/none"
        -o Dir::Etc::trusted="$dir/trusted.gpg" -o Dir::Etc::trustedparts="$dir/none"
        -o Acquire::Languages=none -o Acquire::GzipIndexes=true -o APT::Default-Release=)
}

# fetch_lists SUITE
fetch_lists()
{
    local suite=$1 dir=$cache_dir/apt-$1 mirror options
    mirror=$(debian_mirror)
    say "asking the mirror for the packages of $suite (some 10 MB)"
    mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,none}
    : >"$dir/status"
    echo "deb [signed-by=$archive_keyring target=Packages] $mirror $suite main" >"$dir/sources.list"
    apt_options "$suite"
    apt-get -qq "${options[@]}" -o APT::Update::Error-Mode=any update ||
        die "$mirror has no suite $suite that $archive_keyring vouches for, or is not reached"
    touch "$dir/updated"
}

# The lists of a suite that is not the machine's, a day old at most.
update_suite()
{
    local suite=$1 dir=$cache_dir/apt-$1
    ! is_own "$suite" || return 0
    [[ -r $archive_keyring ]] || die "missing packages: apt-get install debian-archive-keyring"
    (
        flock 8
        if [[ -z $(find "$dir/updated" -mmin -1440 2>/dev/null) ]]; then fetch_lists "$suite"; fi
    ) 8>"$dir.lock"
}

# package_candidate PACKAGE [SUITE]: its version
package_candidate()
{
    local version options
    apt_options "${2-}"
    version=$(apt-cache "${options[@]}" policy "$1" | sed -n 's/^ *Candidate: //p')
    if [[ ! $version || $version == '(none)' ]]; then
        is_own "${2-}" || die "Debian's $2 has no package $1"
        die "apt knows no package $1: run apt-get update as root, or name another with --kernel"
    fi
    echo "$version"
}

# package_depends PACKAGE SUITE PATTERN: what it depends on and the extended regular expression matches
package_depends()
{
    local options
    apt_options "$2"
    apt-cache "${options[@]}" depends "$1" 2>/dev/null | sed -nE "s/^ *\|*Depends: ($3)\$/\1/p"
}

# package_digests SUITE PACKAGE=VERSION...: a line of name and digest for each
package_digests()
{
    local suite=$1 options
    shift
    apt_options "$suite"
    apt-cache "${options[@]}" show "$@" | awk '/^Package:/ { name = $2 } /^SHA256:/ { print name, $2 }'
}

# unpack_packages WORK SUITE PACKAGE[=VERSION]...: their files, in WORK/root
unpack_packages()
{
    local work=$1 suite=$2 package options
    shift 2
    say "downloading $*"
    apt_options "$suite"
    rm -rf "$work"
    mkdir -p "$work/root"
    (cd "$work" && apt-get -qq "${options[@]}" download "$@") ||
        die "cannot download $*: run apt-get update as root"
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    # Not the package's, which would count as long unused.
    touch "$work/root"
}

# keep_unpacked WORK TARGET: moves them to where they are there whole or not at all
keep_unpacked()
{
    rm -rf "$2"
    mv "$1/root" "$2"
    rm -rf "$1"
}
