// SPDX-License-Identifier: Apache-2.0
#include "lib/base/strv.h"

#include <string.h>

#include "lib/base/alloc.h"

void strv_done(struct strv *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->len; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct strv){0};
}

void strv_take(struct strv *list, char *text)
{
    if (list->len == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 8;
        list->items = xreallocarray(list->items, list->capacity, sizeof(*list->items));
    }
    list->items[list->len++] = text;
}

void strv_add(struct strv *list, const char *text)
{
    strv_take(list, xstrdup(text));
}

bool strv_contains(const struct strv *list, const char *text)
{
    for (size_t i = 0; i < list->len; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

bool strv_equal(const struct strv *a, const struct strv *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

void strv_copy(struct strv *to, const struct strv *from)
{
    struct strv copy = {0};

    for (size_t i = 0; i < from->len; i++)
        strv_add(&copy, from->items[i]);
    strv_done(to);
    *to = copy;
}

static int strv_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

void strv_sort(struct strv *list)
{
    if (list->len > 1)
        qsort(list->items, list->len, sizeof(*list->items), strv_compare);
}

char *strv_join(const struct strv *list, const char *separator)
{
    size_t gap = strlen(separator), size = 1;

    for (size_t i = 0; i < list->len; i++)
        size += strlen(list->items[i]) + (i ? gap : 0);

    char *text = xmalloc(size), *end = text;
    for (size_t i = 0; i < list->len; i++) {
        if (i)
            end = mempcpy(end, separator, gap);
        end = mempcpy(end, list->items[i], strlen(list->items[i]));
    }
    *end = '\0';
    return text;
}
