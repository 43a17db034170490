// SPDX-License-Identifier: Apache-2.0
#include "agent/audit_source.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "agent/agent_metrics.h"
#include "lib/audit/record.h"
#include "lib/audit/serials.h"
#include "lib/base/alloc.h"
#include "lib/base/loop.h"

/* What the kernel allows of it (net.core.rmem_max) is some hundred records. */
#define SOCKET_BUFFER (8 << 20)
#define MESSAGE_MAX (NLMSG_HDRLEN + AUDIT_RECORD_MAX)
/* Between two looks at the time. */
#define BATCH 8
/* Of a line of the log: priority, facility above it. */
#define LOG_FACILITY_SHIFT 3

struct audit_source {
    struct audit_source_options options;
    enum audit_source_kind kind;
    int fd;
    struct loop_poll *poll;
    struct loop_timer *timer; /* while it pauses */
    struct audit_serials serials;
    uint64_t log_line;  /* number of the next line of the log; 0: not known */
    uint32_t overrun;   /* records counted as lost that the next gap tells of, too */
    uint64_t window_ns; /* when the present interval has begun */
    uint64_t spent_ns;  /* of processor time in it */
    _Alignas(struct nlmsghdr) char message[MESSAGE_MAX];
};

const char *audit_source_kind_name(enum audit_source_kind kind)
{
    static const char *const names[] = {
        [AUDIT_SOURCE_NONE] = "None",
        [AUDIT_SOURCE_NETLINK] = "Netlink",
        [AUDIT_SOURCE_LOG] = "KernelLog",
    };

    return names[kind];
}

enum audit_source_kind audit_source_kind(const struct audit_source *source)
{
    return source->kind;
}

/* --- what was missed --- */

static void count_lost(const struct audit_source *source, uint64_t lost)
{
    if (lost > 0)
        metrics_add(source->options.metrics, METRIC_AUDIT_LOST, (double) lost, NULL);
}

/* At least one record is known to be gone, though not which. */
static void note_overrun(struct audit_source *source)
{
    if (source->overrun == 0)
        count_lost(source, 1);
    source->overrun = 1;
}

static void note_gap(struct audit_source *source, uint64_t lost)
{
    if (lost > 0 && source->overrun > 0) {
        source->overrun = 0;
        lost--;
    }
    count_lost(source, lost);
}

/* "audit(SECONDS.MILLISECONDS:SERIAL)" */
static void note_serial(struct audit_source *source, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len < 40 ? len : 40);
    uint32_t serial = 0;

    if (!colon || len < 6 || memcmp(text, "audit(", 6) != 0)
        return;
    for (colon++; colon < text + len && *colon >= '0' && *colon <= '9'; colon++)
        serial = serial * 10 + (uint32_t) (*colon - '0');
    note_gap(source, audit_serials_add(&source->serials, serial));
}

/* --- one message --- */

static void take_message(struct audit_source *source, size_t len)
{
    const struct nlmsghdr *head = (const struct nlmsghdr *) (const void *) source->message;
    const char *text = source->message + NLMSG_HDRLEN;

    if (len < NLMSG_HDRLEN)
        return;
    len -= NLMSG_HDRLEN;
    note_serial(source, text, len);
    source->options.record(source->options.userdata, head->nlmsg_type, text, len);
}

/* Only the kernel, whose address is 0, sends to the group; to the socket itself anybody may. */
static int read_message(struct audit_source *source)
{
    struct sockaddr_nl from = {0};
    socklen_t from_len = sizeof(from);
    ssize_t len = recvfrom(source->fd, source->message, sizeof(source->message), MSG_DONTWAIT,
                           (struct sockaddr *) &from, &from_len);

    if (len < 0 && errno == ENOBUFS) {
        note_overrun(source);
        return 0;
    }
    if (len < 0)
        return errno == EINTR ? 0 : -errno;
    if (from.nl_pid == 0)
        take_message(source, (size_t) len);
    return 0;
}

/*
 * "PRIORITY,NUMBER,TIME,FLAGS;TEXT" (the kernel's Documentation/ABI/testing/dev-kmsg). Everybody
 * who may write to the log can, but not under the kernel's own facility, which is 0.
 */
static void take_line(struct audit_source *source, const char *line, size_t len)
{
    char *end;
    unsigned long priority = strtoul(line, &end, 10);
    uint64_t number = *end == ',' ? strtoull(end + 1, &end, 10) : 0;
    const char *text = memchr(line, ';', len);
    const char *stop = text ? memchr(text, '\n', len - (size_t) (text - line)) : NULL;

    if (!text || number == 0)
        return;
    if (source->log_line > 0 && number > source->log_line)
        note_gap(source, number - source->log_line);
    source->log_line = number + 1;
    if (priority >> LOG_FACILITY_SHIFT == 0)
        source->options.record(source->options.userdata, 0, text + 1,
                               (size_t) ((stop ? stop : line + len) - text - 1));
}

