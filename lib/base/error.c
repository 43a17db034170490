// SPDX-License-Identifier: Apache-2.0
#include "lib/base/error.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

void error_done(struct error *err)
{
    if (!err)
        return;
    free(err->reason);
    free(err->message);
    *err = (struct error){0};
}

/* Takes `message`; the old content goes last, as the new may have been made from it. */
static int error_replace(struct error *err, int code, const char *reason, char *message)
{
    struct error new = {.code = code, .reason = xstrdup(reason), .message = message};

    error_done(err);
    *err = new;
    return code;
}

int error_set(struct error *err, int code, const char *format, ...)
{
    va_list args;

    if (!err)
        return code;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return error_replace(err, code, NULL, message);
}

int error_set_errno(struct error *err, int code, const char *format, ...)
{
    va_list args;

    if (!err)
        return code;
    va_start(args, format);
    _cleanup_free_ char *what = xvasprintf(format, args);
    va_end(args);
    return error_replace(err, code, NULL, xasprintf("%s: %s", what, strerror(-code)));
}

int error_set_reason(struct error *err, int code, const char *reason, const char *format, ...)
{
    va_list args;

    if (!err)
        return code;
    va_start(args, format);
    char *message = xvasprintf(format, args);
    va_end(args);
    return error_replace(err, code, reason, message);
}

int error_wrap(struct error *err, const char *format, ...)
{
    va_list args;

    if (!err)
        return 0;
    va_start(args, format);
    _cleanup_free_ char *context = xvasprintf(format, args);
    va_end(args);
    char *message = xasprintf("%s: %s", context, error_message(err));
    free(err->message);
    err->message = message;
    return err->code;
}

int error_move(struct error *to, struct error *from)
{
    int code = from->code;

    if (!to) {
        error_done(from);
    } else if (to != from) {
        error_done(to);
        *to = *from;
        *from = (struct error){0};
    }
    return code;
}

int error_copy(struct error *to, const struct error *from)
{
    if (to && to != from) {
        struct error copy = {
            .code = from->code,
            .http_status = from->http_status,
            .reason = xstrdup(from->reason),
            .message = xstrdup(from->message),
        };
        error_done(to);
        *to = copy;
    }
    return from->code;
}

const char *error_message(const struct error *err)
{
    if (!err)
        return "unknown error";
    if (err->message)
        return err->message;
    return err->code ? strerror(-err->code) : "no error";
}

const char *error_reason(const struct error *err, const char *fallback)
{
    return err && err->reason ? err->reason : fallback;
}
