// SPDX-License-Identifier: Apache-2.0
#include "controller/shelf.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/rollout.h"

/* Others could make any number that look like ours. */
#define BOOKS_MAX 1000

struct shelf {
    struct book *items; /* by number, the highest first */
    size_t len;
};

static void book_done(struct book *book)
{
    free(book->name);
    free(book->uid);
    free(book->revision);
}

struct shelf *shelf_new(void)
{
    return xcalloc(1, sizeof(struct shelf));
}

void shelf_free(struct shelf *shelf)
{
    if (!shelf)
        return;
    for (size_t i = 0; i < shelf->len; i++)
        book_done(&shelf->items[i]);
    free(shelf->items);
    free(shelf);
}

size_t shelf_size(const struct shelf *shelf)
{
    return shelf ? shelf->len : 0;
}

void shelf_remove(struct shelf *shelf, const char *name)
{
    size_t i = 0;

    while (i < shelf->len && strcmp(shelf->items[i].name, name) != 0)
        i++;
    if (i == shelf->len)
        return;
    book_done(&shelf->items[i]);
    shelf->len--;
    memmove(&shelf->items[i], &shelf->items[i + 1], (shelf->len - i) * sizeof(*shelf->items));
}

static int by_number(const void *a, const void *b)
{
    const struct book *one = a, *other = b;

    if (one->number != other->number)
        return one->number > other->number ? -1 : 1;
    return strcmp(one->name, other->name);
}

void shelf_add(struct shelf *shelf, const struct book *book)
{
    shelf_remove(shelf, book->name);
    if (shelf->len >= BOOKS_MAX)
        return;
    shelf->items = xreallocarray(shelf->items, shelf->len + 1, sizeof(*shelf->items));
    shelf->items[shelf->len++] = (struct book){
        .name = xstrdup(book->name),
        .uid = xstrdup(book->uid),
        .revision = xstrdup(book->revision),
        .number = book->number,
    };
    qsort(shelf->items, shelf->len, sizeof(*shelf->items), by_number);
}

/* The next of that object from `*position` on, which becomes that behind it. */
static const struct book *next_of(const struct shelf *shelf, const char *uid, size_t *position)
{
    while (*position < shelf_size(shelf)) {
        const struct book *book = &shelf->items[(*position)++];

        if (strcmp(book->uid, uid) == 0)
            return book;
    }
    return NULL;
}

const struct book *shelf_find(const struct shelf *shelf, const char *uid, const char *revision)
{
    const struct book *book;
    size_t position = 0;

    while ((book = next_of(shelf, uid, &position)))
        if (strcmp(book->revision, revision) == 0)
            return book;
    return NULL;
}

int64_t shelf_last_number(const struct shelf *shelf, const char *uid)
{
    size_t position = 0;
    const struct book *book = next_of(shelf, uid, &position);

    return book ? book->number : 0;
}

void shelf_revisions(const struct shelf *shelf, const char *uid, struct strv *ret)
{
    const struct book *book;
    size_t position = 0;

    while ((book = next_of(shelf, uid, &position)))
        strv_add(ret, book->revision);
}

const struct book *shelf_surplus(const struct shelf *shelf, const char *uid, size_t max,
                                 const char *published)
{
    struct policy_rollout rollout = {0};
    const struct book *book, *surplus = NULL;
    size_t position = 0, count = 0;

    if (published && policy_rollout_parse(published, &rollout, NULL) < 0)
        rollout = (struct policy_rollout){0};
    while ((book = next_of(shelf, uid, &position)))
        if (count++ > 0 && strcmp(book->revision, rollout.revision) != 0 &&
            strcmp(book->revision, rollout.previous) != 0)
            surplus = book;
    return count > max ? surplus : NULL;
}
