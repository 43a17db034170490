// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/expand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/policy/includes.h"
#include "lib/policy/statement.h"

enum {
    SCOPES_MAX = 16,
    NESTING_MAX = 16,
    READS_MAX = 2000, /* of includes: small texts may name many */
};

struct expansion {
    expand_fetch_fn fetch;
    void *userdata;
    struct buf *out;
    struct map *seen[SCOPES_MAX]; /* paths that the preamble, and each open block, has taken */
    size_t scope;
    unsigned nesting, reads;
};

/* One text of it. */
struct part {
    struct text_scan scan;
    size_t copied; /* up to here it is in the output */
    size_t scope;  /* in which it began */
};

struct directive {
    char *path;
    bool if_exists;
};

void expand_files_done(struct expand_files *files)
{
    strv_done(&files->paths);
    strv_done(&files->texts);
}

static int expand_text(struct expansion *expansion, const char *text, size_t len);

/* --- includes --- */

static bool word_follows(struct text_scan *scan, const char *word)
{
    size_t len = strlen(word);

    text_skip_blanks(scan);
    if (scan->len - scan->at <= len || memcmp(scan->text + scan->at, word, len) != 0 ||
        !text_is_blank(text_peek(scan, len)))
        return false;
    scan->at += len;
    return true;
}

/* After the word `include`. */
static int read_directive(struct text_scan *scan, struct directive *ret)
{
    if (!text_is_blank(text_peek(scan, 0)))
        return -ENOTSUP;
    if (word_follows(scan, "if")) {
        if (!word_follows(scan, "exists"))
            return -ENOTSUP;
        ret->if_exists = true;
    }
    text_skip_blanks(scan);
    const char *start = scan->text + scan->at + 1;
    const char *end = memchr(scan->text + scan->at, '>', scan->len - scan->at);
    if (text_peek(scan, 0) != '<' || !end || end[-1] == '/' ||
        !policy_include_is_shipped(start, (size_t) (end - start)))
        return -ENOTSUP;
    ret->path = xstrndup(start, (size_t) (end - start));
    scan->at = (size_t) (end - scan->text) + 1;
    return 0;
}

static int expand_files(struct expansion *expansion, const char *path,
                        const struct expand_files *files)
{
    struct map *seen = expansion->seen[expansion->scope];
    _cleanup_free_ bool *taken = xcalloc(files->paths.len + 1, sizeof(*taken));
    int r = 0;

    /* Of a folder each counts as taken before the first is read. */
    for (size_t i = 0; i < files->paths.len; i++)
        taken[i] = map_set(seen, files->paths.items[i], NULL);
    map_set(seen, path, NULL);
    for (size_t i = files->paths.len; r == 0 && i-- > 0;)
        if (taken[i])
            r = expand_text(expansion, files->texts.items[i], strlen(files->texts.items[i]));
    return r;
}

static int expand_directive(struct expansion *expansion, const struct directive *directive)
{
    _cleanup_(expand_files_done) struct expand_files files = {0};

    if (map_has(expansion->seen[expansion->scope], directive->path))
        return 0;
    if (++expansion->reads > READS_MAX)
        return -ENOTSUP;
    int r = expansion->fetch(expansion->userdata, directive->path, &files);
    if (r == -ENOENT && directive->if_exists)
        return 0;
    return r < 0 ? -ENOTSUP : expand_files(expansion, directive->path, &files);
}

static int copy_until(const struct expansion *expansion, struct part *part, size_t end)
{
    const char *from = part->scan.text + part->copied;
    size_t len = end - part->copied;

    part->copied = end;
    return buf_add(expansion->out, from, len) < 0 ? -ENOTSUP : 0;
}

