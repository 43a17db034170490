// SPDX-License-Identifier: Apache-2.0
#include "cli/amend.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/policy/headers.h"

#define INDENT 2

/* Where rules go: before the brace that ends a profile. */
struct place {
    size_t brace, close; /* of the profile */
    char *name;          /* full */
    const struct strv *rules;
};

struct places {
    const char *text;
    const struct map *rules;
    struct place *items;
    size_t len;
};

static void places_done(struct places *places)
{
    for (size_t i = 0; i < places->len; i++)
        free(places->items[i].name);
    free(places->items);
}

/* Headers come in the order of the text, parents before their children. */
static const struct place *parent_of(const struct places *places, size_t brace)
{
    for (size_t i = places->len; i-- > 0;)
        if (places->items[i].brace < brace && brace < places->items[i].close)
            return &places->items[i];
    return NULL;
}

static int on_header(void *userdata, const struct policy_header *header, struct error *err)
{
    struct places *places = userdata;
    const struct place *parent = parent_of(places, header->at.brace);
    char *name = policy_header_word(places->text, header->at.name);

    (void) err;
    if (parent) {
        char *full = xasprintf("%s//%s", parent->name, name);

        free(name);
        name = full;
    }
    places->items = xreallocarray(places->items, places->len + 1, sizeof(*places->items));
    places->items[places->len++] = (struct place){
        .brace = header->at.brace,
        .close = header->close,
        .name = name,
        .rules = map_get(places->rules, name),
    };
    return 0;
}

static int by_close(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    return x->close < y->close ? -1 : x->close > y->close;
}

/* --- writing -------------------------------------------------------------------------------- */

static size_t line_start(const char *text, size_t at)
{
    while (at > 0 && text[at - 1] != '\n')
        at--;
    return at;
}

static bool is_blank_between(const char *text, size_t from, size_t to)
{
    while (from < to && strchr(" \t", text[from]))
        from++;
    return from == to;
}

static void add_rules(struct buf *out, const struct strv *rules, const char *indent)
{
    for (size_t i = 0; i < rules->len; i++)
        buf_addf(out, "%s%*s%s\n", indent, INDENT, "", rules->items[i]);
}

/* The rules stand on lines of their own, one step further in than the brace. */
static void add_at(struct buf *out, const char *text, const struct place *place, size_t *copied)
{
    size_t start = line_start(text, place->close);
    bool own_line = is_blank_between(text, start, place->close);
    size_t header = line_start(text, place->brace);
    size_t from = own_line ? start : header;
    _cleanup_free_ char *indent = xstrndup(text + from, strspn(text + from, " \t"));

    if (own_line && start >= *copied) {
        buf_add(out, text + *copied, start - *copied);
        *copied = start;
    } else {
        buf_add(out, text + *copied, place->close - *copied);
        while (out->len > 0 && strchr(" \t", out->data[out->len - 1]))
            out->len--;
        buf_add_char(out, '\n');
        *copied = place->close;
    }
    add_rules(out, place->rules, indent);
    if (*copied == place->close)
        buf_add_string(out, indent);
}

static char *write_text(const struct places *places)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    size_t copied = 0;

    for (size_t i = 0; i < places->len; i++)
        if (places->items[i].rules)
            add_at(&out, places->text, &places->items[i], &copied);
    buf_add_string(&out, places->text + copied);
    return buf_take(&out);
}

static void note_missing(const struct places *places, struct strv *missing)
{
    const char *name;
    size_t position = 0;

    while (map_next(places->rules, &position, &name, NULL)) {
        bool found = false;

        for (size_t i = 0; i < places->len; i++)
            found = found || strcmp(places->items[i].name, name) == 0;
        if (!found)
            strv_add(missing, name);
    }
}

int amend_policy(const char *text, const struct map *rules, struct strv *missing, char **ret,
                 struct error *err)
{
    struct places places = {.text = text, .rules = rules};
    int r = policy_headers_each(text, strlen(text), on_header, &places, err);

    if (r == 0) {
        note_missing(&places, missing);
        if (places.len > 0)
            qsort(places.items, places.len, sizeof(*places.items), by_close);
        *ret = write_text(&places);
    }
    places_done(&places);
    return r;
}
