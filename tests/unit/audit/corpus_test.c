// SPDX-License-Identifier: Apache-2.0

/* Records that real kernels made (tests/audit/collect), as ours and as libapparmor read them. */
#include <aalogparse/aalogparse.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>

#include "lib/audit/record.h"
#include "lib/audit/rule.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"

#define FOLDER "tests/audit/records/"

static const char *const files[] = {FOLDER "5.10.txt", FOLDER "6.1.txt", FOLDER "6.12.txt",
                                    FOLDER "7.2.txt"};

typedef void (*line_fn)(const char *line, void *userdata);

/* Each record of AppArmor's of a type, without the number of that. */
static void each_record(const char *file, const char *type, line_fn fn, void *userdata)
{
    _cleanup_buf_ struct buf text = BUF_INIT(1 << 20);
    char *line, *rest;

    cr_assert_eq(fs_read(AT_FDCWD, file, &text, NULL), 0, "%s", file);
    rest = text.data;
    while ((line = strsep(&rest, "\n"))) {
        /* A record with a line break goes on in a line that begins with a blank. */
        while (rest && *rest == ' ') {
            rest[-1] = '\n';
            rest += strcspn(rest, "\n");
            if (*rest)
                *rest++ = '\0';
            else
                rest = NULL;
        }
        if (strncmp(line, type, strlen(type)) == 0 && strstr(line, "apparmor="))
            fn(line + strlen(type), userdata);
    }
}

struct seen {
    size_t count, classes[AUDIT_CLASSES], outcomes[AUDIT_OUTCOMES];
    size_t compared;
};

static void count_record(const char *line, void *userdata)
{
    _cleanup_audit_record_ struct audit_record record = {0};
    struct seen *seen = userdata;

    cr_assert_eq(audit_record_parse(line, strlen(line), &record), AUDIT_DENIAL, "%s", line);
    cr_expect_neq(record.access.class, AUDIT_OTHER, "%s", line);
    cr_expect_gt(record.pid, 0, "%s", line);
    cr_expect_eq(record.sender, 0, "%s", line);
    cr_expect_str_not_empty(record.comm);
    seen->count++;
    seen->classes[record.access.class]++;
    seen->outcomes[record.access.outcome]++;
}

Test(corpus, every_record_of_every_kernel_is_understood)
{
    static const enum audit_class expected[] = {
        AUDIT_FILE,     AUDIT_EXEC,           AUDIT_CAPABILITY, AUDIT_NETWORK, AUDIT_UNIX,
        AUDIT_SIGNAL,   AUDIT_PTRACE,         AUDIT_MOUNT,      AUDIT_USERNS,  AUDIT_RLIMIT,
        AUDIT_IO_URING, AUDIT_CHANGE_PROFILE, AUDIT_CHANGE_HAT};
    struct seen all = {0};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct seen seen = {0};

        each_record(files[i], "1400 ", count_record, &seen);
        cr_expect_gt(seen.count, 80, "%s has %zu", files[i], seen.count);
        for (size_t j = 0; j < AUDIT_OUTCOMES; j++)
            cr_expect_gt(seen.outcomes[j], 0, "%s: none is %s", files[i],
                         audit_outcome_name((enum audit_outcome) j));
        for (size_t j = 0; j < AUDIT_CLASSES; j++)
            all.classes[j] += seen.classes[j];
    }
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
        cr_expect_gt(all.classes[expected[i]], 0, "none is of %s", audit_class_name(expected[i]));
}

/* --- what dbus-daemon refuses, and writes to the audit socket itself --- */

struct bus_seen {
    pid_t daemon; /* that has sent them all */
    size_t count, calls, signals, names, allowed;
};

static const char *const bus_rules[] = {
    "dbus (send) bus=system path=/org/freedesktop/DBus interface=org.freedesktop.DBus "
    "member=Hello peer=(label=unconfined),",
    "dbus (bind) bus=system name=org.provoke,",
    "dbus (send) bus=system path=/org/freedesktop/DBus interface=org.provoke member=Do "
    "peer=(label=unconfined),",
    "dbus (send) bus=system path=/org/provoke interface=org.provoke member=Done "
    "peer=(label=unconfined),",
    "dbus (bind) bus=system name=org.provoke,",
};

static void expect_rule(const struct audit_access *access, const char *expected)
{
    static const struct audit_rule_options options = {0};
    _cleanup_error_ struct error err = {0};
    struct audit_rule rule;

    cr_assert_eq(audit_rule_of(access, &options, &rule, &err), 0, "%s", error_message(&err));
    _cleanup_free_ char *found = audit_rule_print(&rule);
    cr_expect_str_eq(found, expected);
    audit_rule_done(&rule);
}

