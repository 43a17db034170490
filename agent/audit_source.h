// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/metrics.h"

/*
 * The kernel's audit records: from its netlink socket (audit(7), group AUDIT_NLGRP_READLOG), or,
 * where that is not to be had, from its log. Reading them and what is done with them takes at most
 * a fixed share of a processor: in a flood the kernel drops what is not read, which is counted as
 * far as its serial numbers tell.
 */
struct audit_source;

enum audit_source_kind { AUDIT_SOURCE_NONE, AUDIT_SOURCE_NETLINK, AUDIT_SOURCE_LOG };

/* `type` as in linux/audit.h; 0 when the text itself says it, as the kernel's log does. */
typedef void (*audit_source_fn)(void *userdata, unsigned type, const char *text, size_t len);

struct audit_source_options {
    uv_loop_t *loop;
    const char *kernel_log; /* NULL: /dev/kmsg */
    bool log_only;          /* not the netlink socket: for tests */
    struct metrics *metrics;
    audit_source_fn record;
    void *userdata;
};

/*
 * Always gives a source; one that reads nothing when neither is to be had: then `*ret_err` says
 * why, as it does of the netlink socket when the source reads the log. Records come from the loop.
 */
struct audit_source *audit_source_new(const struct audit_source_options *options,
                                      struct error *ret_err);
void audit_source_free(struct audit_source *source);
DEFINE_CLEANUP(struct audit_source *, audit_source_free)

enum audit_source_kind audit_source_kind(const struct audit_source *source);
/* "Netlink", "KernelLog", "None" */
const char *audit_source_kind_name(enum audit_source_kind kind);

/* The share: so much of each interval. */
#define AUDIT_SOURCE_INTERVAL_MS 100
#define AUDIT_SOURCE_BUDGET_US 5000

/* Reasons of `*ret_err`. */
#define REASON_AUDIT_DISABLED "AuditDisabled"          /* the kernel has no audit */
#define REASON_AUDIT_NOT_PERMITTED "AuditNotPermitted" /* no capability */
#define REASON_AUDIT_SILENT "AuditSilent"              /* the records go elsewhere */
#define REASON_AUDIT_UNAVAILABLE "AuditUnavailable"    /* anything else */
