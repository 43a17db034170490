// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/syscalls.h"

#include <asm/sockios.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/cleanup.h"

#if !defined(__x86_64__) && !defined(__aarch64__)
#define SKIP_ELSEWHERE() cr_skip_test("no filter for this processor")
#else
#define SKIP_ELSEWHERE()
#endif

TestSuite(syscalls, .timeout = 30);

/* What a restricted process has to say, in memory that it shares with the test. */
static char *complaint;

static _printf_(1, 2) void complain(const char *format, ...)
{
    va_list args;

    if (*complaint)
        return;
    va_start(args, format);
    vsnprintf(complaint, 4096, format, args);
    va_end(args);
}

/* The status of a restricted process that runs `body`. */
static int run_as(int (*restrict_calls)(void), void (*body)(void))
{
    int status;

    complaint = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(complaint, MAP_FAILED);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
            complain("no_new_privs: %s", strerror(errno));
        int r = restrict_calls();
        if (r < 0)
            complain("restricting calls: %s", strerror(-r));
        body();
        _exit(*complaint != '\0');
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

static int restrict_compiler(void)
{
    int r = syscalls_restrict_compiler();

    return r < 0 ? r : syscalls_restrict_compiler_self();
}

static int run(void (*body)(void))
{
    return run_as(restrict_compiler, body);
}

static void assert_content(void (*body)(void))
{
    int status = run(body);

    cr_assert_eq(status, 0, "status %#x: %s", (unsigned) status, complaint);
}

static void assert_agent_content(void (*body)(void))
{
    int status = run_as(syscalls_restrict_agent, body);

    cr_assert_eq(status, 0, "status %#x: %s", (unsigned) status, complaint);
}

/* --- what is denied --- */

struct call {
    const char *name;
    long number;
    unsigned long args[4];
    int error;
};

/* With arguments that do nothing. */
static const struct call calls[] = {
    {"socket", SYS_socket, {1, 1}, EPERM},
    {"socketpair", SYS_socketpair, {1, 1, 0, 0}, EPERM},
    {"ptrace", SYS_ptrace, {~0UL, 0, 0, 0}, EPERM},
    {"process_vm_readv", SYS_process_vm_readv, {0}, EPERM},
    {"process_vm_writev", SYS_process_vm_writev, {0}, EPERM},
    {"memfd_create", SYS_memfd_create, {0}, EPERM},
    {"mount", SYS_mount, {0}, EPERM},
    {"umount2", SYS_umount2, {0}, EPERM},
    {"pivot_root", SYS_pivot_root, {0}, EPERM},
    {"chroot", SYS_chroot, {0}, EPERM},
    {"unshare", SYS_unshare, {0}, EPERM},
    {"setns", SYS_setns, {~0UL, 0}, EPERM},
    {"bpf", SYS_bpf, {~0UL, 0, 0}, EPERM},
    {"perf_event_open", SYS_perf_event_open, {0}, EPERM},
    {"userfaultfd", SYS_userfaultfd, {0xffff}, EPERM},
    {"keyctl", SYS_keyctl, {~0UL}, EPERM},
    {"add_key", SYS_add_key, {0}, EPERM},
    {"request_key", SYS_request_key, {0}, EPERM},
    {"kexec_load", SYS_kexec_load, {0, 0, 0, ~0UL}, EPERM},
    {"kexec_file_load", SYS_kexec_file_load, {~0UL, ~0UL, 0, 0}, EPERM},
    {"init_module", SYS_init_module, {0}, EPERM},
    {"finit_module", SYS_finit_module, {~0UL, 0, 0}, EPERM},
    {"open_by_handle_at", SYS_open_by_handle_at, {~0UL, 0, 0}, EPERM},
    {"execveat", SYS_execveat, {~0UL, 0, 0, 0}, EPERM},
    {"kill", SYS_kill, {0, 0}, EPERM},
    {"tkill", SYS_tkill, {0, 0}, EPERM},
    {"setsid", SYS_setsid, {0}, EPERM},
    {"setpgid", SYS_setpgid, {~0UL, 0}, EPERM},
    {"fcntl F_SETOWN", SYS_fcntl, {~0UL, F_SETOWN, 1}, EPERM},
    {"fcntl F_SETOWN_EX", SYS_fcntl, {~0UL, F_SETOWN_EX, 0}, EPERM},
    {"fcntl F_SETSIG", SYS_fcntl, {~0UL, F_SETSIG, SIGKILL}, EPERM},
    {"fcntl F_GETFD", SYS_fcntl, {~0UL, F_GETFD}, EBADF},
    {"ioctl FIOSETOWN", SYS_ioctl, {~0UL, FIOSETOWN, 0}, EPERM},
    {"ioctl SIOCSPGRP", SYS_ioctl, {~0UL, SIOCSPGRP, 0}, EPERM},
    {"splice", SYS_splice, {~0UL, 0, ~0UL, 0}, EPERM},
    {"shmget", SYS_shmget, {0}, EPERM},
    {"io_setup", SYS_io_setup, {0}, EPERM},
    {"pidfd_send_signal", 424, {~0UL}, ENOSYS},
    {"io_uring_setup", 425, {0}, ENOSYS},
    {"io_uring_enter", 426, {~0UL}, ENOSYS},
    {"io_uring_register", 427, {~0UL}, ENOSYS},
    {"open_tree", 428, {0}, ENOSYS},
    {"move_mount", 429, {0}, ENOSYS},
    {"fsopen", 430, {0}, ENOSYS},
    {"pidfd_open", 434, {1}, ENOSYS},
    {"clone3", 435, {0}, ENOSYS},
    {"pidfd_getfd", 438, {~0UL}, ENOSYS},
    {"process_madvise", 440, {~0UL}, ENOSYS},
    {"one of the future", 4000, {0}, ENOSYS},
#ifdef __x86_64__
    {"modify_ldt", SYS_modify_ldt, {0}, EPERM},
    {"getpid of x32", 0x40000000 + SYS_getpid, {0}, ENOSYS},
#endif
};

static int error_of(const struct call *call)
{
    errno = 0;
    return syscall(call->number, call->args[0], call->args[1], call->args[2], call->args[3]) < 0
               ? errno
               : 0;
}

static void try_calls(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        int error = error_of(&calls[i]);
        if (error != calls[i].error)
            complain("%s: %s", calls[i].name, strerror(error));
    }
}

