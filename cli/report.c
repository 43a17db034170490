// SPDX-License-Identifier: Apache-2.0
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/denial_set.h"
#include "cli/table.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define FIELD_WIDTH 16

static void on_event(void *userdata, struct kube_object *object)
{
    struct report_events *events = userdata;
    const cJSON *json = kube_object_json(object);
    const char *last = json_string(json, "lastTimestamp");
    cJSON *row = cJSON_CreateObject();

    if (!last)
        last = json_string(json, "eventTime");
    json_add_string(row, "type", value_text(json, "type"));
    json_add_string(row, "reason", value_text(json, "reason"));
    json_add_int(row, "count", json_int(json_get(json, "count"), 1));
    json_add_string(row, "last", value_or_empty(last));
    json_add_string(row, "message", value_text(json, "message"));
    json_append(events->items, row);
}

void report_events_list(struct cluster *cluster, const char *ns, const char *kind, const char *name,
                        struct report_events *events)
{
    _cleanup_free_ char *selector =
        xasprintf("involvedObject.kind=%s,involvedObject.name=%s", kind, name);
    const struct kube_list_options options = {.field_selector = selector};

    events->items = cJSON_CreateArray();
    cluster_list(cluster, &kube_events, ns, &options, on_event, events, &events->err);
}

void report_title(const struct cli *cli, const char *title)
{
    fputc('\n', cli->out);
    term_put_coloured(cli->out, cli->colour, COLOUR_BOLD, title);
    fputc('\n', cli->out);
}

static int by_time(const void *a, const void *b)
{
    const cJSON *x = *(const cJSON *const *) a, *y = *(const cJSON *const *) b;

    return strcmp(value_text(x, "last"), value_text(y, "last"));
}

void report_print_events(const struct cli *cli, const cJSON *events)
{
    static const char *const header[] = {"TYPE", "REASON", "AGE", "COUNT", "MESSAGE", NULL};
    size_t count = (size_t) cJSON_GetArraySize(events), i = 0;
    _cleanup_(table_freep) struct table *table = table_new(header);
    _cleanup_free_ const cJSON **sorted = xcalloc(count + 1, sizeof(cJSON *));
    const cJSON *event;

    cJSON_ArrayForEach(event, events)
    {
        sorted[i++] = event;
    }
    qsort(sorted, count, sizeof(*sorted), by_time);
    for (i = 0; i < count; i++) {
        _cleanup_free_ char *age = value_age(value_text(sorted[i], "last"), clock_realtime_ms());
        const char *type = value_text(sorted[i], "type");

        table_add_coloured(table, strcmp(type, "Warning") == 0 ? COLOUR_YELLOW : COLOUR_NONE, type);
        table_add(table, value_text(sorted[i], "reason"));
        table_add(table, age);
        table_add_count(table, json_int(json_get(sorted[i], "count"), 1));
        table_add(table, value_text(sorted[i], "message"));
    }
    if (count > 0)
        report_title(cli, "Events");
    table_print(table, cli->out, cli->colour, 2);
}

void report_print_denials(const struct cli *cli, const cJSON *denials, size_t max)
{
    static const char *const header[] = {"COUNT", "OUTCOME", "PROFILE", "ACCESS", "COMMAND",
                                         "LAST",  "POD",     "NODES",   NULL};
    _cleanup_(table_freep) struct table *table = table_new(header);
    size_t count = (size_t) cJSON_GetArraySize(denials);
    const cJSON *denial;

    cJSON_ArrayForEach(denial, denials)
    {
        _cleanup_free_ char *what = denial_describe(denial);
        _cleanup_free_ char *age = value_age(value_text(denial, "lastTime"), clock_realtime_ms());
        const char *outcome = value_text(denial, "outcome");
        const cJSON *pod = cJSON_GetArrayItem(json_get(denial, "pods"), 0);

        if (table_rows(table) == max)
            break;
        table_add_count(table, json_int(json_get(denial, "count"), 1));
        table_add_coloured(table, strcmp(outcome, "Allowed") == 0 ? COLOUR_YELLOW : COLOUR_RED,
                           outcome);
        table_add(table, value_text(denial, "profile"));
        table_add(table, what);
        table_add(table, value_text(denial, "comm"));
        table_add(table, age);
        table_add(table, cJSON_IsString(pod) ? pod->valuestring : "");
        table_add_count(table, json_int(json_get(denial, "nodeCount"), 1));
    }
    table_print(table, cli->out, cli->colour, 2);
    if (count > max)
        fprintf(cli->out, "  … and %zu more\n", count - max);
}

void report_print_field(const struct cli *cli, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(cli->out, "%s:%*s", key, FIELD_WIDTH - (int) strlen(key), "");
    term_put(cli->out, value);
    fputc('\n', cli->out);
}

void report_print_gaps(const struct cli *cli, const cJSON *gaps)
{
    const cJSON *gap;

    cJSON_ArrayForEach(gap, gaps)
    {
        fputs("\n? ", cli->out);
        term_put(cli->out, gap->valuestring);
        fputc('\n', cli->out);
    }
}
