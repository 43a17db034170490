// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/fork_server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"
#include "lib/compile/preload/protocol.h"

/* The next request comes sooner, or the hurry is over. */
#define IDLE_MS 2000
/* Of one server: whoever finds out where things are in its memory has no use for it later. */
#define LIFETIME_MS 300000
/* A fork takes a millisecond. */
#define REPLY_MS 2000
#define OUTPUT_MAX 4096

/* The assembler puts the library into the program. */
__asm__(".pushsection .rodata\n"
        "fork_server_preload:\n"
        ".incbin \"" PRELOAD_FILE "\"\n"
        "fork_server_preload_end:\n"
        ".popsection\n");
extern const char preload[] __asm__("fork_server_preload");
extern const char preload_end[] __asm__("fork_server_preload_end");

struct fork_server {
    struct child *child; /* NULL once it has ended */
    int socket;          /* -1 once it is over */
    struct loop_poll *hello;
    struct loop_timer *idle;
    bool ready, given_up, failed;
    unsigned served;
};

/* --- its end --- */

static void shut(struct fork_server *server)
{
    loop_poll_free(TAKE_PTR(server->hello));
    loop_timer_stop(server->idle);
    if (server->socket >= 0)
        close(TAKE_FD(server->socket));
}

static void give_up(struct fork_server *server)
{
    server->given_up = true;
    shut(server);
    if (server->child)
        child_kill(server->child);
}

static void on_end(void *userdata, struct child_result *result)
{
    struct fork_server *server = userdata;

    server->child = NULL;
    shut(server);
    if (server->ready || server->given_up)
        return;
    server->failed = true;
    log_debug("the compiler cannot be held ready: each run of it is a start of its own", "err",
              buf_string(&result->err));
}

static void on_idle(void *userdata)
{
    struct fork_server *server = userdata;
    _cleanup_free_ char *served = xasprintf("%u", server->served);

    log_debug("the compiler is not held ready any longer", "served", served);
    give_up(server);
}

/* --- its start --- */

static void on_hello(void *userdata, int status _unused_, int events _unused_)
{
    struct fork_server *server = userdata;
    struct preload_reply reply;
    ssize_t count = recv(server->socket, &reply, sizeof(reply), MSG_DONTWAIT);

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* Otherwise it has ended, or is about to. */
    server->ready = count == sizeof(reply);
    loop_poll_free(TAKE_PTR(server->hello));
}

static int preload_file(struct error *err)
{
    _cleanup_close_ int fd = memfd_create("fork-server", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : fs_write_all(fd, preload, (size_t) (preload_end - preload));

    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r < 0)
        return error_set_errno(err, r, "cannot write what is preloaded");
    return TAKE_FD(fd);
}

/* `program`, with what it is held by. */
static int start(struct fork_server *server, uv_loop_t *loop, const struct child_options *program,
                 int its_socket, struct error *err)
{
    assert(program->fd_count == 1);
    _cleanup_close_ int library = preload_file(err);
    _cleanup_strv_ struct strv env = {0};

    if (library < 0)
        return library;
    for (const char *const *variable = program->env; *variable; variable++)
        strv_add(&env, *variable);
    strv_take(&env, xasprintf("LD_PRELOAD=/proc/self/fd/%d", library));
    strv_take(&env, xasprintf("%s=%d", PRELOAD_SOCKET_VARIABLE, its_socket));
    strv_take(&env, xasprintf("%s=%d", PRELOAD_KEEP_VARIABLE, program->fds[0]));
    strv_take(&env, NULL);

    const int fds[] = {program->fds[0], its_socket, library};
    struct child_options held = *program;
    held.env = (const char *const *) env.items;
    held.fds = fds;
    held.fd_count = ARRAY_SIZE(fds);
    held.stdout_max = held.stderr_max = OUTPUT_MAX;
    held.deadline_ms = LIFETIME_MS;
    return child_start(loop, &held, on_end, server, &server->child, err);
}

int fork_server_new(uv_loop_t *loop, const struct child_options *program, struct fork_server **ret,
                    struct error *err)
{
    _cleanup_(fork_server_freep) struct fork_server *server = xcalloc(1, sizeof(*server));
    int ends[2];

