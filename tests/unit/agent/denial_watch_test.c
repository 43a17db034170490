// SPDX-License-Identifier: Apache-2.0
#include "agent/denial_watch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/agent_metrics.h"
#include "lib/audit/record.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

#define INSIDE                                                        \
    "0::/kubepods/burstable/pod1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b/" \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"

static char proc[] = "/tmp/denial-watch-proc-XXXXXX";
static uv_loop_t loop;
static struct metrics *metrics;
static struct records *records;
static struct denial_watch *watch;
static int changes;

static int remove_entry(const char *path, const struct stat *st _unused_, int flag _unused_,
                        struct FTW *ftw _unused_)
{
    return remove(path);
}

static void put(int pid, const char *file, const char *content)
{
    _cleanup_free_ char *path = xasprintf("%s/%d/%s", proc, pid, file);
    _cleanup_free_ char *folder = xstrndup(path, (size_t) (strrchr(path, '/') - path));

    cr_assert_eq(fs_mkdirs(folder, 0755, NULL), 0);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, path, content, strlen(content), 0644, NULL), 0);
}

/* One that runs since the machine does. */
static void put_process(int pid, const char *cgroup)
{
    put(pid, "cgroup", cgroup);
    put(pid, "stat", "1 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 4096 1");
}

static void put_object(const char *object, const char *profile)
{
    struct record *record = records_add(records, object);
    struct marker *marker = xcalloc(1, sizeof(*marker));

    marker->object = xstrdup(object);
    marker->uid = xstrdup("");
    marker->profiles = xcalloc(1, sizeof(*marker->profiles));
    marker->profiles[0].name = xstrdup(profile);
    memset(marker->profiles[0].sha1, 'a', 40);
    marker->count = 1;
    record_set_marker(record, marker);
    snprintf(record->state.revision, sizeof(record->state.revision), "r1");
}

static void on_changed(_unused_ void *userdata)
{
    changes++;
    uv_stop(&loop);
}

static void begin(void)
{
    struct denial_watch_options options = {.loop = &loop,
                                           .proc = proc,
                                           .node_name = "n1",
                                           .changed = on_changed};

    alloc_init();
    log_set_level(LOG_ERROR);
    cr_assert_not_null(mkdtemp(proc));
    /* It is read as nobody. */
    cr_assert_eq(chmod(proc, 0755), 0);
    put(2, "comm", "kthreadd\n");
    put_process(10, INSIDE);
    put_process(11, "0::/system.slice/dbus.service\n");
    uv_loop_init(&loop);
    metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    records = records_new();
    put_object("web-object", "web");
    options.metrics = metrics;
    options.records = records;
    watch = denial_watch_new(&options);
}

static void end(void)
{
    denial_watch_free(watch);
    records_free(records);
    metrics_free(metrics);
    loop_drain(&loop);
    uv_loop_close(&loop);
    nftw(proc, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(denial_watch, .init = begin, .fini = end, .timeout = 30);

static void tell(unsigned type, const char *rest)
{
    int64_t now = clock_realtime_ms();
    _cleanup_free_ char *text = xasprintf("audit(%lld.%03lld:77): %s", (long long) now / 1000,
                                          (long long) now % 1000, rest);

    denial_watch_record(watch, type, text, strlen(text));
}

#define OPEN(profile, pid)                                                                \
    "apparmor=\"DENIED\" operation=\"open\" profile=\"" profile "\" name=\"/x\" pid=" pid \
    " comm=\"cat\" requested_mask=\"r\" denied_mask=\"r\" fsuid=0 ouid=0"

static double violations(const char *profile, const char *outcome, const char *who)
{
    const char *values[] = {profile, "open", outcome, who, who, who};

    return metrics_value(metrics, METRIC_VIOLATIONS, values);
}

static char *status(void)
{
    return json_print(json_get(denial_watch_status(watch), "violations"));
}

Test(denial_watch, processes_of_the_node_have_no_pod_and_gone_ones_are_unknown)
{
    tell(AUDIT_TYPE_AVC, OPEN("web", "11"));
    cr_expect_eq(violations("web", "denied", ""), 1);
    tell(AUDIT_TYPE_AVC, OPEN("web", "12"));
    cr_expect_eq(violations("web", "denied", "unknown"), 1);
    cr_expect_eq(metrics_value(metrics, METRIC_AUDIT_RECORDS, NULL), 2);
}

Test(denial_watch, the_status_is_made_soon_and_not_with_each_record)
{
    tell(AUDIT_TYPE_AVC, OPEN("web", "11"));
    tell(AUDIT_TYPE_AVC, OPEN("web//kid", "11"));
    cr_expect_eq(changes, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_expect_eq(changes, 1);
    _cleanup_free_ char *found = status();
    cr_expect_not_null(strstr(found, "\"object\":\"web-object\",\"revision\":\"r1\",\"denied\":2"));
}

Test(denial_watch, null_profiles_are_counted_with_their_parent)
{
    tell(AUDIT_TYPE_AVC, "apparmor=\"ALLOWED\" operation=\"open\" "
                         "profile=\"web//null-/bin/sh//null-/bin/ls\" name=\"/x\" pid=11");
    cr_expect_eq(violations("web", "allowed", ""), 1);
}

Test(denial_watch, records_about_something_else_are_counted_alone)
{
    tell(AUDIT_TYPE_AVC, "apparmor=\"STATUS\" operation=\"profile_load\" profile=\"unconfined\" "
                         "name=\"web\" pid=11 comm=\"apparmor_parser\"");
    cr_expect_eq(metrics_value(metrics, METRIC_AUDIT_RECORDS, NULL), 1);
    tell(AUDIT_TYPE_AVC, "avc:  denied  { read } for  pid=1 comm=\"x\"");
    tell(1300, OPEN("web", "11"));
    cr_expect_eq(metrics_value(metrics, METRIC_AUDIT_RECORDS, NULL), 1);
    tell(AUDIT_TYPE_AVC, "apparmor=\"DENIED\" operation=\"open\" name=\"/cut");
    cr_expect_eq(metrics_value(metrics, METRIC_AUDIT_UNPARSED, NULL), 1);
}

#define SENT(sender) "user pid=" sender " uid=0 auid=4294967295 ses=1 msg='" OPEN("web", "11") "'"

/* CAP_AUDIT_WRITE is one of those that containers have by default. */
Test(denial_watch, containers_cannot_forge_denials)
{
    tell(AUDIT_TYPE_USER_AVC, SENT("10"));
    tell(AUDIT_TYPE_USER_AVC, SENT("12"));
    tell(AUDIT_TYPE_USER_AVC, OPEN("web", "11"));
    cr_expect_eq(violations("web", "denied", ""), 0);
    cr_expect_eq(metrics_value(metrics, METRIC_AUDIT_UNPARSED, NULL), 3);
    tell(AUDIT_TYPE_USER_AVC, SENT("11"));
    cr_expect_eq(violations("web", "denied", ""), 1);
}

Test(denial_watch, what_a_text_was_denied_is_forgotten_with_it)
{
    tell(AUDIT_TYPE_AVC, OPEN("web", "11"));
    uv_run(&loop, UV_RUN_DEFAULT);
    snprintf(records_get(records, "web-object")->state.revision, POLICY_REVISION_SIZE, "r2");
    cr_expect_null(json_get(denial_watch_status(watch), "violations"));
    cr_expect_not_null(json_string(denial_watch_status(watch), "audit", "source"));
}
