# SPDX-License-Identifier: Apache-2.0
#
# What apparmor-agent may do on a node. The program has this text in it: at its start it loads the profile and
# enters it (--self-confinement), so that there is nothing to install. A pod cannot ask for it instead, as
# nobody would have loaded it before the first agent.
#
# A new release replaces the profile under agents of the release before: what those need stays allowed for
# one release more.
abi <abi/3.0>,

# Where things are. The agent adds to these what its flags name, before it compiles the text.
@{host}=/ /host/
@{apparmorfs}=/sys/kernel/security/apparmor
@{includes}=/etc/apparmor.d
@{parser}=/{,usr/}sbin/apparmor_parser
@{libraries}=/{,usr/}lib{,32,64}
@{proc}=/proc
@{config}=/{,var/}run/secrets/kubernetes.io/serviceaccount/{,**}

# attach_disconnected: kernel names what lies below policy/ in its AppArmor interface as if it were at the root.
profile apparmor.io.agent flags=(attach_disconnected) {
  # Policy is loaded and removed with this one. That is also the power to undo this profile: it keeps
  # somebody who has taken over the agent from the rest of the node's files, not from its policy.
  capability mac_admin,
  # The compiler runs as another user and is killed when it takes too long.
  capability setuid,
  capability setgid,
  capability setpcap,
  capability kill,
  # Denials are read from the kernel's audit, or where that is refused from its log.
  capability audit_read,
  network netlink raw,
  capability syslog,
  /dev/kmsg r,

  # The API server, names, probes and metrics.
  network inet stream,
  network inet6 stream,
  network inet dgram,
  network inet6 dgram,
  # Between threads of the process.
  unix (create, getattr, setattr, getopt, setopt, shutdown, send, receive) type=stream,
  # With a compiler that is held ready.
  unix (create, getattr, send, receive) type=seqpacket,

  # The kernel's policy, …
  @{apparmorfs}/{,**} r,
  @{apparmorfs}/.{replace,remove} w,
  / r,
  /{profiles,raw_data}/{,**} r,
  /sys/module/apparmor/parameters/* r,
  # … its record in files of the host, and no others of that folder, …
  @{host}etc/ r,
  @{host}etc/apparmor.d/{,**} r,
  @{host}etc/apparmor.d/ w,
  @{host}etc/apparmor.d/{,.}apparmor.io.* w,
  @{includes}/{,**} r,
  # … what it has compiled, …
  @{host}var/{,cache/} r,
  @{host}var/cache/apparmor-operator/{,**} rw,
  # … and who runs under it. That asks for the right to trace whoever is looked at, and does without: another
  # profile's refusal would be a denial of that one's. See agent/nobody.h. Command lines are read of tasks that
  # have a number as name, as crun's may have.
  deny capability sys_ptrace,
  @{proc}/{,loadavg} r,
  @{proc}/[1-9]*/{,task/,task/[1-9]*/} r,
  @{proc}/[1-9]*/{,task/[1-9]*/}{cgroup,cmdline,comm,stat,status} r,
  @{proc}/[1-9]*/{,task/[1-9]*/}attr/{,apparmor/} r,
  @{proc}/[1-9]*/{,task/[1-9]*/}attr/{,apparmor/}{current,exec,prev} r,

  # Its token and certificates; without a pod its kubeconfig and what that names, or manifests.
  @{config} r,
  /etc/ssl/{cert.pem,openssl.cnf,certs/{,**}} r,
  /usr/{,local/}share/ca-certificates/{,**} r,
  /usr/lib/ssl/{,**} r,

  # What libraries read, and they themselves.
  /etc/{gai.conf,host.conf,hosts,ld.so.cache,localtime,nsswitch.conf,resolv.conf} r,
  /run/{NetworkManager,resolvconf,systemd/resolve}/*resolv*.conf r,
  /usr/share/zoneinfo/{,**} r,
  @{libraries}/{,**} mr,
  /usr/local/lib/{,**} mr,
  /dev/{null,urandom,random} r,
  /dev/null w,
  /proc/{cpuinfo,filesystems,meminfo,stat} r,
  /proc/sys/kernel/{cap_last_cap,osrelease} r,
  /proc/sys/net/core/somaxconn r,
  /proc/sys/vm/overcommit_memory r,
  /sys/devices/system/cpu/{,**} r,
  /sys/fs/cgroup/{,**} r,
  owner /proc/[1-9]*/{fd/,maps,mountinfo,mounts,statm} r,

  # The compiler, the only program that it starts. no_new_privs leaves a confined process no way to another
  # profile but to one more on top. Its environment is ours alone, and it shall heed it.
  owner /proc/[1-9]*/oom_score_adj w,
  @{parser} mrcix -> &apparmor.io.agent//parser,
  signal (send) peer=apparmor.io.agent,
  signal (send) peer=apparmor.io.agent//parser,
  signal (receive),
  ptrace (readby),

  profile parser flags=(attach_disconnected) {
    @{parser} mr,
    @{libraries}/{,**} mr,
    /etc/ld.so.cache r,
    # What policy may include, and what the kernel understands.
    @{includes}/ r,
    @{includes}/{abi,abstractions,apache2.d,local,php-fpm.d,samba,tunables}/{,**} r,
    @{apparmorfs}/features/{,**} r,
    /dev/null rw,
    # Held ready, it is asked for processes.
    unix (getattr, send, receive) type=seqpacket,
    /proc/sys/kernel/osrelease r,
    /proc/sys/vm/overcommit_memory r,
    signal (receive),
    ptrace (readby),
  }
}
