// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "lib/base/cleanup.h"

/*
 * What went wrong, for the one place that reports it. A zeroed struct is "no
 * error". Functions that fill one accept NULL for it. Owned strings: release
 * with error_done().
 */
struct error {
    int code;        /* negative errno; 0: no error */
    int http_status; /* of the API server's answer; 0: the failure is not an HTTP
                        answer */
    char *reason;    /* CamelCase word for status conditions and metav1.Status, or
                        NULL */
    char *message;   /* sentence for people, or NULL */
};

void error_done(struct error *err);
#define _cleanup_error_ _cleanup_(error_done)

/* Replaces what `err` held. `code` is a negative errno and is returned. */
_printf_(3, 4) int error_set(struct error *err, int code, const char *format, ...);
/* As error_set(), and ": " plus the text of errno `-code` follow the message.
 */
_printf_(3, 4) int error_set_errno(struct error *err, int code, const char *format, ...);
/* As error_set() with the CamelCase reason that a status condition shows. */
_printf_(4, 5) int error_set_reason(struct error *err, int code, const char *reason,
                                    const char *format, ...);
/* Puts "context: " before the message. Returns err->code. */
_printf_(2, 3) int error_wrap(struct error *err, const char *format, ...);
/* Moves `from` to `to` (which may be NULL) and leaves `from` empty; returns the
 * code. */
int error_move(struct error *to, struct error *from);
int error_copy(struct error *to, const struct error *from);
/* Never NULL. */
const char *error_message(const struct error *err);
/* `fallback` when the error carries no reason. */
const char *error_reason(const struct error *err, const char *fallback);
