// SPDX-License-Identifier: Apache-2.0
#include "lib/compile/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/base/alloc.h"
#include "lib/compile/syscalls.h"

/*
 * The kernel's interface (include/uapi/linux/landlock.h) as of ABI 6; the headers of older
 * distributions end before that.
 */
struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

struct path_beneath_attr {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

#define ACCESS_EXECUTE (UINT64_C(1) << 0)
#define ACCESS_READ_FILE (UINT64_C(1) << 2)
#define ACCESS_READ_DIR (UINT64_C(1) << 3)
#define ACCESS_FS_1 ((UINT64_C(1) << 13) - 1)
#define ACCESS_REFER (UINT64_C(1) << 13)     /* ABI 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)  /* ABI 3 */
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define ACCESS_NET_TCP UINT64_C(3)           /* bind and connect */
#define SCOPE_ALL UINT64_C(3)                /* abstract sockets and signals */

#define LAST_CAPABILITY 63 /* of the kernel's 64-bit sets */

struct sandbox {
    int ruleset; /* -1: no Landlock */
    bool change_user;
    uid_t uid;
    gid_t gid;
    struct confine_limits limits;
    bool serves;
    pid_t parent;
};

int sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

    return abi > 0 ? (int) abi : 0;
}

static int create_ruleset(int abi)
{
    struct ruleset_attr attr = {.handled_access_fs = ACCESS_FS_1};
    size_t size = sizeof(attr.handled_access_fs);

    if (abi >= 2)
        attr.handled_access_fs |= ACCESS_REFER;
    if (abi >= 3)
        attr.handled_access_fs |= ACCESS_TRUNCATE;
    if (abi >= 4) {
        attr.handled_access_net = ACCESS_NET_TCP;
        size = offsetof(struct ruleset_attr, scoped);
    }
    if (abi >= 5)
        attr.handled_access_fs |= ACCESS_IOCTL_DEV;
    if (abi >= 6) {
        attr.scoped = SCOPE_ALL;
        size = sizeof(attr);
    }
    /* The kernel makes it close-on-exec. */
    return (int) syscall(SYS_landlock_create_ruleset, &attr, size, 0);
}

static int add_path(int ruleset, const struct sandbox_path *path, struct error *err)
{
    _cleanup_close_ int fd = open(path->path, O_PATH | O_CLOEXEC);
    struct stat st;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set_errno(err, -errno, "cannot open %s", path->path);

    struct path_beneath_attr attr = {.allowed_access = ACCESS_READ_FILE, .parent_fd = fd};
    if (S_ISDIR(st.st_mode))
        attr.allowed_access |= ACCESS_READ_DIR;
    if (path->execute)
        attr.allowed_access |= ACCESS_EXECUTE;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0)
        return error_set_errno(err, -errno, "cannot allow %s in the sandbox", path->path);
    return 0;
}

static int make_ruleset(const struct sandbox_options *options, int *ret, struct error *err)
{
    int abi = sandbox_landlock_abi();

    if (abi == 0) {
        *ret = -1;
        return 0;
    }
    _cleanup_close_ int ruleset = create_ruleset(abi);
    if (ruleset < 0)
        return error_set_errno(err, -errno, "cannot create a Landlock ruleset");
    for (size_t i = 0; i < options->path_count; i++) {
        int r = add_path(ruleset, &options->paths[i], err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_FD(ruleset);
    return 0;
}

int sandbox_new(const struct sandbox_options *options, struct sandbox **ret, struct error *err)
{
    int ruleset = -1;

    int r = make_ruleset(options, &ruleset, err);
    if (r < 0)
        return r;

    struct sandbox *sandbox = xcalloc(1, sizeof(*sandbox));
    *sandbox = (struct sandbox){
        .ruleset = ruleset,
        .change_user = geteuid() == 0,
        .uid = options->uid,
        .gid = options->gid,
        .limits = options->limits,
        .serves = options->serves,
        .parent = getpid(),
    };
    *ret = sandbox;
    return 0;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    if (sandbox->ruleset >= 0)
        close(sandbox->ruleset);
    free(sandbox);
}

/* --- in the child --- */

/* When memory runs out, the compiler goes first. Not vital: /proc may be read-only. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    ssize_t written _unused_ = write(fd, "1000", 4);
    close(fd);
}

/* Raw system calls: glibc's wrappers talk to other threads, which fork() has left behind. */
static int drop_user(const struct sandbox *sandbox)
{
    if (!sandbox->change_user)
        return 0;
    if (syscall(SYS_setgroups, 0, NULL) < 0 ||
        syscall(SYS_setresgid, sandbox->gid, sandbox->gid, sandbox->gid) < 0 ||
        syscall(SYS_setresuid, sandbox->uid, sandbox->uid, sandbox->uid) < 0)
        return -errno;
    /* The memory is still our parent's (lib/base/child.c), and fs.suid_dumpable may have let others
     * of this uid trace it. */
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* Without CAP_SETPCAP the bounding set stays; with no_new_privs it gives nothing. */
static void drop_bounding_set(void)
{
    for (unsigned long cap = 0; cap <= LAST_CAPABILITY; cap++)
        prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* Those that every process has in common. */
static int set_limits(void)
{
    int r = confine_limit(RLIMIT_FSIZE, 0);

    if (r == 0)
        r = confine_limit(RLIMIT_CORE, 0);
    if (r == 0)
        r = confine_limit(RLIMIT_NOFILE, 64);
    return r;
}

int sandbox_enter(void *userdata)
{
    const struct sandbox *sandbox = userdata;

    volunteer_for_oom();
    drop_bounding_set();
    int r = drop_user(sandbox);
    if (r == 0)
        r = drop_capabilities();
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    /* After the change of user, which resets it; the parent may be gone already. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return -errno;
    if (getppid() != sandbox->parent)
        return -ESRCH;
    r = set_limits();
    if (r < 0)
        return r;
    if (sandbox->ruleset >= 0 && syscall(SYS_landlock_restrict_self, sandbox->ruleset, 0) < 0)
        return -errno;
    /* Last: it takes away what came before. */
    r = syscalls_restrict_compiler();
    return r < 0 || sandbox->serves ? r : confine_self(&sandbox->limits);
}
