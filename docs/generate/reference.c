// SPDX-License-Identifier: Apache-2.0

/*
 * reference fields FILE | metrics: a part of the reference pages, from the definitions and from the
 * tables that the programs themselves use.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "docs/generate/tables.h"
#include "lib/base/buf.h"
#include "lib/base/fs.h"
#include "lib/base/json.h"
#include "lib/base/yaml.h"

enum { FILE_MAX = 1 << 20, PATH_MAX_BYTES = 1024 };

/* A cell of a table: one line, in which | ends nothing and < begins no tag. */
static void cell(const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            putchar(' ');
        else if (*text == '|')
            fputs("\\|", stdout);
        else if (*text == '<')
            fputs("&lt;", stdout);
        else
            putchar(*text);
    }
}

/* A description without its examples, which are indented and need more room than a table has. */
static void cell_of_description(const char *text)
{
    char *copy = strdup(text), *rest = copy, *line;
    const char *between = "";

    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0' || strncmp(line, "  ", 2) == 0)
            continue;
        fputs(between, stdout);
        cell(line);
        between = " ";
    }
    free(copy);
}

static void metric_table(const struct metric_spec *specs, size_t count)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};

    puts("| metric | type | labels | meaning |\n| --- | --- | --- | --- |");
    for (size_t i = 0; i < count; i++) {
        printf("| `%s` | %s | ", specs[i].name, types[specs[i].type]);
        for (size_t j = 0; j < METRIC_LABELS_MAX && specs[i].labels[j]; j++)
            printf("%s`%s`", j ? ", " : "", specs[i].labels[j]);
        fputs(" | ", stdout);
        cell(specs[i].help);
        puts(" |");
    }
}

static int print_metrics(void)
{
    const struct metric_spec *specs;
    size_t count;

    puts("## apparmor-agent\n");
    specs = tables_agent_metrics(&count);
    metric_table(specs, count);
    puts("\n## apparmor-controller\n");
    specs = tables_controller_metrics(&count);
    metric_table(specs, count);
    return 0;
}

static void print_type(const cJSON *schema)
{
    const char *type = json_string(schema, "type");
    const cJSON *items = json_get(schema, "items"), *values = json_get(schema, "enum"), *value;
    const cJSON *fallback = json_get(schema, "default");
    const char *between = "";

    if (values) {
        cJSON_ArrayForEach(value, values)
        {
            printf("%s`%s`", between, cJSON_GetStringValue(value));
            between = ", ";
        }
    } else if (items && json_string(items, "type")) {
        printf("list of %s", json_string(items, "type"));
    } else {
        fputs(type ? type : "integer or string", stdout);
    }
    if (fallback) {
        char *text = cJSON_PrintUnformatted(fallback);

        printf("; default `%s`", text);
        free(text);
    }
}

/* Depth first, as a reader would look for a field. */
static void print_fields(const cJSON *schema, const char *path)
{
    const cJSON *field, *inner = json_get(schema, "items");

    if (!inner)
        inner = schema;
    cJSON_ArrayForEach(field, json_get(inner, "properties"))
    {
        _cleanup_buf_ struct buf name = BUF_INIT(PATH_MAX_BYTES);
        const char *description = json_string(field, "description");

        buf_addf(&name, "%s%s%s%s", path, *path ? "." : "", field->string,
                 json_get(field, "items") ? "[]" : "");
        printf("| `%s` | ", buf_string(&name));
        print_type(field);
        fputs(" | ", stdout);
        cell_of_description(description ? description : "");
        puts(" |");
        print_fields(field, buf_string(&name));
    }
}

static int print_definition(const char *file)
{
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
    _cleanup_json_ cJSON *documents = NULL;
    const cJSON *definition, *version, *part;
    struct error err = {0};

    if (fs_read(AT_FDCWD, file, &text, &err) < 0 ||
        yaml_parse(buf_string(&text), text.len, &documents, &err) < 0) {
        fprintf(stderr, "reference: %s: %s\n", file, err.message);
        return 1;
    }
    definition = cJSON_GetArrayItem(documents, 0);
    cJSON_ArrayForEach(version, json_get(definition, "spec", "versions"))
    {
        printf("## %s (`%s`)\n\n", json_string(definition, "spec", "names", "kind"),
               json_string(version, "name"));
        puts("| field | type | meaning |\n| --- | --- | --- |");
        cJSON_ArrayForEach(part, json_get(version, "schema", "openAPIV3Schema", "properties"))
        {
            if (strcmp(part->string, "spec") == 0 || strcmp(part->string, "status") == 0)
                print_fields(part, part->string);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "fields") == 0)
        return print_definition(argv[2]);
    if (argc == 2 && strcmp(argv[1], "metrics") == 0)
        return print_metrics();
    fputs("usage: reference fields FILE | metrics\n", stderr);
    return 2;
}
