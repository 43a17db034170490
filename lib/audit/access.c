// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/access.h"

#include <string.h>

static const char *const outcome_names[AUDIT_OUTCOMES] = {
    [AUDIT_DENIED] = "Denied",
    [AUDIT_ALLOWED] = "Allowed",
    [AUDIT_KILLED] = "Killed",
};

static const char *const class_names[AUDIT_CLASSES] = {
    [AUDIT_OTHER] = "other",
    [AUDIT_FILE] = "file",
    [AUDIT_EXEC] = "exec",
    [AUDIT_CAPABILITY] = "capability",
    [AUDIT_NETWORK] = "network",
    [AUDIT_UNIX] = "unix",
    [AUDIT_SIGNAL] = "signal",
    [AUDIT_PTRACE] = "ptrace",
    [AUDIT_MOUNT] = "mount",
    [AUDIT_DBUS] = "dbus",
    [AUDIT_USERNS] = "userns",
    [AUDIT_IO_URING] = "io_uring",
    [AUDIT_RLIMIT] = "rlimit",
    [AUDIT_CHANGE_PROFILE] = "change_profile",
    [AUDIT_CHANGE_HAT] = "change_hat",
    [AUDIT_MQUEUE] = "mqueue",
};

static const char *const field_keys[AUDIT_FIELDS] = {
#define X(name, key) [AUDIT_FIELD_##name] = (key),
    AUDIT_ACCESS_FIELDS(X)
#undef X
};

const char *audit_outcome_name(enum audit_outcome outcome)
{
    return outcome_names[outcome];
}

const char *audit_class_name(enum audit_class class)
{
    return class_names[class];
}

const char *audit_field_key(enum audit_field field)
{
    return field_keys[field];
}

/* No text holds the separator, as it is a control character. */
void audit_access_key(const struct audit_access *access, struct buf *out)
{
    const char head[] = {(char) ('A' + access->outcome), (char) ('A' + access->class),
                         access->owner ? 'o' : '-', access->pattern ? '*' : '-'};

    buf_add(out, head, sizeof(head));
    for (size_t i = 0; i < AUDIT_FIELDS; i++) {
        if (!access->fields[i])
            continue;
        const char mark[] = {'\x01', (char) ('A' + i)};
        buf_add(out, mark, sizeof(mark));
        buf_add_string(out, access->fields[i]);
    }
}

/* --- JSON --- */

cJSON *audit_access_json(const struct audit_access *access)
{
    cJSON *json = cJSON_CreateObject();

    json_add_string(json, "outcome", audit_outcome_name(access->outcome));
    json_add_string(json, "class", audit_class_name(access->class));
    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        if (access->fields[i])
            json_add_string(json, field_keys[i], access->fields[i]);
    if (access->owner)
        json_add_bool(json, "owner", true);
    if (access->pattern)
        json_add_bool(json, "pattern", true);
    return json;
}

/* The index of a name, or `count`. */
static size_t find_name(const char *name, const char *const *names, size_t count)
{
    size_t i = 0;

    while (i < count && (!name || strcmp(name, names[i]) != 0))
        i++;
    return i;
}

bool audit_access_read(const cJSON *json, struct audit_access *ret)
{
    const char *class = json_string(json, "class");
    size_t outcome = find_name(json_string(json, "outcome"), outcome_names, AUDIT_OUTCOMES);
    size_t known = find_name(class, class_names, AUDIT_CLASSES);
    struct audit_access access = {
        .outcome = (enum audit_outcome) outcome,
        .class = known < AUDIT_CLASSES ? (enum audit_class) known : AUDIT_OTHER,
        .owner = json_bool(json_get(json, "owner"), false),
        .pattern = json_bool(json_get(json, "pattern"), false),
    };

    for (size_t i = 0; i < AUDIT_FIELDS; i++)
        access.fields[i] = json_string(json, field_keys[i]);
    if (outcome == AUDIT_OUTCOMES || !class || !access.fields[AUDIT_FIELD_PROFILE] ||
        !access.fields[AUDIT_FIELD_OPERATION])
        return false;
    *ret = access;
    return true;
}

/* --- words --- */

/* Adds `before` and the field when there is one. */
static void add_field(struct buf *out, const char *before, const struct audit_access *access,
                      enum audit_field field)
{
    if (access->fields[field])
        buf_addf(out, "%s%s", before, access->fields[field]);
}

static void describe_socket(const struct audit_access *access, struct buf *out)
{
    buf_add_string(out, " of a socket");
    add_field(out, " of family ", access, AUDIT_FIELD_FAMILY);
    add_field(out, ", type ", access, AUDIT_FIELD_SOCKET_TYPE);
    add_field(out, " at ", access, AUDIT_FIELD_ADDRESS);
    add_field(out, " to ", access, AUDIT_FIELD_PEER_ADDRESS);
}

static void describe_message(const struct audit_access *access, struct buf *out)
{
    add_field(out, " of ", access, AUDIT_FIELD_INTERFACE);
    add_field(out, ".", access, AUDIT_FIELD_MEMBER);
    add_field(out, " at ", access, AUDIT_FIELD_PATH);
    add_field(out, " of ", access, AUDIT_FIELD_NAME);
    add_field(out, " on the bus ", access, AUDIT_FIELD_BUS);
}

/* The rights say more than the operation does. */
static bool says_rights(const struct audit_access *access)
{
    const char *operation = access->fields[AUDIT_FIELD_OPERATION];
    const char *denied = access->fields[AUDIT_FIELD_DENIED];

    return access->class != AUDIT_EXEC && denied && !(operation && strcmp(operation, denied) == 0);
}

void audit_access_describe(const struct audit_access *access, struct buf *out)
{
    if (access->class == AUDIT_CAPABILITY)
        buf_add_string(out, "use of capability");
    else
        add_field(out, "", access, AUDIT_FIELD_OPERATION);
    switch (access->class) {
    case AUDIT_NETWORK:
    case AUDIT_UNIX:
        describe_socket(access, out);
        break;
    case AUDIT_DBUS:
        describe_message(access, out);
        break;
    case AUDIT_CAPABILITY:
        add_field(out, " ", access, AUDIT_FIELD_NAME);
        break;
    case AUDIT_RLIMIT:
        add_field(out, " of ", access, AUDIT_FIELD_RLIMIT);
        add_field(out, " to ", access, AUDIT_FIELD_VALUE);
        break;
    default:
        add_field(out, " of ", access, AUDIT_FIELD_SOURCE);
        add_field(out, access->fields[AUDIT_FIELD_SOURCE] ? " on " : " of ", access,
                  AUDIT_FIELD_NAME);
        add_field(out, " ", access, AUDIT_FIELD_SIGNAL);
        break;
    }
    add_field(out, " to ", access, AUDIT_FIELD_TARGET);
    if (says_rights(access))
        add_field(out, " for ", access, AUDIT_FIELD_DENIED);
    add_field(out, ", peer ", access, AUDIT_FIELD_PEER);
    if (access->fields[AUDIT_FIELD_INFO])
        buf_addf(out, " (%s)", access->fields[AUDIT_FIELD_INFO]);
}