    server->socket = -1;
    server->idle = loop_timer_new(loop, on_idle, server);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set_errno(err, -errno, "cannot talk to a held compiler");
    server->socket = ends[0];
    _cleanup_close_ int its_socket = ends[1];
    int r = start(server, loop, program, its_socket, err);
    if (r < 0)
        return r;
    server->hello = loop_poll_new(loop, server->socket, UV_READABLE, on_hello, server);
    if (!server->hello)
        return error_set_errno(err, -errno, "cannot wait for a held compiler");
    loop_timer_start(server->idle, IDLE_MS);
    *ret = TAKE_PTR(server);
    return 0;
}

void fork_server_free(struct fork_server *server)
{
    if (!server)
        return;
    shut(server);
    loop_timer_free(server->idle);
    child_abandon(server->child);
    free(server);
}

enum fork_server_state fork_server_state(const struct fork_server *server)
{
    if (server->socket < 0)
        return server->failed ? FORK_SERVER_FAILED : FORK_SERVER_OVER;
    return server->ready ? FORK_SERVER_READY : FORK_SERVER_STARTS;
}

unsigned fork_server_served(const struct fork_server *server)
{
    return server->served;
}

/* --- a run --- */

static int ask(const struct fork_server *server, const struct preload_request *request,
               const int fds[static PRELOAD_DESCRIPTORS])
{
    union {
        char bytes[CMSG_SPACE(PRELOAD_DESCRIPTORS * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {(void *) (uintptr_t) request, sizeof(*request)}; /* which is only read */
    const struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(PRELOAD_DESCRIPTORS * sizeof(int));
    memcpy(CMSG_DATA(header), fds, PRELOAD_DESCRIPTORS * sizeof(int));
    ssize_t count = sendmsg(server->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return count < 0 ? -errno : 0;
}

static int await_reply(const struct fork_server *server, pid_t *ret)
{
    struct pollfd poll_fd = {.fd = server->socket, .events = POLLIN};
    struct preload_reply reply;
    int count;

    do
        count = poll(&poll_fd, 1, REPLY_MS);
    while (count < 0 && errno == EINTR);
    if (count <= 0)
        return count < 0 ? -errno : -ETIMEDOUT;
    if (recv(server->socket, &reply, sizeof(reply), MSG_DONTWAIT) != sizeof(reply))
        return -EPIPE;
    *ret = reply.pid;
    return 0;
}

/* It has made no process; the next one may be for another reason than it. */
static int refused(struct fork_server *server, int code)
{
    if (code != -EAGAIN && code != -ENOMEM) {
        server->failed = true;
        give_up(server);
    }
    return code;
}

/* What the server says is not taken for granted, as the process's group will be killed some time:
 * it is a child of ours, and none that is known, as those lead groups. */
static int adopt(pid_t pid, int go)
{
    siginfo_t info;

    if (pid <= 1 || waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
        getpgid(pid) == pid)
        return -ECHILD;
    if (setpgid(pid, pid) < 0)
        return -errno;
    return fs_write_all(go, "", 1);
}

int fork_server_launch(void *userdata, int out_fd, int err_fd, pid_t *ret, struct error *err)
{
    const struct fork_server_run *run = userdata;
    struct fork_server *server = run->server;
    const struct preload_request request = {run->limits};
    int ends[2];
    pid_t pid = -1;

    assert(fork_server_state(server) == FORK_SERVER_READY);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot talk to a process of the held compiler");
    _cleanup_close_ int its_go = ends[0], go = ends[1];
    const int fds[] = {[PRELOAD_TEXT] = run->text_fd,
                       [PRELOAD_OUT] = out_fd,
                       [PRELOAD_ERR] = err_fd,
                       [PRELOAD_GO] = its_go};
    int r = ask(server, &request, fds);
    if (r == 0)
        r = await_reply(server, &pid);
    if (r == 0 && pid < 0)
        return error_set_errno(err, refused(server, pid), "the held compiler cannot fork");
    if (r == 0)
        r = adopt(pid, go);
    if (r < 0) {
        give_up(server);
        return error_set_errno(err, r, "the held compiler makes no process");
    }
    *ret = pid;
    server->served++;
    loop_timer_start(server->idle, IDLE_MS);
    return 0;
}
