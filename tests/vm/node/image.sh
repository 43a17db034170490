# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The root disk of a Kubernetes node: containerd and runc as Debian packages them, kubelet, and the images
# that its pods need to start, imported by containerd itself. To be sourced by vm.

node_files=$vm_dir/node
# With the libraries that a machine without them may lack, too.
node_packages=(containerd runc containernetworking-plugins nftables libnftables1 libnftnl11 libmnl0 libxtables12
    libjansson4 libedit2 libbsd0 libmd0 libseccomp2)
# What of the packages a node runs; the rest of them is as large again.
node_programs=(/usr/bin/containerd /usr/bin/containerd-shim-runc-v2 /usr/bin/ctr /usr/sbin/runc
    /usr/sbin/nft /usr/lib/cni/loopback /usr/lib/cni/ptp /usr/lib/cni/host-local)
node_modules=(nft_chain_nat nft_nat nft_masq)

# Prints the folder of the packages' files, which it fetches when they are not in the cache.
packages_dir()
{
    local package versions='' target
    for package in "${node_packages[@]}"; do
        versions+="$package=$(package_candidate "$package") "
    done
    target=$cache_dir/packages-$(sha256sum <<<"$versions" | cut -c 1-16)
    (
        flock 9
        if [[ ! -d $target ]]; then
            unpack_packages "$target.part" '' "${node_packages[@]}"
            keep_unpacked "$target.part" "$target"
        fi
        echo "${target##*/}" >"$cache_dir/current-packages"
    ) 9>"$cache_dir/packages.lock"
    echo "$target"
}

packages_dir_quick()
{
    local name
    if read -r name 2>/dev/null <"$cache_dir/current-packages" && [[ -d $cache_dir/$name ]]; then
        echo "$cache_dir/$name"
    else
        packages_dir
    fi
}

# A static program as an image: archive_program NAME PROGRAM [LINK...], with names in /bin for busybox
archive_program()
{
    local name=$1 program=$2 work link
    shift 2
    work=$(mktemp -d)
    mkdir -p "$work"/{bin,etc,tmp}
    chmod 1777 "$work/tmp"
    cp "$program" "$work/bin/${name%%:*}"
    for link in "$@"; do
        [[ -e $work/bin/$link ]] || ln -s "${name%%:*}" "$work/bin/$link"
    done
    echo 'root:x:0:0:root:/:/bin/sh' >"$work/etc/passwd"
    "$root_dir/deploy/image/archive" --name "localhost/$name" --entrypoint "/bin/${name%%:*}" \
        --output "$tools_dir/image-${name%%:*}.tar" "$work"
    rm -rf "$work"
}

archive_images()
{
    build_tool "$tools_dir/pause" -static "$node_files/pause.c"
    archive_program pause:1 "$tools_dir/pause"
    local commands
    mapfile -t commands < <(busybox --list)
    archive_program busybox:1 "$(command -v busybox)" "${commands[@]}"
}

