// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "lib/audit/access.h"
#include "lib/base/cleanup.h"

/*
 * AppArmor's audit records, of kernels 5.4 to 7.x and of dbus-daemon: as the netlink socket gives
 * them ("audit(TIME:SERIAL): apparmor=…"), as the kernel's log does ("audit: type=1400
 * audit(…): …"), and as auditd and syslog write them down ("type=AVC msg=audit(…): …"). What is in
 * them comes from whoever was denied something. Pure.
 */

enum audit_verdict {
    AUDIT_FOREIGN,   /* not AppArmor's */
    AUDIT_NO_DENIAL, /* AppArmor's, and about something else: policy was loaded, … */
    AUDIT_DENIAL,
    AUDIT_MALFORMED, /* AppArmor's, cut off or in no known form */
};

/* Of linux/audit.h: kernel records, and those that programs which enforce policy themselves send.
 */
#define AUDIT_TYPE_AVC 1400
#define AUDIT_TYPE_USER_AVC 1107

/* A longer record is AUDIT_MALFORMED; the kernel makes none beyond 9 KiB. */
#define AUDIT_RECORD_MAX 16384
/* The kernel's TASK_COMM_LEN, and what escapes make of it. */
#define AUDIT_COMM_SIZE 64

/* A zeroed struct is an empty one; the texts live until it is used for another record. */
struct audit_record {
    struct audit_access access;
    int64_t time_ms; /* since the epoch */
    uint32_t serial;
    /* Process that tried, in the first process namespace; 0: not said. */
    pid_t pid;
    /* Of a record that a program sent: itself, by the kernel's word. Everybody with CAP_AUDIT_WRITE
     * can send such records, with any content. 0: the kernel's own record. */
    pid_t sender;
    char comm[AUDIT_COMM_SIZE]; /* "": not said */
    char *memory;
    size_t capacity;
};

void audit_record_done(struct audit_record *record);
#define _cleanup_audit_record_ _cleanup_(audit_record_done)

/* `ret` is as before unless there is a denial. */
enum audit_verdict audit_record_parse(const char *text, size_t len, struct audit_record *record);