Test(syscalls, are_denied)
{
    SKIP_ELSEWHERE();
    assert_content(try_calls);
}

/* So that the test above says something: this process may. */
Test(syscalls, are_not_denied_without_the_filter)
{
    static const char *const names[] = {"socket",  "memfd_create", "kill",     "tkill",
                                        "setpgid", "splice",       "io_setup", "execveat",
                                        "shmget",  "pidfd_open"};
    size_t found = 0;

    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        for (size_t k = 0; k < ARRAY_SIZE(names); k++)
            if (strcmp(calls[i].name, names[k]) == 0) {
                found++;
                cr_expect_neq(error_of(&calls[i]), calls[i].error, "%s", names[k]);
            }
    cr_assert_eq(found, ARRAY_SIZE(names));
}

static void clone_namespaces(void)
{
    static const int flags[] = {CLONE_NEWNS,  CLONE_NEWUSER, CLONE_NEWNET,   CLONE_NEWPID,
                                CLONE_NEWIPC, CLONE_NEWUTS,  CLONE_NEWCGROUP};

    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        long pid = syscall(SYS_clone, (unsigned long) (flags[i] | SIGCHLD), 0, 0, 0, 0);
        if (pid == 0)
            _exit(0);
        if (pid > 0 || errno != EPERM)
            complain("a namespace of clone flag %#x", (unsigned) flags[i]);
    }
}

