// SPDX-License-Identifier: Apache-2.0
#include "agent/denial_log.h"

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static bool take_token(struct denial_log *log)
{
    const uint64_t full = (uint64_t) DENIAL_LOG_BURST * DENIAL_LOG_LINE_MS;
    uint64_t now_ms = clock_monotonic_ms();

    log->tokens_ms = log->filled_ms ? log->tokens_ms + now_ms - log->filled_ms : full;
    log->filled_ms = now_ms ? now_ms : 1;
    if (log->tokens_ms > full)
        log->tokens_ms = full;
    if (log->tokens_ms < DENIAL_LOG_LINE_MS)
        return false;
    log->tokens_ms -= DENIAL_LOG_LINE_MS;
    return true;
}

static void say_left_out(struct denial_log *log, const char *node)
{
    if (log->left_out == 0)
        return;
    _cleanup_free_ char *count = xasprintf("%llu", (unsigned long long) log->left_out);

    log_warn("too many distinct denials to log each", "node", node, "left_out", count);
    log->left_out = 0;
}

void denial_log_write(struct denial_log *log, const char *node, const struct denial *denial,
                      const struct audit_record *record, const struct pod_names *who)
{
    const struct audit_access *access = &record->access;
    const char *const *fields = access->fields;
    _cleanup_free_ char *pid = record->pid ? xasprintf("%d", (int) record->pid) : NULL;
    bool allowed = access->outcome == AUDIT_ALLOWED;

    if (!take_token(log)) {
        log->left_out++;
        return;
    }
    say_left_out(log, node);
    log_event(allowed ? LOG_INFO : LOG_WARN,
              allowed ? "access allowed in Complain" : "access denied", "node", node, "profile",
              fields[AUDIT_FIELD_PROFILE], "object", denial->object, "outcome",
              audit_outcome_name(access->outcome), "class", audit_class_name(access->class),
              "operation", fields[AUDIT_FIELD_OPERATION], "name", fields[AUDIT_FIELD_NAME],
              "requested", fields[AUDIT_FIELD_REQUESTED], "denied", fields[AUDIT_FIELD_DENIED],
              "target", fields[AUDIT_FIELD_TARGET], "peer", fields[AUDIT_FIELD_PEER], "family",
              fields[AUDIT_FIELD_FAMILY], "socketType", fields[AUDIT_FIELD_SOCKET_TYPE], "signal",
              fields[AUDIT_FIELD_SIGNAL], "source", fields[AUDIT_FIELD_SOURCE], "info",
              fields[AUDIT_FIELD_INFO], "namespace", who ? who->ns : NULL, "pod",
              who ? who->pod : NULL, "container", who ? who->container : NULL, "comm",
              *record->comm ? record->comm : NULL, "pid", pid, NULL);
}
