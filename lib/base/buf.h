// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

/*
 * Growing byte buffer with a ceiling. Always NUL-terminated past `len` once
 * anything was added. An addition that would pass `max` adds nothing, sets
 * `overflow` and returns -EFBIG; later additions fail likewise, so that a
 * caller may check once at the end.
 */
struct buf {
    char *data;
    size_t len;
    size_t capacity;
    size_t max;
    bool overflow;
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);
#define _cleanup_buf_ _cleanup_(buf_done)

int buf_add(struct buf *buf, const void *data, size_t len);
int buf_add_string(struct buf *buf, const char *text);
int buf_add_char(struct buf *buf, char c);
_printf_(2, 3) int buf_addf(struct buf *buf, const char *format, ...);
_printf_(2, 0) int buf_vaddf(struct buf *buf, const char *format, va_list args);
/* Drops `count` bytes (at most `len`) from the front. */
void buf_consume(struct buf *buf, size_t count);
/* Keeps the memory. */
void buf_reset(struct buf *buf);
/* Never NULL. */
const char *buf_string(const struct buf *buf);
/* Hands the NUL-terminated content to the caller, who frees it, and leaves the
 * buffer empty. */
char *buf_take(struct buf *buf);
