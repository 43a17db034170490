// SPDX-License-Identifier: Apache-2.0
#include "agent/syscalls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef ARCHITECTURE

static const unsigned denied[] = {
    /* Other processes, also of the same user. setsid and setpgid would leave the group that is
     * killed at the deadline. */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
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
    SYS_migrate_pages,
    SYS_move_pages,
    /* Anything to talk through. */
    SYS_socket,
    SYS_socketpair,
    SYS_shmget,
    SYS_shmat,
    SYS_semget,
    SYS_msgget,
    SYS_mq_open,
    SYS_mq_unlink,
    /* Another view of the system. */
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_personality,
    /* Programs and files that no path leads to, which is all that Landlock looks at. */
    SYS_execveat,
    SYS_memfd_create,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    /* Much kernel behind one call. */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_fanotify_init,
    SYS_io_setup,
    SYS_io_submit,
    SYS_splice,
    SYS_tee,
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

/* From here on numbers are the same everywhere (Linux 5.1), and a call is denied until it is known
 * to be harmless; so are io_uring, pidfds, the mount calls of file descriptors and clone3(), whose
 * flags a filter cannot see: without it libraries take clone(). x32 has its numbers above, too. */
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

/* CLONE_NEWTIME is none of clone()'s: its bit belongs to the signal. */
#define NAMESPACES                                                                                \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
     CLONE_NEWNET)

struct program {
    struct sock_filter code[2 * ARRAY_SIZE(denied) + 2 * ARRAY_SIZE(common_allowed) + 32];
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

static void add_list(struct program *program, const unsigned *calls, size_t count, unsigned action)
{
    for (size_t i = 0; i < count; i++) {
        add_unless(program, BPF_JEQ, calls[i], 1);
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

static void add_common(struct program *program)
{
    add_unless(program, BPF_JGE, FIRST_COMMON, 2 * ARRAY_SIZE(common_allowed) + 1);
    add_list(program, common_allowed, ARRAY_SIZE(common_allowed), SECCOMP_RET_ALLOW);
    add_return(program, UNKNOWN);
}

static void make_program(struct program *program)
{
    program->len = 0;
    /* Another architecture's calls have other numbers. */
    add_load(program, offsetof(struct seccomp_data, arch));
    add_unless(program, BPF_JEQ, ARCHITECTURE, 1);
    add(program, (struct sock_filter) BPF_STMT(BPF_JMP | BPF_JA, 1));
    add_return(program, SECCOMP_RET_KILL_PROCESS);
    add_load(program, offsetof(struct seccomp_data, nr));
    add_list(program, denied, ARRAY_SIZE(denied), DENY);
    add_common(program);
    add_argument_check(program, SYS_clone, BPF_JSET, NAMESPACES, DENY, SECCOMP_RET_ALLOW);
    /* abort() needs it for itself. */
    add_argument_check(program, SYS_tgkill, BPF_JEQ, (unsigned) getpid(), SECCOMP_RET_ALLOW, DENY);
    /* 0: itself. */
    add_argument_check(program, SYS_prlimit64, BPF_JEQ, 0, SECCOMP_RET_ALLOW, DENY);
    add_return(program, SECCOMP_RET_ALLOW);
}

int syscalls_restrict(void)
{
    struct program program;

    make_program(&program);
    const struct sock_fprog filter = {.len = program.len, .filter = program.code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0)
        return 0;
    return errno == EINVAL ? 0 : -errno;
}

#else

int syscalls_restrict(void)
{
    return 0;
}

#endif
