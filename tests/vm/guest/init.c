// SPDX-License-Identifier: Apache-2.0
// The guest's process 1: starts an exec server for each port of the channel as the ports appear,
// reaps what is orphaned, and shuts down as busybox's reboot, poweroff and halt ask for.
#include "server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PORTS_MAX = 64,
    TERMINATE_MS = 3000,
};

#define DISK_DIR "/var/lib/vm-disk"

struct port {
    char path[64];
    pid_t server;
};

struct init {
    int signals;
    int devices;
    struct port ports[PORTS_MAX];
    size_t port_count;
};

/* To the kernel's log, so to the serial console. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        dprintf(fd, "<5>vm-init: %s", text);
        close(fd);
    }
}

static void port_serve(struct port *port)
{
    port->server = fork();
    if (port->server != 0) {
        return;
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "vm-exec");
    int result = server_run(port->path);
    say("%s: %s", port->path, strerror(-result));
    /* Process 1 starts another at once; a port that cannot be opened must not make that a spin. */
    sleep(1);
    _exit(1);
}

static void init_add_port(struct init *init, const char *name)
{
    if (strncmp(name, "vport", 5) != 0 || init->port_count == PORTS_MAX) {
        return;
    }
    char path[64];
    snprintf(path, sizeof(path), "/dev/%.32s", name);
    for (size_t i = 0; i < init->port_count; i++) {
        if (strcmp(init->ports[i].path, path) == 0) {
            return;
        }
    }
    struct port *port = &init->ports[init->port_count++];
    memcpy(port->path, path, sizeof(path));
    port_serve(port);
}

static void init_scan_devices(struct init *init)
{
    DIR *devices = opendir("/dev");
    if (devices == NULL) {
        say("/dev: %s", strerror(errno));
        return;
    }
    for (struct dirent *entry; (entry = readdir(devices)) != NULL;) {
        init_add_port(init, entry->d_name);
    }
    closedir(devices);
}

static void init_reap(struct init *init)
{
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
        for (size_t i = 0; i < init->port_count; i++) {
            if (init->ports[i].server == pid) {
                port_serve(&init->ports[i]);
            }
        }
    }
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Waits until every child, which includes orphans, is gone. */
static void wait_for_children(const struct init *init, int limit_ms)
{
    long long end = now_ms() + limit_ms;
    for (;;) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        long long left = end - now_ms();
        if (pid < 0 || left <= 0) {
            return;
        }
        struct pollfd signals = {.fd = init->signals, .events = POLLIN};
        struct signalfd_siginfo info;
        if (poll(&signals, 1, (int) left) > 0 && read(init->signals, &info, sizeof(info)) < 0) {
            return;
        }
    }
}

static void unmount_disk(void)
{
    static const char *const binds[] = {"/etc/apparmor.d", "/var/lib/apparmor.io"};
    for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
        umount2(binds[i], MNT_DETACH);
    }
    if (umount2(DISK_DIR, 0) < 0 && errno != EINVAL && errno != ENOENT) {
        say("%s: %s: mounting it read-only", DISK_DIR, strerror(errno));
        mount(NULL, DISK_DIR, NULL, MS_REMOUNT | MS_RDONLY, NULL);
    }
}

_Noreturn static void init_shut_down(const struct init *init, int action)
{
    say("shutting down");
    kill(-1, SIGTERM);
    wait_for_children(init, TERMINATE_MS);
    kill(-1, SIGKILL);
    wait_for_children(init, TERMINATE_MS);
    sync();
    unmount_disk();
    /* A root on a disk. What pods have mounted may keep it busy; its journal then has to do. */
    mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
    reboot(action);
    for (;;) {
        pause();
    }
}

static void init_signal(struct init *init)
{
    struct signalfd_siginfo info;
    if (read(init->signals, &info, sizeof(info)) != sizeof(info)) {
        return;
    }
    switch (info.ssi_signo) {
    case SIGTERM:
        init_shut_down(init, RB_AUTOBOOT);
    case SIGUSR1:
    case SIGUSR2:
        init_shut_down(init, RB_POWER_OFF);
    default:
        init_reap(init);
    }
}

static void init_device(struct init *init)
{
    char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size = read(init->devices, buffer, sizeof(buffer));
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const struct inotify_event *) (buffer + at);
        if (event->len > 0) {
            init_add_port(init, event->name);
        }
        at += (ssize_t) (sizeof(*event) + event->len);
    }
}

static int init_open(struct init *init)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    init->signals = signalfd(-1, &signals, SFD_CLOEXEC);
    init->devices = inotify_init1(IN_CLOEXEC);
    if (init->signals < 0 || init->devices < 0 ||
        inotify_add_watch(init->devices, "/dev", IN_CREATE) < 0) {
        return -errno;
    }
    return 0;
}

int main(void)
{
    static struct init init;
    if (getpid() != 1) {
        fprintf(stderr, "vm-init: runs as process 1 of a test guest only\n");
        return 2;
    }
    int result = init_open(&init);
    if (result < 0) {
        say("cannot start: %s", strerror(-result));
        return 1;
    }
    init_scan_devices(&init);
    for (;;) {
        struct pollfd events[] = {
            {.fd = init.signals, .events = POLLIN},
            {.fd = init.devices, .events = POLLIN},
        };
        if (poll(events, 2, -1) < 0) {
            continue;
        }
        if (events[0].revents) {
            init_signal(&init);
        }
        if (events[1].revents) {
            init_device(&init);
        }
    }
}
