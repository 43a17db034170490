// SPDX-License-Identifier: Apache-2.0
#include "cli/finding.h"

#include <stdlib.h>
#include <string.h>

#include "cli/term.h"
#include "lib/base/alloc.h"

#define SOURCE_SHOWN 160

void findings_done(struct findings *findings)
{
    for (size_t i = 0; i < findings->len; i++) {
        struct finding *finding = &findings->items[i];

        free(finding->file);
        free(finding->object);
        free(finding->reason);
        free(finding->message);
        free(finding->source);
    }
    free(findings->items);
    *findings = (struct findings){0};
}

struct finding *findings_add(struct findings *findings)
{
    findings->items = xreallocarray(findings->items, findings->len + 1, sizeof(*findings->items));
    findings->items[findings->len] = (struct finding){0};
    return &findings->items[findings->len++];
}

size_t findings_count(const struct findings *findings, bool warnings)
{
    size_t count = 0;

    for (size_t i = 0; i < findings->len; i++)
        count += findings->items[i].warning == warnings;
    return count;
}

/* --- for people ----------------------------------------------------------------------------- */

static void print_place(const struct finding *finding, FILE *stream)
{
    term_put(stream, finding->file);
    if (finding->line > 0)
        fprintf(stream, ":%zu", finding->line);
    if (finding->line > 0 && finding->column > 0)
        fprintf(stream, ":%zu", finding->column);
    fputs(": ", stream);
}

/* Carets and tildes stand below what they show, however wide the characters before are. */
static void print_source(const struct finding *finding, FILE *stream, bool colour)
{
    _cleanup_free_ char *before = xstrndup(finding->source, finding->mark);
    _cleanup_free_ char *marked = xstrndup(finding->source + finding->mark, finding->mark_len);
    size_t width = term_width(marked);
    _cleanup_free_ char *line = xcalloc(1, width + 2);

    if (strlen(finding->source) > SOURCE_SHOWN)
        return;
    memset(line, '~', width);
    line[0] = '^';
    fprintf(stream, "  %5zu | ", finding->line);
    term_put(stream, finding->source);
    fprintf(stream, "\n        | %*s", (int) term_width(before), "");
    term_put_coloured(stream, colour, COLOUR_GREEN, line);
    fputc('\n', stream);
}

static void print_one(const struct finding *finding, FILE *stream, bool colour)
{
    print_place(finding, stream);
    term_put_coloured(stream, colour, finding->warning ? COLOUR_YELLOW : COLOUR_RED,
                      finding->warning ? "warning: " : "error: ");
    term_put(stream, finding->message);
    fprintf(stream, " [%s]\n", finding->reason);
    if (finding->object) {
        fputs("    AppArmorProfile ", stream);
        term_put(stream, finding->object);
        if (finding->policy_line > 0)
            fprintf(stream, ", line %zu of spec.policy", finding->policy_line);
        fputc('\n', stream);
    }
    if (finding->source && finding->line > 0)
        print_source(finding, stream, colour);
}

void findings_print(const struct findings *findings, FILE *stream, bool colour)
{
    for (size_t i = 0; i < findings->len; i++)
        print_one(&findings->items[i], stream, colour);
}

/* --- for programs --------------------------------------------------------------------------- */

static void add_number(cJSON *json, const char *key, size_t number)
{
    if (number > 0)
        json_add_int(json, key, (int64_t) number);
}

cJSON *findings_json(const struct findings *findings)
{
    cJSON *array = cJSON_CreateArray();

    for (size_t i = 0; i < findings->len; i++) {
        const struct finding *finding = &findings->items[i];
        cJSON *json = cJSON_CreateObject();

        json_add_string(json, "severity", finding->warning ? "warning" : "error");
        json_add_string(json, "file", finding->file);
        add_number(json, "line", finding->line);
        add_number(json, "column", finding->column);
        add_number(json, "policyLine", finding->policy_line);
        if (finding->object)
            json_add_string(json, "object", finding->object);
        json_add_string(json, "reason", finding->reason);
        json_add_string(json, "message", finding->message);
        json_append(array, json);
    }
    return array;
}
