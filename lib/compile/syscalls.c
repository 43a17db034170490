// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/syscalls.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE

struct calls {
    const unsigned *numbers;
    size_t count;
};

#define CALLS(list) ((struct calls){list, ARRAY_SIZE(list)})

/* What neither the agent nor the compiler has a use for. */
static const unsigned denied[] = {
    /* Other processes. */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_migrate_pages,
    SYS_move_pages,
    /* Another view of the system. */
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_personality,
    /* Programs and files that no path leads to. */
    SYS_execveat,
    SYS_open_by_handle_at,
    /* Much kernel behind one call. */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_fanotify_init,
    SYS_io_setup,
    SYS_io_submit,
    SYS_vmsplice,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    /* The machine. */
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    SYS_vhangup,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_settimeofday,
    SYS_adjtimex,
    SYS_clock_settime,
    SYS_clock_adjtime,
#ifdef __x86_64__
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
#endif
};

static const unsigned compiler_denied[] = {
    /* Other processes, also of the same user. setsid and setpgid would leave the group that is
     * killed at the deadline. */
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_setpgid,
    SYS_setsid,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    /* Anything to talk through. */
    SYS_socket,
    SYS_socketpair,
    SYS_shmget,
    SYS_shmat,
    SYS_semget,
    SYS_msgget,
    SYS_mq_open,
    SYS_mq_unlink,
    SYS_splice,
    SYS_tee,
    /* No path leads to such a file, and paths are all that Landlock looks at. */
    SYS_memfd_create,
    SYS_name_to_handle_at,
};

/* From here on numbers are the same everywhere (Linux 5.1), and a call is denied until it is known
 * to be harmless; so are io_uring, the mount calls of file descriptors and clone3(), whose flags a
 * filter cannot see: without it libraries take clone(). x32 has its numbers above, too. */
#define FIRST_COMMON 424

static const unsigned common_allowed[] = {
    436, /* close_range */
    437, /* openat2 */
    439, /* faccessat2 */
    449, /* futex_waitv */
    453, /* map_shadow_stack */
    454, /* futex_wake */
    455, /* futex_wait */
    456, /* futex_requeue */
    462, /* mseal */
};

/* The agent's alone; the first two and Landlock are for its children. */
static const unsigned agent_allowed[] = {
    424, /* pidfd_send_signal */
    434, /* pidfd_open */
    441, /* epoll_pwait2 */
    444, /* landlock_create_ruleset */
    445, /* landlock_add_rule */
    446, /* landlock_restrict_self */
    452, /* fchmodat2 */
    459, /* lsm_get_self_attr */
    460, /* lsm_set_self_attr */
    461, /* lsm_list_modules */
};

/* A descriptor that tells another process by a signal of one's choice that it can be read. */
static const unsigned signalling_fcntl[] = {F_SETOWN, F_SETSIG, F_SETOWN_EX};
static const unsigned signalling_ioctl[] = {FIOSETOWN, SIOCSPGRP};

/* CLONE_NEWTIME is none of clone()'s: its bit belongs to the signal. */
#define NAMESPACES                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

struct program {
    struct sock_filter code[2 * (ARRAY_SIZE(denied) + ARRAY_SIZE(compiler_denied) +
                                 ARRAY_SIZE(common_allowed) + ARRAY_SIZE(agent_allowed)) +
                            32];
    unsigned short len;
};

static void add(struct program *program, struct sock_filter instruction)
{
    program->code[program->len++] = instruction;
}

static void add_load(struct program *program, size_t offset)
{
    add(program, (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned) offset));
}

/* Jumps over `over` instructions unless the comparison holds. */
static void add_unless(struct program *program, unsigned comparison, unsigned value, size_t over)
{
    add(program, (struct sock_filter) BPF_JUMP((unsigned short) (BPF_JMP | comparison | BPF_K),
                                               value, 0, (unsigned char) over));
}

static void add_return(struct program *program, unsigned action)
{
    add(program, (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, action));
}

static void add_list(struct program *program, struct calls calls, unsigned action)
{
    for (size_t i = 0; i < calls.count; i++) {
        add_unless(program, BPF_JEQ, calls.numbers[i], 1);
        add_return(program, action);
    }
}

