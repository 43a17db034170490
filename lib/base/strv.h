// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"

/* List of owned strings. A zeroed struct is empty. */
struct strv {
    char **items;
    size_t len;
    size_t capacity;
};

void strv_done(struct strv *list);
#define _cleanup_strv_ _cleanup_(strv_done)

void strv_add(struct strv *list, const char *text);
/* Takes ownership of `text`. */
void strv_take(struct strv *list, char *text);
bool strv_contains(const struct strv *list, const char *text);
bool strv_equal(const struct strv *a, const struct strv *b);
void strv_copy(struct strv *to, const struct strv *from);
void strv_sort(struct strv *list);
/* The caller frees the result, which is "" for an empty list. */
char *strv_join(const struct strv *list, const char *separator);