static int read_line(struct audit_source *source)
{
    ssize_t len = read(source->fd, source->message, sizeof(source->message) - 1);

    /* Written over: the next line's number says how many. */
    if (len < 0)
        return errno == EPIPE || errno == EINTR ? 0 : -errno;
    if (len == 0)
        return -EAGAIN;
    source->message[len] = '\0';
    take_line(source, source->message, (size_t) len);
    return 0;
}

/* --- all that there is, within the budget --- */

static uint64_t processor_ns(void)
{
    struct timespec time;

    (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t) time.tv_sec * 1000000000 + (uint64_t) time.tv_nsec;
}

static uint64_t interval_left_ns(struct audit_source *source)
{
    uint64_t now = uv_hrtime(), end = source->window_ns + AUDIT_SOURCE_INTERVAL_MS * 1000000ULL;

    if (now < end)
        return end - now;
    source->window_ns = now;
    source->spent_ns = 0;
    return AUDIT_SOURCE_INTERVAL_MS * 1000000ULL;
}

static int read_batch(struct audit_source *source)
{
    int r = 0;

    for (int i = 0; i < BATCH && r == 0; i++)
        r = source->kind == AUDIT_SOURCE_NETLINK ? read_message(source) : read_line(source);
    return r;
}

static void pause_until(struct audit_source *source, uint64_t left_ns)
{
    loop_poll_set(source->poll, 0);
    loop_timer_start(source->timer, left_ns / 1000000 + 1);
}

static void on_readable(void *userdata, _unused_ int status, _unused_ int events)
{
    struct audit_source *source = userdata;
    uint64_t left_ns = interval_left_ns(source), start_ns = processor_ns(), now_ns = start_ns;
    uint64_t spent_before = source->spent_ns;
    int r;

    do {
        r = read_batch(source);
        now_ns = processor_ns();
        source->spent_ns = spent_before + now_ns - start_ns;
    } while (r == 0 && source->spent_ns < AUDIT_SOURCE_BUDGET_US * 1000ULL);
    if (r == 0)
        pause_until(source, left_ns);
}

static void on_timer(void *userdata)
{
    const struct audit_source *source = userdata;

    loop_poll_set(source->poll, UV_READABLE);
}

/* --- opening --- */

static int open_netlink(struct error *err)
{
    static const struct sockaddr_nl group = {.nl_family = AF_NETLINK,
                                             .nl_groups = 1U << (AUDIT_NLGRP_READLOG - 1)};
    static const int size = SOCKET_BUFFER;
    _cleanup_close_ int fd =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);

    if (fd < 0 && errno == EPROTONOSUPPORT)
        return error_set_reason(err, -errno, REASON_AUDIT_DISABLED,
                                "the kernel has no audit: it was booted with audit=0, or built "
                                "without. Policy is enforced, and denials are told nowhere; boot "
                                "it without audit=0");
    if (fd < 0)
        return error_set_reason(err, -errno, REASON_AUDIT_UNAVAILABLE, "no audit socket: %s",
                                strerror(errno));
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (bind(fd, (const struct sockaddr *) &group, sizeof(group)) < 0)
        return error_set_reason(err, -errno,
                                errno == EPERM ? REASON_AUDIT_NOT_PERMITTED
                                               : REASON_AUDIT_UNAVAILABLE,
                                "audit records cannot be read: %s. The agent needs the capability "
                                "AUDIT_READ",
                                strerror(errno));
    return TAKE_FD(fd);
}

/* From now on: what was before, an agent before this one may have told. */
static int open_log(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || (lseek(fd, 0, SEEK_END) < 0 && errno != ESPIPE))
        return -errno;
    return TAKE_FD(fd);
}

static void open_any(struct audit_source *source, struct error *ret_err)
{
    const char *path = source->options.kernel_log ? source->options.kernel_log : "/dev/kmsg";

    source->fd = source->options.log_only ? -1 : open_netlink(ret_err);
    if (source->fd >= 0) {
        source->kind = AUDIT_SOURCE_NETLINK;
        return;
    }
    /* Without audit there is nothing in the log, either. */
    if (strcmp(error_reason(ret_err, ""), REASON_AUDIT_DISABLED) == 0)
        return;
    source->fd = open_log(path);
    if (source->fd >= 0)
        source->kind = AUDIT_SOURCE_LOG;
}

struct audit_source *audit_source_new(const struct audit_source_options *options,
                                      struct error *ret_err)
{
    struct audit_source *source = xcalloc(1, sizeof(*source));

    source->options = *options;
    source->timer = loop_timer_new(options->loop, on_timer, source);
    open_any(source, ret_err);
    if (source->fd < 0)
        return source;
    source->poll = loop_poll_new(options->loop, source->fd, UV_READABLE, on_readable, source);
    if (!source->poll) {
        (void) error_set_reason(ret_err, -errno, REASON_AUDIT_UNAVAILABLE,
                                "audit records cannot be waited for: %s", strerror(errno));
        source->kind = AUDIT_SOURCE_NONE;
    }
    return source;
}

void audit_source_free(struct audit_source *source)
{
    if (!source)
        return;
    loop_poll_free(source->poll);
    loop_timer_free(source->timer);
    closep(&source->fd);
    free(source);
}
