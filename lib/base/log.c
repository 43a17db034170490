// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fs.h"
#include "lib/base/utf8.h"

#define VALUE_MAX 4096
#define LINE_MAX_BYTES (1024 * 1024)
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

static const char *const format_names[] = {
    [LOG_FORMAT_AUTO] = "auto",
    [LOG_FORMAT_JSON] = "json",
    [LOG_FORMAT_TEXT] = "text",
};

static enum log_level threshold = LOG_INFO;
static enum log_format output_format = LOG_FORMAT_AUTO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_format(enum log_format format)
{
    output_format = format;
}

bool log_enabled(enum log_level level)
{
    return level >= threshold;
}

int log_level_parse(const char *text, enum log_level *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++)
        if (strcmp(text, level_names[i]) == 0) {
            *ret = (enum log_level) i;
            return 0;
        }
    return -EINVAL;
}

int log_configure(const char *level_text, const char *format_text, struct error *err)
{
    enum log_level level;
    size_t format = 0;

    if (log_level_parse(level_text, &level) < 0)
        return error_set(err, -EINVAL, "--log-level takes debug, info, warn or error, not \"%s\"",
                         level_text);
    while (format < ARRAY_SIZE(format_names) && strcmp(format_names[format], format_text) != 0)
        format++;
    if (format == ARRAY_SIZE(format_names))
        return error_set(err, -EINVAL, "--log-format takes auto, json or text, not \"%s\"",
                         format_text);
    log_set_level(level);
    log_set_format((enum log_format) format);
    return 0;
}

static void add_escaped_char(struct buf *line, unsigned char c)
{
    switch (c) {
    case '"':
        buf_add_string(line, "\\\"");
        break;
    case '\\':
        buf_add_string(line, "\\\\");
        break;
    case '\n':
        buf_add_string(line, "\\n");
        break;
    case '\t':
        buf_add_string(line, "\\t");
        break;
    default:
        if (c < 0x20 || c == 0x7f)
            buf_addf(line, "\\u%04x", c);
        else
            buf_add_char(line, (char) c);
    }
}

/* A JSON string, whatever the bytes; also what keeps control characters from a terminal. */
static void add_quoted(struct buf *line, const char *text)
{
    size_t len = strnlen(text, VALUE_MAX + 1);
    bool cut = len > VALUE_MAX;

    if (cut)
        len = utf8_cut(text, len, VALUE_MAX);
    buf_add_char(line, '"');
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(text + i, len - i);
        /* C1 controls (U+0080–U+009F) drive terminals as ESC sequences do. */
        if (step == 2 && text[i] == '\xc2' && (unsigned char) text[i + 1] < 0xa0)
            buf_addf(line, "\\u%04x", (unsigned char) text[i + 1]);
        else if (step == 1)
            add_escaped_char(line, (unsigned char) text[i]);
        else if (step > 1)
            buf_add(line, text + i, step);
        else
            buf_add_string(line, REPLACEMENT);
        i += step ? step : 1;
    }
    buf_add_string(line, cut ? "…\"" : "\"");
}

static bool plain_word(const char *text)
{
    size_t len = strnlen(text, VALUE_MAX + 1);

    if (len == 0 || len > VALUE_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\=", text[i]))
            return false;
    return true;
}

static void add_json(struct buf *line, const char *time, enum log_level level, const char *message,
                     va_list pairs)
{
    buf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":", time, level_names[level]);
    add_quoted(line, message);
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        if (!value)
            continue;
        buf_add_char(line, ',');
        add_quoted(line, key);
        buf_add_char(line, ':');
        add_quoted(line, value);
    }
    buf_add_string(line, "}\n");
}

static void add_text(struct buf *line, const char *time, enum log_level level, const char *message,
                     va_list pairs)
{
    _cleanup_buf_ struct buf quoted = BUF_INIT(LINE_MAX_BYTES);

    add_quoted(&quoted, message);
    buf_addf(line, "%s %-5s %.*s", time, level_names[level], (int) quoted.len - 2,
             buf_string(&quoted) + 1);
    for (const char *key; (key = va_arg(pairs, const char *));) {
        const char *value = va_arg(pairs, const char *);
        if (!value)
            continue;
        buf_addf(line, " %s=", key);
        if (plain_word(value))
            buf_add_string(line, value);
        else
            add_quoted(line, value);
    }
    buf_add_char(line, '\n');
}

void log_event(enum log_level level, const char *message, ...)
{
    int saved = errno;
    char time[CLOCK_TIME_SIZE];
    va_list pairs;

    if (!log_enabled(level))
        return;

    bool text = output_format == LOG_FORMAT_TEXT ||
                (output_format == LOG_FORMAT_AUTO && isatty(STDERR_FILENO));
    _cleanup_buf_ struct buf line = BUF_INIT(LINE_MAX_BYTES);
    clock_format(clock_realtime_ms(), time);
    va_start(pairs, message);
    (text ? add_text : add_json)(&line, time, level, message, pairs);
    va_end(pairs);
    /* One write: lines of several processes on one stream do not mix. */
    int r _unused_ = fs_write_all(STDERR_FILENO, buf_string(&line), line.len);
    errno = saved;
}