static void look_at_bus(const char *line, void *userdata)
{
    _cleanup_audit_record_ struct audit_record record = {0};
    const char *const *fields = record.access.fields;
    struct bus_seen *seen = userdata;

    cr_assert_eq(audit_record_parse(line, strlen(line), &record), AUDIT_DENIAL, "%s", line);
    cr_expect_eq(record.access.class, AUDIT_DBUS, "%s", line);
    cr_expect_gt(record.sender, 0, "%s", line);
    cr_expect(seen->daemon == 0 || seen->daemon == record.sender, "%s", line);
    cr_expect(record.pid > 0 && record.pid != record.sender, "%s", line);
    cr_expect_str_eq(fields[AUDIT_FIELD_BUS], "system", "%s", line);
    cr_expect(strncmp(fields[AUDIT_FIELD_PROFILE], "provoke-", 8) == 0, "%s", line);
    cr_expect_str_eq(fields[AUDIT_FIELD_DENIED], fields[AUDIT_FIELD_REQUESTED], "%s", line);
    cr_assert_lt(seen->count, ARRAY_SIZE(bus_rules));
    expect_rule(&record.access, bus_rules[seen->count++]);
    seen->daemon = record.sender;
    seen->allowed += record.access.outcome == AUDIT_ALLOWED;
    seen->calls += strcmp(fields[AUDIT_FIELD_OPERATION], "dbus_method_call") == 0;
    seen->signals += strcmp(fields[AUDIT_FIELD_OPERATION], "dbus_signal") == 0;
    seen->names += strcmp(fields[AUDIT_FIELD_OPERATION], "dbus_bind") == 0;
}

/* Of Debian's kernels, 7.2 is the first that has rules for dbus. */
Test(corpus, refusals_of_a_message_bus_are_of_the_client_not_of_the_daemon)
{
    struct bus_seen seen = {0};

    each_record(FOLDER "7.2.txt", "1107 ", look_at_bus, &seen);
    cr_expect_eq(seen.count, ARRAY_SIZE(bus_rules));
    cr_expect_eq(seen.calls, 2);
    cr_expect_eq(seen.signals, 1);
    cr_expect_eq(seen.names, 2);
    cr_expect_eq(seen.allowed, 1);
}

/* --- beside libapparmor --- */

/* Theirs leaves bytes as they are, and process ids. */
static bool same(const char *ours, const char *theirs)
{
    if (!ours || !theirs)
        return !ours && !theirs;
    return strcmp(ours, theirs) == 0 || strstr(ours, "\\x") || strstr(ours, "@{pid}");
}

static void compare(const char *line, void *userdata)
{
    _cleanup_free_ char *text = xasprintf("type=AVC msg=%s", line);
    _cleanup_audit_record_ struct audit_record record = {0};
    aa_log_record *theirs = parse_record(text);
    const char *const *fields = record.access.fields;
    struct seen *seen = userdata;

    cr_assert_eq(audit_record_parse(line, strlen(line), &record), AUDIT_DENIAL, "%s", line);
    if (theirs->event != AA_RECORD_INVALID) {
        seen->compared++;
        cr_expect_eq(theirs->event,
                     record.access.outcome == AUDIT_ALLOWED ? AA_RECORD_ALLOWED : AA_RECORD_DENIED);
        cr_expect_eq(theirs->pid, (unsigned long) record.pid, "%s", line);
        cr_expect_eq(theirs->epoch, record.time_ms / 1000, "%s", line);
        cr_expect_eq(theirs->audit_sub_id, record.serial, "%s", line);
        cr_expect(same(record.comm, theirs->comm), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_PROFILE], theirs->profile), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_OPERATION], theirs->operation), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_NAME], theirs->name), "%s: %s", line, theirs->name);
        cr_expect(same(fields[AUDIT_FIELD_TARGET], theirs->name2), "%s: %s", line, theirs->name2);
        cr_expect(same(fields[AUDIT_FIELD_REQUESTED], theirs->requested_mask), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_DENIED], theirs->denied_mask), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_INFO], theirs->info), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_FAMILY], theirs->net_family), "%s", line);
        cr_expect(same(fields[AUDIT_FIELD_SOCKET_TYPE], theirs->net_sock_type), "%s", line);
        if (record.access.class != AUDIT_UNIX)
            cr_expect(same(fields[AUDIT_FIELD_PEER], theirs->peer), "%s", line);
    }
    free_record(theirs);
}

/* The release of this machine's may read none of a kernel that is newer than it. */
Test(corpus, where_libapparmor_understands_a_record_it_says_the_same)
{
    struct seen seen = {0};

    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        each_record(files[i], "1400 ", compare, &seen);
    cr_log_info("%zu records compared", seen.compared);
    cr_expect_gt(seen.compared, 70, "only %zu were", seen.compared);
}
