# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# AppArmor's userspace of any suite of Debian for a guest: below /opt/apparmor the parser in sbin, in lib all the
# libraries that it needs with the loader that goes with them, policy files in etc/apparmor.d and
# share/extra-profiles, and the version of package apparmor in the file version. To be sourced by vm.

userspace_files=/opt/apparmor
userspace_packages=(apparmor apparmor-profiles libapparmor1 libc6 libgcc-s1 libstdc++6 libzstd1)
# Not in every suite.
userspace_extra=(apparmor-profiles-extra)
userspace_loader=ld-linux-x86-64.so.2

# userspace_list SUITE: the packages with their versions
userspace_list()
{
    local suite=$1 package version
    for package in "${userspace_packages[@]}"; do
        version=$(package_candidate "$package" "$suite")
        echo "$package=$version"
    done
    for package in "${userspace_extra[@]}"; do
        version=$(package_candidate "$package" "$suite" 2>/dev/null) || continue
        echo "$package=$version"
    done
}

# needed_libraries LIB FILE: what the file needs by the words of the loader in LIB, as absolute names in it
needed_libraries()
{
    local lib=$1 file=$2 output
    output=$("$lib/$userspace_loader" --library-path "$lib" --list "$file") ||
        die "${file##*/} does not run with the libraries of ${userspace_packages[*]}: $output"
    grep -oE "$lib/[^ ]+" <<<"$output" || true
}

# The program starts the loader by the name that it has in the guest, and that looks for libraries there alone.
move_program()
{
    local program=$1
    patchelf --set-interpreter "$userspace_files/lib/$userspace_loader" "$program"
    # As DT_RPATH, which libraries inherit that need others.
    patchelf --force-rpath --set-rpath "$userspace_files/lib" "$program"
}

# make_userspace PACKAGES TREE
make_userspace()
{
    local packages=$1 tree=$2$userspace_files all=$2/all file library parser
    mkdir -p "$all" "$tree"/{sbin,lib,etc,share}
    # Some packages have them below /usr, some not.
    for file in "$packages"{,/usr}/lib/x86_64-linux-gnu "$packages"{,/usr}/lib64; do
        [[ ! -d $file ]] || cp -L "$file"/*.so* "$all/"
    done
    for parser in "$packages"{,/usr}/sbin/apparmor_parser; do
        [[ ! -f $parser ]] || cp "$parser" "$tree/sbin/"
    done
    for library in $(needed_libraries "$all" "$tree/sbin/apparmor_parser") "$all/$userspace_loader"; do
        cp "$library" "$tree/lib/"
    done
    rm -rf "$all"
    move_program "$tree/sbin/apparmor_parser"
    cp -r "$packages/etc/apparmor.d" "$tree/etc/"
    # Installing a package makes these.
    mkdir -p "$tree/etc/apparmor.d/local"
    for file in "$tree"/etc/apparmor.d/*; do
        [[ ! -f $file ]] || : >>"${file%/*}/local/${file##*/}"
    done
    cp -r "$packages/usr/share/apparmor/extra-profiles" "$tree/share/"
}

# build_userspace SUITE TARGET VERSION PACKAGE=VERSION...
build_userspace()
{
    local suite=$1 target=$2 version=$3 work=$2.part
    shift 3
    need_tools patchelf:patchelf cpio:cpio
    unpack_packages "$work" "$suite" "$@"
    mkdir -p "$work/tree"
    make_userspace "$work/root" "$work/tree"
    echo "$version" >"$work/tree$userspace_files/version"
    rm -rf "${work:?}/root"
    mkdir "$work/root"
    pack "$work/tree" "$work/root/userspace.cpio"
    keep_unpacked "$work" "$target"
    find "$cache_dir" -maxdepth 1 '(' -name 'userspace-*' -o -name 'current-userspace-*' ')' -mtime +14 \
        -exec rm -rf {} +
}

# What the result depends on besides the packages.
userspace_recipe()
{
    sha256sum <"$vm_dir/userspace.sh" | cut -c 1-16
}

# Prints the folder of a suite's userspace, which it builds when it is not in the cache.
userspace_dir()
{
    local suite=$1 packages version key target
    (
        flock 9
        update_suite "$suite"
        packages=$(userspace_list "$suite")
        version=$(sed -n 's/^apparmor=//p' <<<"$packages")
        # shellcheck disable=SC2086
        key=$( (package_digests "$suite" $packages && userspace_recipe) | sha256sum | cut -c 1-16)
        target=$cache_dir/userspace-$key
        # shellcheck disable=SC2086
        if [[ ! -d $target ]]; then build_userspace "$suite" "$target" "$version" $packages; fi
        echo "${target##*/}" >"$cache_dir/current-userspace-$suite-$(userspace_recipe)"
        echo "$target"
    ) 9>"$cache_dir/userspace.lock"
}

# As userspace_dir, without asking apt when that has been done before.
userspace_dir_quick()
{
    local name current
    current=$cache_dir/current-userspace-$1-$(userspace_recipe)
    if read -r name 2>/dev/null <"$current" && [[ -d $cache_dir/$name ]]; then
        touch "$current" "$cache_dir/$name"
        echo "$cache_dir/$name"
    else
        userspace_dir "$1"
    fi
}
