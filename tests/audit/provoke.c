// SPDX-License-Identifier: Apache-2.0

/*
 * Does what AppArmor profiles forbid, in each way that they can, and prints the audit records that
 * the kernel makes of it, as its netlink socket gives them: "TYPE PAYLOAD" each, in a line, or in
 * two where a program has written a line break (before a space). Run by collect, as root, in a
 * guest that has loaded policy.txt. Linked statically: under the profiles it could not load a
 * library.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define FOLDER "/tmp/provoke"

static void set_attr_bytes(const char *attr, const char *text, size_t len)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/thread-self/attr/%s", attr);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, len) < 0)
        fprintf(stderr, "%s > %s: %s\n", text, path, strerror(errno));
    if (fd >= 0)
        close(fd);
}

static void set_attr(const char *attr, const char *text)
{
    set_attr_bytes(attr, text, strlen(text));
}

/* --- what is forbidden; results do not matter --- */

static void do_files(void)
{
    int fd = open(FOLDER "/plain", O_RDONLY);

    (void) !open(FOLDER "/plain", O_RDWR | O_CREAT | O_APPEND, 0600);
    (void) !open(FOLDER "/with space and \"quotes\"", O_RDONLY);
    (void) !open(FOLDER "/caf\xc3\xa9\n\x01", O_RDONLY);
    (void) !open("/proc/self/environ", O_RDONLY);
    (void) !open("/proc/thread-self/environ", O_RDONLY);
    mkdir(FOLDER "/made", 0700);
    unlink(FOLDER "/plain");
    (void) !link(FOLDER "/plain", FOLDER "/linked");
    (void) !symlink(FOLDER "/plain", FOLDER "/symbolic");
    rename(FOLDER "/plain", FOLDER "/renamed");
    (void) !truncate(FOLDER "/plain", 0);
    chmod(FOLDER "/plain", 0600);
    (void) !chown(FOLDER "/plain", 1, 1);
    mknod(FOLDER "/pipe", S_IFIFO | 0600, 0);
    struct stat status;
    stat(FOLDER "/plain", &status);
    if (fd >= 0)
        close(fd);
}

static void do_exec(void)
{
    char *const arguments[] = {"busybox", "true", NULL};

    execv("/usr/bin/busybox", arguments);
}

static void do_capabilities(void)
{
    (void) !chroot("/");
    (void) !sethostname("provoke", 7);
    (void) !setuid(1);
}

static void do_network(void)
{
    static const struct {
        int family, type, protocol;
    } kinds[] = {{AF_INET, SOCK_STREAM, 0}, {AF_INET, SOCK_DGRAM, 17}, {AF_INET6, SOCK_STREAM, 0},
                 {AF_INET, SOCK_RAW, 1},    {AF_NETLINK, SOCK_RAW, 0}, {AF_PACKET, SOCK_RAW, 0}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        (void) !socket(kinds[i].family, kinds[i].type, kinds[i].protocol);
}

static void do_unix(void)
{
    static const struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = FOLDER "/socket"};
    static const struct sockaddr_un abstract = {.sun_family = AF_UNIX,
                                                .sun_path = "\0provoke abstract"};
    int pair[2] = {-1, -1}, fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0)
        (void) !send(pair[0], "x", 1, 0);
    (void) !connect(fd, (const struct sockaddr *) &named, sizeof(named));
    (void) !bind(fd, (const struct sockaddr *) &abstract,
                 offsetof(struct sockaddr_un, sun_path) + 17);
    (void) !connect(fd, (const struct sockaddr *) &abstract,
                    offsetof(struct sockaddr_un, sun_path) + 17);
    (void) !listen(fd, 1);
}

/* Both were there before the process came under its profile. */
static int inherited_unix = -1, inherited_inet = -1;

static void do_inherited(void)
{
    (void) !send(inherited_unix, "x", 1, MSG_DONTWAIT);
    (void) !write(inherited_unix, "x", 1);
    (void) !write(inherited_inet, "x", 1);
    (void) !listen(inherited_inet, 1);
}

static pid_t other; /* a process under another profile */

static void do_signal(void)
{
    kill(other, SIGTERM);
    kill(other, 0);
    kill(other, SIGRTMIN + 3);
    kill(1, SIGHUP);
}

static void do_ptrace(void)
{
    char path[64];

    ptrace(PTRACE_ATTACH, other, NULL, NULL);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int) other);
    (void) !open(path, O_RDONLY);
}

static void do_mount(void)
{
    mount("none", FOLDER "/mnt", "tmpfs", MS_NOSUID, "size=1m");
    mount(FOLDER, FOLDER "/mnt", NULL, MS_BIND | MS_REC, NULL);
    mount(NULL, FOLDER "/mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL);
    mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL);
    mount(FOLDER, FOLDER "/mnt", NULL, MS_MOVE, NULL);
    umount2(FOLDER "/mnt", MNT_DETACH);
    syscall(SYS_pivot_root, FOLDER, FOLDER "/mnt");
}