# make_node_tree TREE KERNEL PACKAGES KUBELET
make_node_tree()
{
    local tree=$1 kernel=$2 packages=$3 kubelet=$4 file library needed
    local libs=$tree/usr/lib/x86_64-linux-gnu
    modules_extra+=("${node_modules[@]}")
    make_tree "$tree" "$kernel"
    for file in "${node_programs[@]}"; do
        add_file "$packages$file" "$tree" "$file"
    done
    mkdir -p "$libs" "$tree"/opt/cni "$tree"/etc/{cni/net.d,containerd,kubernetes} \
        "$tree"/var/lib/{containerd,kubelet}
    # By the names that programs ask for, which are links in the packages.
    for file in "$packages"/usr/lib/x86_64-linux-gnu/*.so.*; do
        add_file "$file" "$tree" "${file#"$packages"}"
    done
    needed=$(LD_LIBRARY_PATH=$libs libraries "$tree"/usr/{bin,sbin}/{containerd,ctr,runc,nft} "$libs"/*.so.*)
    for library in $needed; do
        [[ $library == "$tree"/* || -e $tree$(merged_name "$library") ]] || add_file "$library" "$tree"
    done
    cp "$kubelet" "$tree/usr/bin/kubelet"
    cp "$node_files/services" "$tree/usr/lib/vm/services"
    cp "$node_files/containerd.toml" "$tree/etc/containerd/config.toml"
    cp "$node_files/pods.conflist" "$tree/etc/cni/net.d/pods.conflist"
}

# import_images DISK FORMAT KERNEL BASE ARCHIVE...: boots the disk once, to have containerd import the images
# that are to be there before a kubelet starts
import_images()
(
    trap at_exit EXIT
    local disk=$1 format=$2 kernel=$3 base=$4 name=image-$$ dir archive
    shift 4
    dir=$state_dir/$name
    mkdir -p "$dir"
    reset_options
    opt_cpus=2 opt_memory=1024 opt_root=$disk opt_root_format=$format
    build_client
    make_initramfs "$base" "$dir/initramfs"
    qemu_arguments "$dir" "$name" "$kernel" >"$dir/arguments"
    machine_boot "$dir"
    running=$dir
    # Whoever has built the disk, its files are root's.
    [[ $format != raw ]] || in_guest "$name" -- find / -xdev -exec chown -h 0:0 {} +
    in_guest "$name" -- sh -c 'until ctr version >/dev/null 2>&1; do sleep 0.2; done'
    for archive in "$@"; do
        in_guest "$name" -i -- ctr -n k8s.io images import - <"$archive" >&2
    done
    machine_power_off "$dir" || die "the guest that makes a node's disk does not shut down"
    running=''
    rm -rf "$dir"
)

node_key()
{
    {
        # The kubelet's path has its own key in it.
        echo "$1 $2 $3"
        cat "$node_files"/* "$root_dir/deploy/image/archive"
    } | sha256sum | cut -c 1-16
}

# build_node TARGET KERNEL BASE PACKAGES KUBELET
build_node()
{
    local target=$1 kernel=$2 base=$3 packages=$4 kubelet=$5 work=$1.$$ started=$EPOCHREALTIME
    say "building a node's root disk in $target"
    need_build_tools
    need_tools mkfs.ext4:e2fsprogs qemu-img:qemu-utils
    build_init
    archive_images
    rm -rf "$work"
    mkdir -p "$work/tree"
    make_node_tree "$work/tree" "$kernel" "$packages" "$kubelet"
    truncate -s 8G "$work/root.img"
    mkfs.ext4 -q -F -E root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1 -m 0 -d "$work/tree" \
        "$work/root.img"
    rm -rf "$work/tree"
    import_images "$work/root.img" raw "$kernel" "$base" "$tools_dir"/image-{pause,busybox}.tar
    rm -rf "$target"
    mv "$work" "$target"
    say "root disk built in $(seconds_since "$started") s ($(du -sm "$target" | cut -f1) MB)"
    find "$cache_dir" -maxdepth 1 -name 'packages-*' -mtime +14 -exec rm -rf {} +
    find "$cache_dir" -maxdepth 1 -name 'node-*' -mtime +3 -exec rm -rf {} +
}

# node_dir KERNEL BASE: prints the folder of the root disk, which it builds when it is not in the cache
node_dir()
{
    local kernel=$1 base=$2 kubelet packages target
    kubelet=$("$root_dir/tests/controlplane/build.sh" kubelet)
    packages=$(packages_dir_quick)
    target=$cache_dir/node-$(node_key "${base##*/}" "${packages##*/}" "$kubelet")
    (
        flock 9
        if [[ ! -d $target ]]; then build_node "$target" "$kernel" "$base" "$packages" "$kubelet"; fi
        touch "$target" "$packages"
    ) 9>"$cache_dir/node.lock"
    echo "$target"
}

# disk_with_images ROOT KERNEL BASE ARCHIVE...: prints an overlay of the root disk that has more images, which
# it makes when it is not in the cache
disk_with_images()
{
    local root=$1 kernel=$2 base=$3 key target
    shift 3
    key=$({ echo "$root"; sha256sum "$@"; } | sha256sum | cut -c 1-16)
    target=$cache_dir/images-$key.qcow2
    (
        flock 9
        if [[ ! -e $target ]]; then
            say "importing ${*##*/} into a node's root disk"
            qemu-img create -q -f qcow2 -b "$root" -F raw "$target.$$"
            import_images "$target.$$" qcow2 "$kernel" "$base" "$@"
            mv "$target.$$" "$target"
            # One for each build of what is under test: few are of use again.
            find "$cache_dir" -maxdepth 1 -name 'images-*' -printf '%T@ %p\n' | sort -rn | tail -n +6 |
                cut -d' ' -f2- | xargs -r rm -f
        fi
        touch "$target"
    ) 9>"$cache_dir/images.lock"
    echo "$target"
}

# A port that nobody listens on, below those that the kernel gives out by itself.
free_port()
{
    local port
    while true; do
        port=$((20000 + RANDOM % 10000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# node_overlay DIR KUBECONFIG PORT: what a node gets when it joins a cluster
node_overlay()
{
    local etc=$1/etc/kubernetes kubeconfig=$2 port=$3
    rm -rf "$1"
    mkdir -p "$etc"
    install -m 600 "$kubeconfig" "$etc/kubeconfig"
    sed -n 's/^ *certificate-authority-data: //p' "$kubeconfig" | base64 -d >"$etc/ca.crt"
    [[ -s $etc/ca.crt ]] || die "--kubelet: '$kubeconfig' has no certificate-authority-data"
    { cat "$node_files/kubelet.yaml"; echo "port: $port"; } >"$etc/kubelet.yaml"
}

# node_prepare DIR KERNEL BASE: the disk, the files and the port of a node that joins by opt_kubelet
node_prepare()
{
    local dir=$1 kernel=$2 base=$3 root format=raw port
    need_tools qemu-img:qemu-utils
    root=$(node_dir "$kernel" "$base")/root.img
    if ((${#opt_images[@]})); then
        root=$(disk_with_images "$root" "$kernel" "$base" "${opt_images[@]}") format=qcow2
    fi
    rm -f "$dir/root.qcow2"
    qemu-img create -q -f qcow2 -b "$root" -F "$format" "$dir/root.qcow2"
    opt_root=$dir/root.qcow2 opt_root_format=qcow2
    port=$(free_port)
    echo "$port" >"$dir/kubelet-port"
    opt_forwards+=("$port:$port")
    node_overlay "$dir/node-files" "$opt_kubelet" "$port"
    opt_overlays+=("$dir/node-files")
}