#define DENY (SECCOMP_RET_ERRNO | EPERM)
#define UNKNOWN (SECCOMP_RET_ERRNO | ENOSYS)

/* Arguments are 64-bit words; these are int or flags in the lower half, which comes first. */
static void add_argument_check(struct program *program, unsigned call, unsigned comparison,
                               unsigned value, unsigned if_so, unsigned otherwise)
{
    add_unless(program, BPF_JEQ, call, 4);
    add_load(program, offsetof(struct seccomp_data, args));
    add_unless(program, comparison, value, 1);
    add_return(program, if_so);
    add_return(program, otherwise);
}

/* Of the second argument. */
static void add_commands(struct program *program, unsigned call, struct calls commands)
{
    add_unless(program, BPF_JEQ, call, 2 * commands.count + 2);
    add_load(program, offsetof(struct seccomp_data, args[1]));
    add_list(program, commands, DENY);
    add_return(program, SECCOMP_RET_ALLOW);
}

/* Another architecture's calls have other numbers. Leaves the number to be looked at. */
static void add_start(struct program *program)
{
    program->len = 0;
    add_load(program, offsetof(struct seccomp_data, arch));
    add_unless(program, BPF_JEQ, ARCHITECTURE, 1);
    add(program, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, 1));
    add_return(program, SECCOMP_RET_KILL_PROCESS);
    add_load(program, offsetof(struct seccomp_data, nr));
}

static void add_newer(struct program *program, struct calls more)
{
    struct calls allowed = CALLS(common_allowed);

    add_unless(program, BPF_JGE, FIRST_COMMON, 2 * (allowed.count + more.count) + 1);
    add_list(program, allowed, SECCOMP_RET_ALLOW);
    add_list(program, more, SECCOMP_RET_ALLOW);
    add_return(program, UNKNOWN);
}

/* Of the calling thread; a kernel without filters is no failure. */
static int install(const struct program *program, unsigned flags)
{
    struct sock_fprog filter = {
        .len = program->len,
        /* Which is only read. */
        .filter = (struct sock_filter *) (uintptr_t) program->code,
    };

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? 0 : -errno;
}

int syscalls_restrict_compiler(void)
{
    struct program program;

    add_start(&program);
    add_list(&program, CALLS(denied), DENY);
    add_list(&program, CALLS(compiler_denied), DENY);
    add_newer(&program, (struct calls){0});
    add_argument_check(&program, SYS_clone, BPF_JSET, NAMESPACES, DENY, SECCOMP_RET_ALLOW);
    add_commands(&program, SYS_fcntl, CALLS(signalling_fcntl));
    add_commands(&program, SYS_ioctl, CALLS(signalling_ioctl));
    /* 0: itself. */
    add_argument_check(&program, SYS_prlimit64, BPF_JEQ, 0, SECCOMP_RET_ALLOW, DENY);
    add_return(&program, SECCOMP_RET_ALLOW);
    return install(&program, 0);
}

int syscalls_restrict_compiler_self(void)
{
    struct program program;

    add_start(&program);
    /* abort() needs it for itself. */
    add_argument_check(&program, SYS_tgkill, BPF_JEQ, (unsigned) getpid(), SECCOMP_RET_ALLOW, DENY);
    add_return(&program, SECCOMP_RET_ALLOW);
    return install(&program, 0);
}

/* Two filters, as what libraries try and do without is no news. */
int syscalls_restrict_agent(void)
{
    struct program program;

    add_start(&program);
    add_newer(&program, CALLS(agent_allowed));
    add_return(&program, SECCOMP_RET_ALLOW);
    int r = install(&program, 0);
    if (r < 0)
        return r;
    add_start(&program);
    add_list(&program, CALLS(denied), DENY);
    add_argument_check(&program, SYS_clone, BPF_JSET, NAMESPACES, DENY, SECCOMP_RET_ALLOW);
    add_return(&program, SECCOMP_RET_ALLOW);
    return install(&program, SECCOMP_FILTER_FLAG_LOG);
}

#else

int syscalls_restrict_compiler(void)
{
    return 0;
}

int syscalls_restrict_compiler_self(void)
{
    return 0;
}

int syscalls_restrict_agent(void)
{
    return 0;
}

#endif