static void do_rlimit(void)
{
    static const struct rlimit files = {64, 64}, core = {0, 0};

    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
}

static void do_userns(void)
{
    (void) !unshare(CLONE_NEWUSER);
}

static void do_io_uring(void)
{
    struct io_uring_params polled = {.flags = IORING_SETUP_SQPOLL}, plain = {0};

    (void) !syscall(SYS_io_uring_setup, 4, &polled);
    int ring = (int) syscall(SYS_io_uring_setup, 4, &plain);
    long personality = syscall(SYS_io_uring_register, ring, IORING_REGISTER_PERSONALITY, NULL, 0);
    fprintf(stderr, "io_uring: ring %d, personality %ld\n", ring, personality);
}

static void do_mqueue(void)
{
    mqd_t queue = mq_open("/provoke", O_RDWR | O_CREAT, 0600, NULL);

    (void) !mq_send(queue, "x", 1, 0);
    mq_unlink("/provoke");
    (void) !mq_open("/there", O_RDWR);
}

static void do_change_profile(void)
{
    set_attr("current", "changeprofile provoke-other");
    set_attr("current", "changeprofile not-there");
    set_attr("exec", "exec provoke-other");
    set_attr("current", "stack provoke-other");
}

/* One hat that is not there is taken for a probe, and not told of; of several the first is. */
static void do_change_hat(void)
{
    static const char several[] = "changehat 0000000000000042^absent\0gone";

    set_attr("current", "changehat 0000000000000042^absent");
    set_attr_bytes("current", several, sizeof(several));
}

/* The kernel kills who does not know the way back. */
static void do_change_hat_back(void)
{
    set_attr("current", "changehat 0000000000000042^hat");
    set_attr("current", "changehat 0000000000000043^");
}

static void do_change_hat_probe(void)
{
    set_attr("current", "changehat 0000000000000042^absent");
}

static void do_hat_file(void)
{
    set_attr("current", "changehat 0000000000000042^hat");
    (void) !open(FOLDER "/kept", O_RDONLY);
}

static void do_name(void)
{
    prctl(PR_SET_NAME, "a \"b\xff");
    (void) !open(FOLDER "/kept", O_RDONLY);
}

/* In Complain 6.12 never comes back from it, and holds the lock of all policy. */
static void do_change_hat_hanging(void)
{
    struct utsname name;

    if (uname(&name) == 0 && strncmp(name.release, "6.12.", 5) != 0)
        do_change_hat_probe();
}

static void do_bus(const char *to, const char *member, const char *argument, const char *another)
{
    char destination[64];

    snprintf(destination, sizeof(destination), "--dest=%s", to);
    execl("/usr/bin/dbus-send", "dbus-send", "--system", "--print-reply", "--reply-timeout=1000",
          destination, "/org/freedesktop/DBus", member, argument, another, NULL);
}

static void do_bus_call(void)
{
    do_bus("org.freedesktop.DBus", "org.freedesktop.DBus.ListNames", NULL, NULL);
}

static void do_bus_name(void)
{
    do_bus("org.freedesktop.DBus", "org.freedesktop.DBus.RequestName", "string:org.provoke",
           "uint32:0");
}

/* To whoever came first, which is open_bus(). */
static void do_bus_peer(void)
{
    do_bus(":1.0", "org.provoke.Do", NULL, NULL);
}

static void do_bus_signal(void)
{
    execl("/usr/bin/dbus-send", "dbus-send", "--system", "--type=signal", "--dest=:1.0",
          "/org/provoke", "org.provoke.Done", NULL);
}

static void do_sysctl(void)
{
    (void) !open("/proc/sys/kernel/hostname", O_RDWR);
}

struct case_of {
    const char *label; /* what to write to attr/current first; "" for nothing */
    void (*act)(void);
};

static const struct case_of cases[] = {
    {"changeprofile provoke", do_files},
    {"changeprofile provoke", do_name},
    {"changeprofile provoke", do_sysctl},
    {"changeprofile provoke", do_exec},
    {"changeprofile provoke", do_capabilities},
    {"changeprofile provoke", do_network},
    {"changeprofile provoke", do_unix},
    {"changeprofile provoke", do_inherited},
    {"changeprofile provoke", do_signal},
    {"changeprofile provoke", do_ptrace},
    {"changeprofile provoke-mount", do_mount},
    {"changeprofile provoke-mount", do_rlimit},
    {"changeprofile provoke-mount", do_userns},
    {"changeprofile provoke-uring", do_io_uring},
    {"changeprofile provoke", do_mqueue},
    {"changeprofile provoke-change", do_change_profile},
    {"changeprofile provoke-change", do_change_hat},
    {"changeprofile provoke-change", do_hat_file},
    {"changeprofile provoke-change", do_change_hat_back},
    {"", do_change_hat_probe},
    {"changeprofile provoke-complain", do_files},
    {"changeprofile provoke-complain", do_exec},
    {"changeprofile provoke-complain", do_network},
    {"changeprofile provoke-complain", do_capabilities},
    {"changeprofile provoke-complain", do_signal},
    {"changeprofile provoke-kill", do_name},
    {"changeprofile :provokens:provoke", do_name},
    {"changeprofile :provokens:provoke", do_signal},
    {"stack provoke", do_name},
    {"stack provoke", do_capabilities},
    {"stack provoke", do_unix},
    {"changeprofile provoke name \"x\" \xc3\xa9", do_name},
    /* Refused by dbus-daemon, where it asks the kernel. */
    {"changeprofile provoke-mount", do_bus_call},
    {"changeprofile provoke-bus", do_bus_name},
    {"changeprofile provoke-bus", do_bus_peer},
    {"changeprofile provoke-bus", do_bus_signal},
    {"changeprofile provoke-bus-complain", do_bus_name},
    {"changeprofile provoke-complain", do_change_hat_hanging},
};

