// SPDX-License-Identifier: Apache-2.0
/*
 * Makes one call that changes the node go wrong, in the agent as it ships: to be preloaded. Calls
 * that change what lies below the folders of INJECT_BELOW (separated by colons) are counted, and at
 * the one of number INJECT_AT happens what INJECT says:
 *   kill    the process is killed before the call
 *   half    as kill, but a write has written half of its bytes
 *   power   the machine loses power
 *   EIO …   the call fails with that error
 * With INJECT_API the calls that count are those that send the API server a label of the Node or
 * the status of its profiles, and then there is
 *   sent    the process is killed after the call
 * Each call is a line of INJECT_LOG, so that a test knows how many there are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_uint calls;

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

/* --- which calls count --- */

static bool is_below(const char *path)
{
    const char *folder = setting("INJECT_BELOW");

    while (*folder) {
        size_t len = strcspn(folder, ":");

        if (len > 0 && strncmp(path, folder, len) == 0 && (path[len] == '/' || !path[len]))
            return true;
        folder += len + (folder[len] == ':');
    }
    return false;
}

/* As the kernel tells; the length that it was cut to does not matter here. */
static void path_of(int fd, const char *name, char ret[static PATH_MAX * 2])
{
    char link[64], folder[PATH_MAX] = "";

    ret[0] = '\0';
    if (name && name[0] == '/') {
        snprintf(ret, PATH_MAX * 2, "%s", name);
        return;
    }
    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/self/cwd");
    else
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, folder, sizeof(folder) - 1);
    if (len < 0)
        return;
    folder[len] = '\0';
    snprintf(ret, PATH_MAX * 2, "%s%s%s", folder, name ? "/" : "", name ? name : "");
}

/* --- what happens to one of them --- */

static void note(unsigned number, const char *call, const char *path)
{
    char line[PATH_MAX * 2 + 64];
    int len = snprintf(line, sizeof(line), "%u %s %s\n", number, call, path);
    int fd = open(setting("INJECT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    syscall(SYS_write, fd, line, (size_t) len);
    close(fd);
}

static void lose_power(void)
{
    int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

    syscall(SYS_write, fd, "b", 1);
}

static int error_of(const char *name)
{
    static const struct {
        const char *name;
        int error;
    } table[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].error;
    return 0;
}

/* Whether it is the one that shall go wrong. */
static bool is_chosen(const char *call, const char *path)
{
    unsigned number = atomic_fetch_add(&calls, 1) + 1;

    note(number, call, path);
    return number == (unsigned) atoi(setting("INJECT_AT"));
}

/* True: the call is not to be made, errno says why. `data` (NULL: none) is what it would write. */
static bool inject(const char *call, int fd, const char *name, const void *data, size_t len)
{
    char path[PATH_MAX * 2];
    const char *what = setting("INJECT");

    path_of(fd, name, path);
    if (!is_below(path) || !is_chosen(call, path))
        return false;
    if (strcmp(what, "half") == 0 && data)
        syscall(SYS_write, fd, data, len / 2);
    if (strcmp(what, "power") == 0)
        lose_power();
    if (!error_of(what))
        raise(SIGKILL);
    errno = error_of(what);
    return true;
}

/* --- the calls --- */

#define REAL(function) ((__typeof__(&function)) dlsym(RTLD_NEXT, #function))

int openat(int dir, const char *name, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (flags & O_CREAT && inject("create", dir, name, NULL, 0))
        return -1;
    return REAL(openat)(dir, name, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
    if (inject("write", fd, NULL, data, len))
        return -1;
    return REAL(write)(fd, data, len);
}

int fsync(int fd)
{
    if (inject("fsync", fd, NULL, NULL, 0))
        return -1;
    return REAL(fsync)(fd);
}

int fchmod(int fd, mode_t mode)
{
    if (inject("fchmod", fd, NULL, NULL, 0))
        return -1;
    return REAL(fchmod)(fd, mode);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (inject("rename", to_dir, to, NULL, 0))
        return -1;
    return REAL(renameat)(from_dir, from, to_dir, to);
}

int unlinkat(int dir, const char *name, int flags)
{
    if (inject("unlink", dir, name, NULL, 0))
        return -1;
    return REAL(unlinkat)(dir, name, flags);
}

int mkdir(const char *name, mode_t mode)
{
    if (inject("mkdir", AT_FDCWD, name, NULL, 0))
        return -1;
    return REAL(mkdir)(name, mode);
}

/* --- what is sent to the API server --- */

typedef struct ssl_st SSL; /* <openssl/ssl.h> */
int SSL_write(SSL *ssl, const void *data, int len);

static const char *api_write(const void *data, int len)
{
    static const char *const kinds[][2] = {{"label", "\"apparmor.io/profile-"},
                                           {"status", "\"profiles\":"}};

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (len > 0 && memmem(data, (size_t) len, kinds[i][1], strlen(kinds[i][1])))
            return kinds[i][0];
    return NULL;
}

int SSL_write(SSL *ssl, const void *data, int len)
{
    const char *kind = *setting("INJECT_API") ? api_write(data, len) : NULL;
    bool chosen = kind && is_chosen("send", kind);

    if (chosen && strcmp(setting("INJECT"), "sent") != 0)
        raise(SIGKILL);
    int written = REAL(SSL_write)(ssl, data, len);
    if (chosen && written > 0)
        raise(SIGKILL);
    return written;
}
