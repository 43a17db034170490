// SPDX-License-Identifier: Apache-2.0

/*
 * Preloaded into apparmor_parser by lib/compile/fork_server.c: holds it before its main(), where
 * everything that comes before policy is done. Each request gets a process of its own from there,
 * which takes on its limits and goes on into main(), while this one never sees any policy.
 *
 * Only the C library is at hand here. Nothing is told but by exit status and standard error.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/compile/preload/protocol.h"

typedef int (*main_fn)(int argc, char **argv, char **env);
typedef int (*start_fn)(main_fn fn, int argc, char **argv, void (*init)(void), void (*fini)(void),
                        void (*loader_fini)(void), void *stack_end);

/* What glibc's crt1.o calls, with main() as its first argument. */
__attribute__((visibility("default"))) int __libc_start_main(main_fn fn, int argc, char **argv,
                                                             void (*init)(void), void (*fini)(void),
                                                             void (*loader_fini)(void),
                                                             void *stack_end);

static main_fn program_main;

struct request {
    struct preload_request what;
    int fds[PRELOAD_DESCRIPTORS];
};

static _Noreturn void fail(const char *what)
{
    dprintf(2, "%s: %s\n", what, strerror(errno));
    _exit(127);
}

/* Takes a variable that is ours out of the environment, which is the program's to come. By hand, as
 * programs may have functions of their own by the C library's names. */
static const char *take_variable(char **env, const char *name)
{
    size_t len = strlen(name);
    const char *value = NULL;

    while (*env && (strncmp(*env, name, len) != 0 || (*env)[len] != '='))
        env++;
    if (*env)
        value = *env + len + 1;
    for (; *env; env++)
        env[0] = env[1];
    return value;
}

/* -1 when it is not there. */
static int take_number(char **env, const char *name)
{
    const char *value = take_variable(env, name);

    return value ? (int) strtol(value, NULL, 10) : -1;
}

static void reply(int socket, int32_t pid)
{
    const struct preload_reply message = {pid};

    if (send(socket, &message, sizeof(message), MSG_NOSIGNAL) != sizeof(message))
        _exit(0);
}

/* Waits for one. Ends when nobody is there to ask any more. */
static void receive(int socket, struct request *ret)
{
    union {
        char bytes[CMSG_SPACE(sizeof(ret->fds))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {&ret->what, sizeof(ret->what)};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t count;

    do
        count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (count != sizeof(ret->what) || !header || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(sizeof(ret->fds)))
        _exit(0);
    memcpy(ret->fds, CMSG_DATA(header), sizeof(ret->fds));
}

/* Everything but 0, 1, 2 and `keep`. */
static int close_others(int keep)
{
    if (keep > 3 && close_range(3, (unsigned) keep - 1, 0) < 0)
        return -1;
    return close_range(keep < 3 ? 3 : (unsigned) keep + 1, ~0U, 0);
}

/* For whoever has asked to know of this process. */
static void await_go(int fd)
{
    ssize_t count;
    char go;

    do
        count = read(fd, &go, 1);
    while (count < 0 && errno == EINTR);
    if (count != 1)
        _exit(0);
}

/* In the process that will have policy. */
static void become_compiler(const struct request *request, int keep, pid_t parent)
{
    /* fork() forgets it; and the agent may be gone already. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
        _exit(127);
    await_go(request->fds[PRELOAD_GO]);
    if (dup2(request->fds[PRELOAD_TEXT], 0) < 0 || dup2(request->fds[PRELOAD_OUT], 1) < 0 ||
        dup2(request->fds[PRELOAD_ERR], 2) < 0 || close_others(keep) < 0)
        fail("cannot take over descriptors");
    int r = confine_self(&request->what.limits);
    if (r < 0) {
        errno = -r;
        fail("cannot be confined");
    }
}

static long clone_sibling(void)
{
    unsigned long flags = CLONE_PARENT | SIGCHLD;

#ifdef __s390__
    return syscall(SYS_clone, NULL, flags, NULL, NULL, NULL);
#else
    return syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
#endif
}

/* Returns in each new process, which is a sibling: who asks is the one to wait for it. */
static void serve(int socket, int keep)
{
    pid_t parent = getppid();

    for (;;) {
        struct request request;
        receive(socket, &request);
        long pid = clone_sibling();
        if (pid == 0) {
            become_compiler(&request, keep, parent);
            return;
        }
        int code = errno;
        for (int i = 0; i < PRELOAD_DESCRIPTORS; i++)
            close(request.fds[i]);
        reply(socket, pid < 0 ? -code : (int32_t) pid);
    }
}

static int held_main(int argc, char **argv, char **env)
{
    int socket = take_number(env, PRELOAD_SOCKET_VARIABLE);
    int keep = take_number(env, PRELOAD_KEEP_VARIABLE);

    take_variable(env, "LD_PRELOAD");
    /* What policy has taken over shall not reach into the others, which are of one user. */
    if (socket >= 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        fail("cannot be kept from being traced");
    if (socket >= 0) {
        reply(socket, 0);
        serve(socket, keep);
    }
    return program_main(argc, argv, env);
}

int __libc_start_main(main_fn fn, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*loader_fini)(void), void *stack_end)
{
    void *symbol = dlsym(RTLD_NEXT, "__libc_start_main");
    start_fn start;

    if (!symbol)
        _exit(127);
    memcpy(&start, &symbol, sizeof(start));
    program_main = fn;
    return start(held_main, argc, argv, init, fini, loader_fini, stack_end);
}
