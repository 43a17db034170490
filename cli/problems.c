// SPDX-License-Identifier: Apache-2.0
#include "cli/problems.h"

#include <stdlib.h>
#include <string.h>

#include "cli/remedy.h"
#include "cli/term.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/strv.h"

struct entry {
    bool warning;
    char *kind, *reason, *message, *remedy;
    struct strv names;
};

struct problems {
    struct map *entries; /* in the order of their coming */
};

static void entry_free(void *value)
{
    struct entry *entry = value;

    free(entry->kind);
    free(entry->reason);
    free(entry->message);
    free(entry->remedy);
    strv_done(&entry->names);
    free(entry);
}

struct problems *problems_new(void)
{
    struct problems *problems = xcalloc(1, sizeof(*problems));

    problems->entries = map_new(entry_free);
    return problems;
}

void problems_free(struct problems *problems)
{
    if (!problems)
        return;
    map_free(problems->entries);
    free(problems);
}

void problems_add(struct problems *problems, const struct problem *problem)
{
    const char *remedy = problem->remedy ? problem->remedy : remedy_of(problem->reason);
    _cleanup_free_ char *key =
        problem->alone
            ? xasprintf("%zu", map_size(problems->entries))
            : xasprintf("%s/%s/%d", problem->kind,
                        problem->reason ? problem->reason : problem->message, problem->warning);
    struct entry *entry = map_get(problems->entries, key);

    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        entry->warning = problem->warning;
        entry->kind = xstrdup(problem->kind);
        entry->reason = xstrdup(problem->reason);
        entry->message = xstrdup(problem->message);
        entry->remedy = xstrdup(remedy);
        map_set(problems->entries, key, entry);
    }
    if (problem->name)
        strv_add(&entry->names, problem->name);
}

static cJSON *entry_json(const struct entry *entry)
{
    cJSON *json = cJSON_CreateObject(), *names;

    json_add_string(json, "severity", entry->warning ? "warning" : "error");
    json_add_string(json, "kind", entry->kind);
    names = json_add_array(json, "names");
    for (size_t i = 0; i < entry->names.len; i++)
        json_append_string(names, entry->names.items[i]);
    if (entry->reason)
        json_add_string(json, "reason", entry->reason);
    json_add_string(json, "message", entry->message);
    if (entry->remedy)
        json_add_string(json, "remedy", entry->remedy);
    return json;
}

static void add_those(const struct problems *problems, bool warning, cJSON *array)
{
    size_t position = 0;
    void *value;

    while (map_next(problems->entries, &position, NULL, &value)) {
        const struct entry *entry = value;
        if (entry->warning == warning)
            json_append(array, entry_json(entry));
    }
}

cJSON *problems_json(const struct problems *problems)
{
    cJSON *array = cJSON_CreateArray();

    add_those(problems, false, array);
    add_those(problems, true, array);
    return array;
}

static bool is_warning(const cJSON *problem)
{
    return strcmp(value_text(problem, "severity"), "warning") == 0;
}

bool problems_has_error(const cJSON *json)
{
    const cJSON *problem = json ? json->child : NULL;

    return problem && !is_warning(problem);
}

static char *subject(const cJSON *problem, size_t max)
{
    const cJSON *names = json_get(problem, "names"), *name;
    _cleanup_strv_ struct strv list = {0};
    _cleanup_free_ char *some = NULL;

    cJSON_ArrayForEach(name, names) strv_add(&list, name->valuestring);
    some = value_some(&list, max);
    return list.len > 0
               ? xasprintf("%s%s %s: ", value_text(problem, "kind"), list.len > 1 ? "s" : "", some)
               : xstrdup("");
}

void problems_print(const cJSON *json, FILE *stream, bool colour, size_t max, size_t names)
{
    size_t count = (size_t) cJSON_GetArraySize(json), shown = 0;
    const cJSON *problem;

    cJSON_ArrayForEach(problem, json)
    {
        const char *remedy = json_string(problem, "remedy");
        const char *reason = json_string(problem, "reason");
        _cleanup_free_ char *what = subject(problem, names);

        if (shown++ == max) {
            fprintf(stream, "  … and %zu more; -o wide shows them all\n", count - max);
            return;
        }
        if (is_warning(problem))
            term_put_coloured(stream, colour, COLOUR_YELLOW, "! ");
        else
            term_put_coloured(stream, colour, COLOUR_RED, "✗ ");
        term_put_coloured(stream, colour, COLOUR_BOLD, what);
        term_put(stream, value_text(problem, "message"));
        if (reason)
            fprintf(stream, " (%s)", reason);
        fputc('\n', stream);
        if (remedy) {
            fputs("    → ", stream);
            term_put(stream, remedy);
            fputc('\n', stream);
        }
    }
}
