// SPDX-License-Identifier: Apache-2.0
#include "lib/base/alloc.h"

#include <cjson/cJSON.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes from which a block is mapped by itself and goes back to the system when it is freed. */
#define LARGE_BLOCK (32 * 1024)

/* Writes without stdio: that would allocate. */
static _Noreturn void alloc_fail(void)
{
    static const char text[] = "out of memory\n";

    ssize_t written _unused_ = write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

void *xmalloc(size_t size)
{
    void *data = malloc(size ? size : 1);

    if (!data)
        alloc_fail();
    return data;
}

void *xcalloc(size_t count, size_t size)
{
    void *data = calloc(count ? count : 1, size ? size : 1);

    if (!data)
        alloc_fail();
    return data;
}

void *xrealloc(void *old, size_t size)
{
    void *data = realloc(old, size ? size : 1);

    if (!data)
        alloc_fail();
    return data;
}

void *xreallocarray(void *old, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        alloc_fail();
    return xrealloc(old, total);
}

char *xstrdup(const char *text)
{
    return text ? xmemdup(text, strlen(text) + 1) : NULL;
}

char *xstrndup(const char *text, size_t max)
{
    if (!text)
        return NULL;

    size_t len = strnlen(text, max);
    char *copy = xmalloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void *xmemdup(const void *data, size_t size)
{
    if (!data)
        return NULL;

    void *copy = xmalloc(size);
    memcpy(copy, data, size);
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

char *xvasprintf(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        alloc_fail();
    return text;
}

void alloc_init(void)
{
    cJSON_Hooks hooks = {.malloc_fn = xmalloc, .free_fn = free};

    cJSON_InitHooks(&hooks);
#ifdef M_MMAP_THRESHOLD
    /* Set, it stays: by default glibc raises it to the largest block ever freed (up to 32 MB), and
     * keeps twice as much memory from then on. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
#endif
}

void alloc_trim(void)
{
    malloc_trim(0);
}