/* After the word; `start` is where it begins. */
static int include(struct expansion *expansion, struct part *part, size_t start)
{
    struct directive directive = {0};

    int r = copy_until(expansion, part, start);
    if (r == 0)
        r = read_directive(&part->scan, &directive);
    part->copied = part->scan.at;
    if (r == 0)
        r = buf_add_char(expansion->out, '\n');
    if (r == 0)
        r = expand_directive(expansion, &directive);
    free(directive.path);
    return r;
}

/* --- the rest --- */

static int open_scope(struct expansion *expansion)
{
    if (expansion->scope + 1 == SCOPES_MAX)
        return -ENOTSUP;
    expansion->seen[++expansion->scope] = map_new(NULL);
    return 0;
}

static int close_scope(struct expansion *expansion, const struct part *part)
{
    if (expansion->scope == part->scope)
        return -ENOTSUP;
    map_free(TAKE_PTR(expansion->seen[expansion->scope]));
    expansion->scope--;
    return 0;
}

static int statement(struct expansion *expansion, struct part *part)
{
    struct statement statement;

    if (statement_read(&part->scan, expansion->scope > 0, &statement))
        return -ENOTSUP;
    switch (statement.kind) {
    case STATEMENT_INCLUDE:
        return include(expansion, part, statement.start);
    case STATEMENT_HEADER:
        return open_scope(expansion);
    case STATEMENT_CLOSE:
        return close_scope(expansion, part);
    case STATEMENT_CONDITION:
        return -ENOTSUP;
    case STATEMENT_RULE:
    case STATEMENT_ASSIGNMENT:
        break;
    }
    return statement.opens ? -ENOTSUP : 0;
}

/* At '#'. */
static int comment(struct expansion *expansion, struct part *part)
{
    static const char word[] = "#include";
    struct text_scan *scan = &part->scan;
    size_t start = scan->at;

    if (scan->len - start >= strlen(word) && memcmp(scan->text + start, word, strlen(word)) == 0) {
        scan->at += strlen(word);
        return include(expansion, part, start);
    }
    const char *newline = memchr(scan->text + start, '\n', scan->len - start);
    scan->at = newline ? (size_t) (newline - scan->text) : scan->len;
    return 0;
}

static int step(struct expansion *expansion, struct part *part)
{
    char c = text_peek(&part->scan, 0);

    if (text_is_blank(c) || c == '\n' || c == '\r') {
        part->scan.at++;
        return 0;
    }
    return c == '#' ? comment(expansion, part) : statement(expansion, part);
}

/* There the parser waits for the line's end in some states, which it goes on in after an include.
 */
static bool ends_plainly(const char *text, size_t len)
{
    const char *newline = memrchr(text, '\n', len);
    const char *last = newline ? newline + 1 : text;
    size_t rest = (size_t) (text + len - last);

    return !memchr(last, '#', rest) && !memchr(last, '=', rest) &&
           !memmem(last, rest, "include", 7);
}

static int expand_text(struct expansion *expansion, const char *text, size_t len)
{
    struct part part = {.scan = {.text = text, .len = len}, .scope = expansion->scope};
    int r = 0;

    if (expansion->nesting == NESTING_MAX || memchr(text, '\0', len) || !ends_plainly(text, len))
        return -ENOTSUP;
    expansion->nesting++;
    while (r == 0 && !text_at_end(&part.scan))
        r = step(expansion, &part);
    if (r == 0)
        r = copy_until(expansion, &part, len);
    if (r == 0)
        r = buf_add_char(expansion->out, '\n');
    expansion->nesting--;
    return r < 0 || expansion->scope != part.scope ? -ENOTSUP : 0;
}

int policy_expand(const char *text, size_t len, expand_fetch_fn fetch, void *userdata,
                  struct buf *out)
{
    struct expansion expansion = {.fetch = fetch, .userdata = userdata, .out = out};

    expansion.seen[0] = map_new(NULL);
    int r = expand_text(&expansion, text, len);
    for (size_t i = 0; i <= expansion.scope; i++)
        map_free(expansion.seen[i]);
    return r;
}
