// SPDX-License-Identifier: Apache-2.0

/*
 * denials_bench PROC RECORDS ROUNDS: how long the agent takes for audit records, one a line, from
 * the text to what it tells: parsing, the container of the process, metric and table. Prints
 * nanoseconds of processor time for each record, and how many distinct accesses there were.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/agent_metrics.h"
#include "agent/denial_watch.h"
#include "lib/audit/record.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"

static void on_changed(_unused_ void *userdata)
{
}

static double processor_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

/* The profiles of the records. */
static struct records *make_records(void)
{
    static const char *const names[] = {"provoke",          "provoke-mount",
                                        "provoke-uring",    "provoke-change",
                                        "provoke-kill",     "provoke-other",
                                        "provoke-complain", "provoke name \"x\" \xc3\xa9",
                                        "unconfined"};
    struct records *records = records_new();

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *object = xasprintf("object-%zu", i);
        struct record *record = records_add(records, object);
        struct marker *marker = xcalloc(1, sizeof(*marker));

        marker->object = xstrdup(object);
        marker->uid = xstrdup("");
        marker->profiles = xcalloc(1, sizeof(*marker->profiles));
        marker->profiles[0].name = xstrdup(names[i]);
        marker->profiles[0].sha1[0] = 'a';
        marker->count = 1;
        record_set_marker(record, marker);
        record->state.revision[0] = 'r';
    }
    return records;
}

static size_t feed(struct denial_watch *watch, const struct buf *text)
{
    const char *line = text->data, *end;
    size_t count = 0;

    for (; (end = memchr(line, '\n', (size_t) (text->data + text->len - line))); line = end + 1) {
        denial_watch_record(watch, AUDIT_TYPE_AVC, line, (size_t) (end - line));
        count++;
    }
    return count;
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    struct buf text = BUF_INIT(64 << 20);
    struct denial_watch_options options = {.loop = &loop,
                                           .node_name = "bench",
                                           .changed = on_changed};
    struct error err = {0};
    size_t count = 0;

    if (argc != 4)
        return 2;
    alloc_init();
    log_set_level(LOG_ERROR);
    uv_loop_init(&loop);
    options.proc = argv[1];
    options.metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    options.records = make_records();
    if (fs_read(AT_FDCWD, argv[2], &text, &err) < 0) {
        fprintf(stderr, "%s\n", error_message(&err));
        return 1;
    }
    struct denial_watch *watch = denial_watch_new(&options);
    double start = processor_seconds();
    for (long i = 0; i < strtol(argv[3], NULL, 10); i++)
        count += feed(watch, &text);
    double spent = processor_seconds() - start;
    printf("%.0f %zu\n", spent * 1e9 / (double) count, denial_watch_size(watch));
    return 0;
}