Test(syscalls, no_clone_makes_a_namespace)
{
    SKIP_ELSEWHERE();
    assert_content(clone_namespaces);
}

static void touch_others(void)
{
    struct rlimit limit;

    if (syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 || errno != EPERM)
        complain("tgkill of the parent");
    if (prlimit(getppid(), RLIMIT_NOFILE, NULL, &limit) == 0 || errno != EPERM)
        complain("prlimit of the parent");
}

Test(syscalls, do_not_reach_other_processes)
{
    SKIP_ELSEWHERE();
    assert_content(touch_others);
}

#ifdef __x86_64__
/* As a program of i386 calls: 20 is its getpid. */
static void call_as_i386(void)
{
    long result = 20;

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    complain("getpid of i386 gave %ld", result);
}

Test(syscalls, of_another_architecture_kill)
{
    int status = run(call_as_i386);

    /* A kernel without i386 faults. */
    cr_assert(WIFSIGNALED(status), "%s", complaint);
    cr_assert(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV, "signal %d",
              WTERMSIG(status));
}
#endif

/* --- what a program needs --- */

static void *say(void *data)
{
    *(bool *) data = true;
    return NULL;
}

static void live(void)
{
    struct rlimit limit;
    bool said = false;
    pthread_t thread;
    int status, pipe_fds[2];

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        complain("limits of its own");
    if (pthread_create(&thread, NULL, say, &said) != 0 || pthread_join(thread, NULL) != 0 || !said)
        complain("a thread");
    if (pipe(pipe_fds) < 0 || close_range((unsigned) pipe_fds[0], (unsigned) pipe_fds[0], 0) < 0)
        complain("close_range: %s", strerror(errno));
    signal(SIGUSR1, SIG_IGN);
    if (raise(SIGUSR1) != 0)
        complain("a signal to itself");
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "cat /dev/null; exit 7", NULL);
        _exit(1);
    }
    if (waitpid(pid, &status, 0) < 0 || WEXITSTATUS(status) != 7)
        complain("a program");
}

Test(syscalls, that_programs_live_by_stay)
{
    assert_content(live);
}

static void leave_by_abort(void)
{
    abort();
}

Test(syscalls, of_abort_stay)
{
    int status = run(leave_by_abort);

    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x", (unsigned) status);
}

/* --- the agent --- */

/* What the compiler may not do and the agent must. */
static bool agent_needs(const struct call *call)
{
    static const char *const names[] = {
        "socket",
        "socketpair",
        "memfd_create",
        "kill",
        "tkill",
        "setsid",
        "setpgid",
        "splice",
        "shmget",
        "pidfd_open",
        "pidfd_send_signal",
        "fcntl F_SETOWN",
        "fcntl F_SETOWN_EX",
        "fcntl F_SETSIG",
        "ioctl FIOSETOWN",
        "ioctl SIOCSPGRP",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(call->name, names[i]) == 0)
            return true;
    return false;
}

static void try_agent_calls(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        int error = error_of(&calls[i]);
        if (agent_needs(&calls[i]) == (error == calls[i].error))
            complain("%s: %s", calls[i].name, strerror(error));
    }
}

Test(syscalls, of_the_agent_are_denied_when_it_never_makes_them)
{
    SKIP_ELSEWHERE();
    assert_agent_content(try_agent_calls);
}

Test(syscalls, of_the_agent_make_no_namespace)
{
    SKIP_ELSEWHERE();
    assert_agent_content(clone_namespaces);
}

Test(syscalls, that_the_agent_lives_by_stay)
{
    assert_agent_content(live);
}

/* The compiler's child comes from the agent and takes more away from itself. */
static void restrict_again(void)
{
    int r = restrict_compiler();

    if (r < 0)
        complain("the second filter: %s", strerror(-r));
    try_calls();
}

Test(syscalls, of_a_child_of_the_agent_are_denied_too)
{
    SKIP_ELSEWHERE();
    assert_agent_content(restrict_again);
}
