// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/term.h"
#include "lib/base/cleanup.h"

/* Columns as wide as their widest cell. */
struct table;

/* `header`: titles, ended by NULL. */
struct table *table_new(const char *const *header);
void table_free(struct table *table);
DEFINE_CLEANUP(struct table *, table_free)

/* The next cell, row after row; NULL and "" show as "-". */
void table_add(struct table *table, const char *text);
void table_add_coloured(struct table *table, enum colour colour, const char *text);
void table_add_count(struct table *table, long long count);
size_t table_rows(const struct table *table);

/* `indent`: blanks before each line. Nothing at all without rows. */
void table_print(const struct table *table, FILE *stream, bool colour, unsigned indent);
