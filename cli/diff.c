// SPDX-License-Identifier: Apache-2.0
#include "cli/diff.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

#define CONTEXT 3

struct line {
    const char *text;
    size_t len;
};

struct lines {
    struct line *items;
    size_t len;
    bool ended; /* the last has its line break */
};

/* What becomes of lines, in the order of the result. */
struct edit {
    char kind;       /* ' ', '-', '+' */
    size_t old, new; /* index in either text, of the line or of the next */
};

struct edits {
    struct edit *items;
    size_t len;
};

static struct lines split(const char *text)
{
    struct lines lines = {.ended = true};

    while (*text) {
        size_t len = strcspn(text, "\n");

        lines.items = xreallocarray(lines.items, lines.len + 1, sizeof(*lines.items));
        lines.items[lines.len++] = (struct line){text, len};
        lines.ended = text[len] == '\n';
        text += len + lines.ended;
    }
    return lines;
}

static bool same(const struct lines *a, size_t i, const struct lines *b, size_t k)
{
    bool a_ends = i + 1 < a->len || a->ended, b_ends = k + 1 < b->len || b->ended;

    return a->items[i].len == b->items[k].len && a_ends == b_ends &&
           memcmp(a->items[i].text, b->items[k].text, a->items[i].len) == 0;
}

/* --- the shortest way (Myers, "An O(ND) Difference Algorithm", 1986) ------------------------- */

struct way {
    const struct lines *a, *b;
    ptrdiff_t **reached; /* for each number of edits: by diagonal, how far in `a` */
    ptrdiff_t edits;
};

static ptrdiff_t next_of(const ptrdiff_t *v, ptrdiff_t d, ptrdiff_t k)
{
    /* v[k + d] is diagonal k of round d. */
    bool down = k == -d || (k != d && v[k - 1] < v[k + 1]);

    return down ? v[k + 1] : v[k - 1] + 1;
}

static bool advance(struct way *way, ptrdiff_t d)
{
    ptrdiff_t n = (ptrdiff_t) way->a->len, m = (ptrdiff_t) way->b->len;
    ptrdiff_t *row = xcalloc((size_t) (2 * d + 3), sizeof(*row)), *v = row + d + 1;
    const ptrdiff_t *before = d > 0 ? way->reached[d - 1] + d : NULL;

    way->reached[d] = row;
    for (ptrdiff_t k = -d; k <= d; k += 2) {
        ptrdiff_t x = d > 0 ? next_of(before, d, k) : 0;

        while (x < n && x - k < m && same(way->a, (size_t) x, way->b, (size_t) (x - k)))
            x++;
        v[k] = x;
        if (x >= n && x - k >= m)
            return true;
    }
    return false;
}

static void walk_back(const struct way *way, struct edits *edits)
{
    ptrdiff_t x = (ptrdiff_t) way->a->len, y = (ptrdiff_t) way->b->len;
    size_t at = edits->len = (size_t) ((x + y + way->edits) / 2);

    edits->items = xcalloc(at + 1, sizeof(*edits->items));
    for (ptrdiff_t d = way->edits; d >= 0; d--) {
        ptrdiff_t k = x - y, px, py;

        if (d > 0) {
            const ptrdiff_t *before = way->reached[d - 1] + d;
            bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
            ptrdiff_t pk = down ? k + 1 : k - 1;

            px = before[pk];
            py = px - pk;
        } else {
            px = py = 0;
        }
        while (x > px && y > py && x > 0 && y > 0) {
            x--;
            y--;
            edits->items[--at] = (struct edit){' ', (size_t) x, (size_t) y};
        }
        if (d > 0)
            edits->items[--at] = (struct edit){x == px ? '+' : '-', (size_t) px, (size_t) py};
        x = px;
        y = py;
    }
}

static struct edits find_edits(const struct lines *a, const struct lines *b)
{
    struct way way = {.a = a, .b = b};
    struct edits edits = {0};

    way.reached = xcalloc(a->len + b->len + 1, sizeof(*way.reached));
    while (!advance(&way, way.edits))
        way.edits++;
    walk_back(&way, &edits);
    for (ptrdiff_t d = 0; d <= way.edits; d++)
        free(way.reached[d]);
    free(way.reached);
    return edits;
}

/* --- showing -------------------------------------------------------------------------------- */

struct printer {
    const struct diff *diff;
    struct lines a, b;
    struct edits edits;
    struct buf *out;
};

static void add_line(const struct printer *printer, const struct edit *edit)
{
    const struct diff *diff = printer->diff;
    bool added = edit->kind == '+';
    const struct lines *lines = added ? &printer->b : &printer->a;
    size_t index = added ? edit->new : edit->old;
    const struct line *line = &lines->items[index];

    buf_add_char(printer->out, edit->kind);
    if (!added && diff->shown)
        buf_add_string(printer->out, diff->shown[index]);
    else
        buf_addf(printer->out, "%s%.*s", line->len > 0 && diff->indent ? diff->indent : "",
                 (int) line->len, line->text);
    buf_add_char(printer->out, '\n');
    if (index + 1 == lines->len && !lines->ended && !diff->shown)
        buf_add_string(printer->out, "\\ No newline at end of file\n");
}

/* A line number as headers of hunks have it: that of the line before when there are none. */
static size_t start_of(const struct printer *printer, size_t index, size_t count)
{
    return printer->diff->line + index + (count > 0);
}

static void add_hunk(const struct printer *printer, size_t first, size_t end)
{
    const struct edit *edits = printer->edits.items;
    size_t old_count = 0, new_count = 0;

    for (size_t i = first; i < end; i++) {
        old_count += edits[i].kind != '+';
        new_count += edits[i].kind != '-';
    }
    buf_addf(printer->out, "@@ -%zu,%zu +%zu,%zu @@\n",
             start_of(printer, edits[first].old, old_count), old_count,
             start_of(printer, edits[first].new, new_count), new_count);
    for (size_t i = first; i < end; i++)
        add_line(printer, &edits[i]);
}

/* The first change at or after an edit; the number of edits when there is none. */
static size_t find_change(const struct edits *edits, size_t from)
{
    while (from < edits->len && edits->items[from].kind == ' ')
        from++;
    return from;
}

static void add_hunks(const struct printer *printer)
{
    const struct edits *edits = &printer->edits;

    for (size_t change = find_change(edits, 0); change < edits->len;) {
        size_t first = change > CONTEXT ? change - CONTEXT : 0, last = change, end;

        for (size_t next = change; next < edits->len && next <= last + 2 * CONTEXT + 1;
             next = find_change(edits, last + 1))
            last = next;
        end = last + 1 + CONTEXT < edits->len ? last + 1 + CONTEXT : edits->len;
        add_hunk(printer, first, end);
        change = find_change(edits, last + 1);
    }
}

void diff_unified(const struct diff *diff, struct buf *out)
{
    struct printer printer = {.diff = diff,
                              .a = split(diff->old_text),
                              .b = split(diff->new_text),
                              .out = out};

    if (strcmp(diff->old_text, diff->new_text) != 0) {
        printer.edits = find_edits(&printer.a, &printer.b);
        buf_addf(out, "--- %s\n+++ %s\n", diff->old_name, diff->new_name);
        add_hunks(&printer);
    }
    free(printer.edits.items);
    free(printer.a.items);
    free(printer.b.items);
}
