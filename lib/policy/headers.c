// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/headers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

enum { BLOCKS_MAX = 64 };

struct walk {
    struct text_scan scan;
    struct policy_header *headers;
    size_t count, capacity;
    size_t blocks[BLOCKS_MAX]; /* 1 + index of the header whose block it is, or 0 */
    size_t depth;
    size_t profiles; /* open blocks of profiles */
};

static const char *open_block(struct walk *walk, size_t header)
{
    if (walk->depth == BLOCKS_MAX)
        return "blocks are nested too deep";
    walk->blocks[walk->depth++] = header;
    walk->profiles += header > 0;
    return NULL;
}

static const char *close_block(struct walk *walk)
{
    size_t header;

    if (walk->depth == 0)
        return "a closing brace without an opening one";
    header = walk->blocks[--walk->depth];
    if (header > 0) {
        walk->headers[header - 1].close = walk->scan.at - 1;
        walk->profiles--;
    }
    return NULL;
}

static size_t keep(struct walk *walk, const struct statement *statement)
{
    if (walk->count == walk->capacity) {
        walk->capacity = walk->capacity ? 2 * walk->capacity : 16;
        walk->headers = xreallocarray(walk->headers, walk->capacity, sizeof(*walk->headers));
    }
    walk->headers[walk->count++] =
        (struct policy_header){.at = *statement, .top = walk->profiles == 0};
    return walk->count;
}

static const char *step(struct walk *walk)
{
    struct statement statement;
    const char *why = statement_read(&walk->scan, walk->profiles > 0, &statement);

    if (why)
        return why;
    switch (statement.kind) {
    case STATEMENT_CLOSE:
        return close_block(walk);
    case STATEMENT_INCLUDE:
        return statement_skip_include(&walk->scan) ? NULL : "an include that is not understood";
    case STATEMENT_HEADER:
        return open_block(walk, keep(walk, &statement));
    case STATEMENT_CONDITION:
    case STATEMENT_RULE:
    case STATEMENT_ASSIGNMENT:
        break;
    }
    return statement.opens ? open_block(walk, 0) : NULL;
}

static int read_all(struct walk *walk, struct error *err)
{
    const char *why = memchr(walk->scan.text, '\0', walk->scan.len) ? "it holds a NUL byte" : NULL;

    for (text_skip_space(&walk->scan); !why && !text_at_end(&walk->scan);
         text_skip_space(&walk->scan))
        why = step(walk);
    if (!why && walk->depth > 0)
        why = "a block without its closing brace";
    if (why)
        return error_set(err, -EBADMSG, "line %u: %s", text_line(&walk->scan), why);
    return 0;
}

int policy_headers_each(const char *text, size_t len, policy_header_fn fn, void *userdata,
                        struct error *err)
{
    struct walk walk = {.scan = {.text = text, .len = len}};
    int r = read_all(&walk, err);

    for (size_t i = 0; r == 0 && i < walk.count; i++)
        r = fn(userdata, &walk.headers[i], err);
    free(walk.headers);
    return r;
}

char *policy_header_word(const char *text, struct span span)
{
    const char *start = text + span.start;
    size_t len = span.end - span.start;

    if (len >= 2 && start[0] == '"')
        return xstrndup(start + 1, len - 2);
    return xstrndup(start, len);
}
