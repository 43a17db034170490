// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

/*
 * Allocation that cannot fail: out of memory aborts the process through one
 * function. Sizes that come from outside must be capped before they get here.
 */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t size);
/* Like realloc for `count` elements; a product that overflows aborts. */
void *xreallocarray(void *old, size_t count, size_t size);
/* NULL gives NULL. */
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t max);
void *xmemdup(const void *data, size_t size);
_printf_(1, 2) char *xasprintf(const char *format, ...);
_printf_(1, 0) char *xvasprintf(const char *format, va_list args);
/* Makes cJSON allocate through xmalloc, and large blocks go back to the system when they are freed;
 * every program and test calls it first. */
void alloc_init(void);
/* Gives back to the system what many small blocks have left free: after a burst. */
void alloc_trim(void);