/* --- the records --- */

static int open_audit(void)
{
    static const struct sockaddr_nl group = {.nl_family = AF_NETLINK,
                                             .nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1)};
    int size = 1 << 20, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

    if (fd < 0 || bind(fd, (const struct sockaddr *) &group, sizeof(group)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0) {
        perror("audit");
        exit(1);
    }
    return fd;
}

/* Until a quarter of a second has passed without one. */
static void print_records(int fd)
{
    static char data[16384];
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    while (poll(&poll_fd, 1, 250) > 0) {
        ssize_t len = recv(fd, data, sizeof(data), 0);
        const struct nlmsghdr *head = (const struct nlmsghdr *) (const void *) data;

        if (len < (ssize_t) NLMSG_HDRLEN)
            continue;
        printf("%d %.*s\n", (int) head->nlmsg_type, (int) (len - (ssize_t) NLMSG_HDRLEN),
               (const char *) NLMSG_DATA(head));
    }
}

/* A connection that stays, as :1.0: that is said when the bus has answered. */
static void open_bus(void)
{
    static const struct sockaddr_un bus = {.sun_family = AF_UNIX, .sun_path = "/run/bus/socket"};
    static const char login[] = "\0AUTH EXTERNAL 30\r\nBEGIN\r\n";
    /* org.freedesktop.DBus.Hello() */
    static const char hello[128] = "l\1\0\1\0\0\0\0\1\0\0\0m\0\0\0"
                                   "\1\1o\0\25\0\0\0/org/freedesktop/DBus\0\0\0"
                                   "\3\1s\0\5\0\0\0Hello\0\0\0"
                                   "\2\1s\0\24\0\0\0org.freedesktop.DBus\0\0\0\0"
                                   "\6\1s\0\24\0\0\0org.freedesktop.DBus\0\0\0\0";
    char answer[4096];
    size_t len = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *) &bus, sizeof(bus)) < 0 ||
        write(fd, login, sizeof(login) - 1) < 0 || write(fd, hello, sizeof(hello)) < 0) {
        perror("bus");
        exit(1);
    }
    while (!memmem(answer, len, ":1.0", 4)) {
        ssize_t got = len < sizeof(answer) ? read(fd, answer + len, sizeof(answer) - len) : 0;

        if (got <= 0) {
            fprintf(stderr, "bus: it does not answer\n");
            exit(1);
        }
        len += (size_t) got;
    }
}

static pid_t start(const char *label, void (*act)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO); /* which has records */
        if (*label)
            set_attr("current", label);
        act();
        _exit(0);
    }
    return pid;
}

static void wait_long(void)
{
    sleep(600);
}

static void prepare(void)
{
    static const struct sockaddr_un named = {.sun_family = AF_UNIX, .sun_path = FOLDER "/socket"};
    static int pair[2];

    mkdir(FOLDER, 0755);
    mkdir(FOLDER "/mnt", 0755);
    close(open(FOLDER "/plain", O_CREAT | O_WRONLY, 0644));
    close(open(FOLDER "/kept", O_CREAT | O_WRONLY, 0644));
    close(open(FOLDER "/with space and \"quotes\"", O_CREAT | O_WRONLY, 0644));
    close(open(FOLDER "/caf\xc3\xa9\n\x01", O_CREAT | O_WRONLY, 0644));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void) !bind(fd, (const struct sockaddr *) &named, sizeof(named));
    listen(fd, 1);
    mq_open("/there", O_RDWR | O_CREAT, 0600, NULL);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    inherited_unix = pair[0];
    inherited_inet = socket(AF_INET, SOCK_STREAM, 0);
}

int main(void)
{
    int audit = open_audit();

    open_bus();
    prepare();
    other = start("changeprofile provoke-other", wait_long);
    print_records(audit);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        printf("# %s\n", cases[i].label);
        waitpid(start(cases[i].label, cases[i].act), NULL, 0);
        print_records(audit);
    }
    kill(other, SIGKILL);
    return 0;
}
