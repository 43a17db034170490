// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/classify.h"

#include <string.h>

struct name {
    const char *text;
    enum audit_class class;
};

/* Operations (security/apparmor/include/audit.h) that say it whatever the class. */
static const struct name operations[] = {
    {"exec", AUDIT_EXEC},
    {"capable", AUDIT_CAPABILITY},
    {"mount", AUDIT_MOUNT},
    {"umount", AUDIT_MOUNT},
    {"pivotroot", AUDIT_MOUNT},
    {"ptrace", AUDIT_PTRACE},
    {"signal", AUDIT_SIGNAL},
    {"setrlimit", AUDIT_RLIMIT},
    {"change_profile", AUDIT_CHANGE_PROFILE},
    {"change_onexec", AUDIT_CHANGE_PROFILE},
    {"stack", AUDIT_CHANGE_PROFILE},
    {"stack_onexec", AUDIT_CHANGE_PROFILE},
    {"change_hat", AUDIT_CHANGE_HAT},
    {"userns_create", AUDIT_USERNS},
    {"uring_override", AUDIT_IO_URING},
    {"uring_sqpoll", AUDIT_IO_URING},
};

/* The kernel's classes; "domain" is what is not in the list above. */
static const struct name classes[] = {
    {"file", AUDIT_FILE},         {"cap", AUDIT_CAPABILITY},   {"net", AUDIT_NETWORK},
    {"rlimits", AUDIT_RLIMIT},    {"domain", AUDIT_EXEC},      {"mount", AUDIT_MOUNT},
    {"ptrace", AUDIT_PTRACE},     {"signal", AUDIT_SIGNAL},    {"posix_mqueue", AUDIT_MQUEUE},
    {"io_uring", AUDIT_IO_URING}, {"namespace", AUDIT_USERNS},
};

/* Of files, on kernels that name no class. */
static const char *const file_operations[] = {
    "unlink",     "mkdir",     "rmdir",         "mknod",        "truncate", "link", "symlink",
    "rename_src", "chmod",     "chown",         "rename_dest",  "getattr",  "open", "file_receive",
    "file_perm",  "file_lock", "file_mprotect", "file_inherit", "file_mmap"};

static bool is_text(const char *text, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(text, name, len) == 0;
}

static const struct name *find(const char *text, size_t len, const struct name *names, size_t count)
{
    for (size_t i = 0; text && i < count; i++)
        if (is_text(text, len, names[i].text))
            return &names[i];
    return NULL;
}

static bool is_file_operation(const char *operation)
{
    for (size_t i = 0; i < ARRAY_SIZE(file_operations); i++)
        if (strcmp(operation, file_operations[i]) == 0)
            return true;
    return false;
}

enum audit_class audit_classify(const char *kernel_class, size_t kernel_class_len,
                                const char *operation, const char *family)
{
    const struct name *class = find(kernel_class, kernel_class_len, classes, ARRAY_SIZE(classes));
    const struct name *known;

    /* A socket that was inherited or received is denied as a file. */
    if (family)
        return strcmp(family, "unix") == 0 ? AUDIT_UNIX : AUDIT_NETWORK;
    if (!operation)
        return class ? class->class : AUDIT_OTHER;
    if (strncmp(operation, "dbus_", strlen("dbus_")) == 0)
        return AUDIT_DBUS;
    known = find(operation, strlen(operation), operations, ARRAY_SIZE(operations));
    if (known)
        return known->class;
    if (class)
        return class->class;
    return !kernel_class && is_file_operation(operation) ? AUDIT_FILE : AUDIT_OTHER;
}
