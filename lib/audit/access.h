// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"

/*
 * One access that an AppArmor profile does not allow, without who tried it and when: what is
 * counted together, what an entry of AppArmorNode's status.denials says (docs/api.md), and what a
 * rule can be made from.
 */

enum audit_outcome {
    AUDIT_DENIED,
    AUDIT_ALLOWED, /* mode complain let it through */
    AUDIT_KILLED,  /* mode kill ended the process */
    AUDIT_OUTCOMES,
};

/* What kind of rule is missing. */
enum audit_class {
    AUDIT_OTHER,
    AUDIT_FILE,
    AUDIT_EXEC,
    AUDIT_CAPABILITY,
    AUDIT_NETWORK,
    AUDIT_UNIX,
    AUDIT_SIGNAL,
    AUDIT_PTRACE,
    AUDIT_MOUNT,
    AUDIT_DBUS,
    AUDIT_USERNS,
    AUDIT_IO_URING,
    AUDIT_RLIMIT,
    AUDIT_CHANGE_PROFILE,
    AUDIT_CHANGE_HAT,
    AUDIT_MQUEUE,
    AUDIT_CLASSES,
};

/* The texts of an access, and their keys in the API. */
#define AUDIT_ACCESS_FIELDS(X)      \
    X(PROFILE, "profile")           \
    X(NAMESPACE, "policyNamespace") \
    X(OPERATION, "operation")       \
    X(REQUESTED, "requested")       \
    X(DENIED, "denied")             \
    X(NAME, "name")                 \
    X(TARGET, "target")             \
    X(PEER, "peer")                 \
    X(INFO, "info")                 \
    X(FAMILY, "family")             \
    X(SOCKET_TYPE, "socketType")    \
    X(PROTOCOL, "protocol")         \
    X(ADDRESS, "address")           \
    X(PEER_ADDRESS, "peerAddress")  \
    X(SIGNAL, "signal")             \
    X(FS_TYPE, "fsType")            \
    X(SOURCE, "source")             \
    X(FLAGS, "flags")               \
    X(RLIMIT, "rlimit")             \
    X(VALUE, "value")               \
    X(BUS, "bus")                   \
    X(PATH, "path")                 \
    X(INTERFACE, "interface")       \
    X(MEMBER, "member")

enum audit_field {
#define X(name, key) AUDIT_FIELD_##name,
    AUDIT_ACCESS_FIELDS(X)
#undef X
        AUDIT_FIELDS,
};

/* The longest text of a field; a longer one is cut and ends in "…". */
#define AUDIT_TEXT_MAX 512

struct audit_access {
    enum audit_outcome outcome;
    enum audit_class class;
    bool owner;   /* process and file have the same user */
    bool pattern; /* the name's last part, "*", stands for many */
    /* NULL: it has none. Valid UTF-8 without control characters. */
    const char *fields[AUDIT_FIELDS];
};

/* "Denied", "file", "policyNamespace" */
const char *audit_outcome_name(enum audit_outcome outcome);
const char *audit_class_name(enum audit_class class);
const char *audit_field_key(enum audit_field field);

/* Appends a text that equal accesses, and only they, have in common. */
void audit_access_key(const struct audit_access *access, struct buf *out);
/* The fields of status.denials that an access has; the caller owns the object. */
cJSON *audit_access_json(const struct audit_access *access);
/* Reads them back, borrowing the texts. False when profile, outcome, class or operation is not
 * there; a class that is not known is AUDIT_OTHER. */
bool audit_access_read(const cJSON *json, struct audit_access *ret);
/* Appends words for people: "open of /etc/shadow for r". */
void audit_access_describe(const struct audit_access *access, struct buf *out);
