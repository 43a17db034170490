// SPDX-License-Identifier: Apache-2.0
#include "agent/table.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/alloc.h"

#define TABLE_MAX (16 * 1024 * 1024)
#define COLUMNS 4
static const char *const titles[COLUMNS] = {"NAME", "STATE", "MODE", "PROFILES"};

struct row {
    char *cells[COLUMNS];
    const struct record *record;
};

static void fill(struct row *row, const struct record *record)
{
    const struct profile_state *state = &record->state;
    const char *mode = policy_mode_name(state->mode);

    row->record = record;
    row->cells[0] = xstrdup(record->name);
    row->cells[1] = xstrdup(profile_phase_name(state->phase));
    row->cells[2] = xstrdup(*mode ? mode : "-");
    row->cells[3] = state->names.len > 0 ? strv_join(&state->names, ",") : xstrdup("-");
}

static size_t collect(const struct records *records, struct row *rows)
{
    _cleanup_free_ const char **names = records_sorted(records);
    size_t count = 0;

    for (size_t i = 0; i < records_size(records); i++) {
        const struct record *record = records_get(records, names[i]);

        if (profile_phase_is_shown(record->state.phase))
            fill(&rows[count++], record);
    }
    return count;
}

static void render_cells(const char *const *cells, const size_t *widths, struct buf *out)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        if (i + 1 < COLUMNS)
            buf_addf(out, "%-*s   ", (int) widths[i], cells[i]);
        else
            buf_addf(out, "%s\n", cells[i]);
    }
}

static void render_row(const struct row *row, const size_t *widths, struct buf *out)
{
    const struct profile_state *state = &row->record->state;

    render_cells((const char *const *) row->cells, widths, out);
    if (state->reason)
        buf_addf(out, "  %s%s%s\n", state->reason, state->message ? ": " : "",
                 state->message ? state->message : "");
}

void table_render(const struct records *records, struct buf *out)
{
    _cleanup_free_ struct row *rows = xcalloc(records_size(records) + 1, sizeof(*rows));
    size_t count = collect(records, rows);
    size_t widths[COLUMNS];

    for (size_t i = 0; i < COLUMNS; i++) {
        widths[i] = strlen(titles[i]);
        for (size_t j = 0; j < count; j++)
            if (strlen(rows[j].cells[i]) > widths[i])
                widths[i] = strlen(rows[j].cells[i]);
    }
    render_cells(titles, widths, out);
    for (size_t j = 0; j < count; j++) {
        render_row(&rows[j], widths, out);
        for (size_t i = 0; i < COLUMNS; i++)
            free(rows[j].cells[i]);
    }
    if (count == 0)
        buf_add_string(out, "(none)\n");
}

void table_print(const struct records *records, char **last)
{
    _cleanup_buf_ struct buf table = BUF_INIT(TABLE_MAX);

    table_render(records, &table);
    if (*last && strcmp(*last, buf_string(&table)) == 0)
        return;
    if (*last)
        putchar('\n');
    fputs(buf_string(&table), stdout);
    fflush(stdout);
    free(*last);
    *last = buf_take(&table);
}

bool table_all_loaded(const struct records *records)
{
    const struct record *record;
    size_t position = 0;

    while ((record = records_next(records, &position)))
        if (profile_phase_is_shown(record->state.phase) && record->state.phase != PROFILE_LOADED)
            return false;
    return true;
}
