// SPDX-License-Identifier: Apache-2.0
#include "agent/audit_source.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent_metrics.h"
#include "lib/base/alloc.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"

/* The kernel's socket is tested in guests; here it is a log, of which a FIFO is one that can be
 * written line by line. */

TestSuite(audit_source, .init = alloc_init, .timeout = 30);

struct reader {
    uv_loop_t loop;
    struct metrics *metrics;
    struct audit_source *source;
    struct strv texts;
    size_t wanted;
    char folder[32], *log;
    int writer;
    bool spin;
};

static void on_record(void *userdata, unsigned type, const char *text, size_t len)
{
    struct reader *reader = userdata;

    cr_expect_eq(type, 0);
    strv_take(&reader->texts, xstrndup(text, len));
    if (reader->texts.len == reader->wanted)
        uv_stop(&reader->loop);
}

static void reader_init(struct reader *reader)
{
    struct error err = {0};
    struct audit_source_options options = {.log_only = true, .record = on_record};

    *reader = (struct reader){.folder = "/tmp/audit-source-XXXXXX"};
    uv_loop_init(&reader->loop);
    reader->metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    cr_assert_not_null(mkdtemp(reader->folder));
    reader->log = xasprintf("%s/kmsg", reader->folder);
    cr_assert_eq(mkfifo(reader->log, 0600), 0);
    options.loop = &reader->loop;
    options.kernel_log = reader->log;
    options.metrics = reader->metrics;
    options.userdata = reader;
    reader->source = audit_source_new(&options, &err);
    cr_assert_eq(audit_source_kind(reader->source), AUDIT_SOURCE_LOG, "%s", error_message(&err));
    reader->writer = open(reader->log, O_WRONLY | O_CLOEXEC);
    cr_assert_geq(reader->writer, 0);
    error_done(&err);
}

static void reader_done(struct reader *reader)
{
    audit_source_free(reader->source);
    close(reader->writer);
    unlink(reader->log);
    rmdir(reader->folder);
    free(reader->log);
    metrics_free(reader->metrics);
    strv_done(&reader->texts);
    loop_drain(&reader->loop);
    uv_loop_close(&reader->loop);
}

/* One line, which is read before the next is written. */
static void write_line(struct reader *reader, const char *line)
{
    cr_assert_eq(write(reader->writer, line, strlen(line)), (ssize_t) strlen(line));
    uv_run(&reader->loop, UV_RUN_ONCE);
}

Test(audit_source, lines_of_the_kernel_itself_are_taken)
{
    struct reader reader;

    reader_init(&reader);
    write_line(&reader, "5,100,5000000,-;audit: type=1400 one\n SUBSYSTEM=x\n");
    /* What a program writes into the log has its facility. */
    write_line(&reader, "13,101,5000000,-;audit: type=1400 forged\n");
    write_line(&reader, "no line of the log\n");
    write_line(&reader, "6,103,5000000,-;two\n");
    cr_assert_eq(reader.texts.len, 2);
    cr_expect_str_eq(reader.texts.items[0], "audit: type=1400 one");
    cr_expect_str_eq(reader.texts.items[1], "two");
    reader_done(&reader);
}

Test(audit_source, lines_that_were_written_over_are_lost)
{
    struct reader reader;

    reader_init(&reader);
    write_line(&reader, "5,100,5000000,-;one\n");
    write_line(&reader, "5,101,5000000,-;two\n");
    cr_expect_eq(metrics_value(reader.metrics, METRIC_AUDIT_LOST, NULL), 0);
    write_line(&reader, "5,152,5000000,-;three\n");
    cr_expect_eq(metrics_value(reader.metrics, METRIC_AUDIT_LOST, NULL), 50);
    reader_done(&reader);
}

Test(audit_source, without_socket_and_log_there_is_none_and_it_says_so)
{
    struct error err = {0};
    uv_loop_t loop;
    const struct audit_source_options options = {.loop = &loop,
                                                 .log_only = true,
                                                 .kernel_log = "/nonexistent/kmsg",
                                                 .record = on_record};

    uv_loop_init(&loop);
    struct audit_source *source = audit_source_new(&options, &err);
    cr_expect_eq(audit_source_kind(source), AUDIT_SOURCE_NONE);
    cr_expect_str_eq(audit_source_kind_name(audit_source_kind(source)), "None");
    audit_source_free(source);
    error_done(&err);
    loop_drain(&loop);
    uv_loop_close(&loop);
}
