// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

#define GAP 2

struct cell {
    char *text;
    enum colour colour;
};

struct table {
    const char *const *header;
    size_t columns;
    struct cell *cells;
    size_t len, capacity;
};

struct table *table_new(const char *const *header)
{
    struct table *table = xcalloc(1, sizeof(*table));

    table->header = header;
    while (header[table->columns])
        table->columns++;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->len; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

void table_add_coloured(struct table *table, enum colour colour, const char *text)
{
    if (table->len == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 64;
        table->cells = xreallocarray(table->cells, table->capacity, sizeof(*table->cells));
    }
    table->cells[table->len++] = (struct cell){xstrdup(text && *text ? text : "-"), colour};
}

void table_add(struct table *table, const char *text)
{
    table_add_coloured(table, COLOUR_NONE, text);
}

void table_add_count(struct table *table, long long count)
{
    _cleanup_free_ char *text = xasprintf("%lld", count);

    table_add(table, text);
}

size_t table_rows(const struct table *table)
{
    return table->len / table->columns;
}

static size_t *measure(const struct table *table)
{
    size_t *widths = xcalloc(table->columns, sizeof(*widths));

    for (size_t i = 0; i < table->columns; i++)
        widths[i] = term_width(table->header[i]);
    for (size_t i = 0; i < table->len; i++) {
        size_t width = term_width(table->cells[i].text), *widest = &widths[i % table->columns];
        if (width > *widest)
            *widest = width;
    }
    return widths;
}

static void print_cell(const struct table *table, const size_t *widths, size_t column,
                       const struct cell *cell, FILE *stream, bool colour)
{
    term_put_coloured(stream, colour, cell->colour, cell->text);
    if (column + 1 < table->columns)
        fprintf(stream, "%*s", (int) (widths[column] - term_width(cell->text) + GAP), "");
    else
        fputc('\n', stream);
}

void table_print(const struct table *table, FILE *stream, bool colour, unsigned indent)
{
    _cleanup_free_ size_t *widths = measure(table);

    if (table->len == 0)
        return;
    fprintf(stream, "%*s", (int) indent, "");
    for (size_t i = 0; i < table->columns; i++) {
        _cleanup_free_ char *title = xstrdup(table->header[i]);
        print_cell(table, widths, i, &(struct cell){title, COLOUR_FAINT}, stream, colour);
    }
    for (size_t i = 0; i < table->len; i++) {
        if (i % table->columns == 0)
            fprintf(stream, "%*s", (int) indent, "");
        print_cell(table, widths, i % table->columns, &table->cells[i], stream, colour);
    }
}
