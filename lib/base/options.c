// SPDX-License-Identifier: Apache-2.0
#include "lib/base/options.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/strv.h"

static const struct option *option_find(const struct options *options, const char *name, size_t len)
{
    for (size_t i = 0; i < options->count; i++)
        if (strlen(options->table[i].name) == len && memcmp(options->table[i].name, name, len) == 0)
            return &options->table[i];
    return NULL;
}

static int set_bool(const struct option *option, const char *origin, const char *value,
                    struct error *err)
{
    if (strcmp(value, "true") == 0)
        *(bool *) option->target = true;
    else if (strcmp(value, "false") == 0)
        *(bool *) option->target = false;
    else
        return error_set(err, -EINVAL, "%s takes true or false, not \"%s\"", origin, value);
    return 0;
}

static int set_uint(const struct option *option, const char *origin, const char *value,
                    struct error *err)
{
    unsigned long number = 0;
    char *end;

    errno = 0;
    if (*value >= '0' && *value <= '9')
        number = strtoul(value, &end, 10);
    else
        end = (char *) (uintptr_t) value;
    if (end == value || *end || errno || number > UINT_MAX)
        return error_set(err, -EINVAL, "%s takes a number from 0 to %u, not \"%s\"", origin,
                         UINT_MAX, value);
    *(unsigned *) option->target = (unsigned) number;
    return 0;
}

/* `origin` names the flag or variable that the value came from. */
static int option_set(const struct option *option, const char *origin, const char *value,
                      struct error *err)
{
    switch (option->type) {
    case OPTION_STRING:
        free(*(char **) option->target);
        *(char **) option->target = xstrdup(value);
        return 0;
    case OPTION_STRINGS:
        strv_add(option->target, value);
        return 0;
    case OPTION_BOOL:
        return set_bool(option, origin, value, err);
    case OPTION_UINT:
        return set_uint(option, origin, value, err);
    }
    return 0;
}

/* The environment wins over the table's default. */
static int option_set_default(const struct option *option, struct error *err)
{
    const char *value = option->env ? getenv(option->env) : NULL;

    if (value && *value)
        return option_set(option, option->env, value, err);
    return option->default_text ? option_set(option, option->name, option->default_text, err) : 0;
}

static const struct option *option_find_letter(const struct options *options, char letter)
{
    for (size_t i = 0; letter && i < options->count; i++)
        if (options->table[i].letter == letter)
            return &options->table[i];
    return NULL;
}

/* What a flag is called, and what it holds of its value: "--name=value", "-xvalue". */
struct flag {
    const struct option *option;
    const char *value; /* NULL: the next argument */
    size_t len;        /* of its name with the dashes */
};

static struct flag flag_read(const struct options *options, const char *text)
{
    struct flag flag = {.len = 2};

    if (text[1] != '-') {
        flag.option = option_find_letter(options, text[1]);
        if (text[2])
            flag.value = text + (text[2] == '=' ? 3 : 2);
        return flag;
    }
    flag.len = strcspn(text, "=");
    flag.option = option_find(options, text + 2, flag.len - 2);
    if (text[flag.len])
        flag.value = text + flag.len + 1;
    return flag;
}

/* One flag of the command line; `*index` moves past what it took. */
static int option_take(const struct options *options, int argc, char **argv, int *index,
                       bool *given, struct error *err)
{
    const struct flag read = flag_read(options, argv[*index]);
    const struct option *option = read.option;
    _cleanup_free_ char *flag = xstrndup(argv[*index], read.len);
    const char *value = read.value;

    if (!option)
        return error_set(err, -EINVAL, "there is no flag %s; %s --help lists them", flag,
                         options->program);
    if (!value && option->type == OPTION_BOOL)
        value = "true";
    else if (!value && *index + 1 < argc)
        value = argv[++*index];
    if (!value)
        return error_set(err, -EINVAL, "%s wants a value: %s=%s", flag, flag, option->argument);
    (*index)++;

    /* A list on the command line replaces the default. */
    if (option->type == OPTION_STRINGS && !given[option - options->table])
        strv_done(option->target);
    given[option - options->table] = true;
    return option_set(option, flag, value, err);
}

static bool is_flag(const char *text)
{
    return text[0] == '-' && text[1] != '\0';
}

static void take_operands(const struct options *options, int argc, char **argv, int first)
{
    for (int i = first; i < argc; i++)
        strv_add(options->operands, argv[i]);
}

/* To the first operand, or to the end where operands are collected. */
static int take_arguments(const struct options *options, int argc, char **argv, int *index,
                          bool *given, enum options_outcome *ret, struct error *err)
{
    while (*index < argc) {
        const char *text = argv[*index];
        int r;

        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            *ret = OPTIONS_HELP;
            return 0;
        }
        if (strcmp(text, "--version") == 0) {
            *ret = OPTIONS_VERSION;
            return 0;
        }
        if (strcmp(text, "--") == 0) {
            ++*index;
            break;
        }
        if (is_flag(text)) {
            r = option_take(options, argc, argv, index, given, err);
            if (r < 0)
                return r;
            continue;
        }
        if (!options->operands)
            break;
        strv_add(options->operands, text);
        ++*index;
    }
    if (options->operands) {
        take_operands(options, argc, argv, *index);
        *index = argc;
    }
    return 0;
}

int options_parse(const struct options *options, int argc, char **argv, int *ret_first,
                  enum options_outcome *ret, struct error *err)
{
    _cleanup_free_ bool *given = xcalloc(options->count, sizeof(*given));
    enum options_outcome outcome = OPTIONS_RUN;
    int r = 0, i = 1;

    for (size_t k = 0; r == 0 && k < options->count; k++)
        r = option_set_default(&options->table[k], err);
    if (r == 0)
        r = take_arguments(options, argc, argv, &i, given, &outcome, err);
    if (r < 0)
        return r;
    if (outcome == OPTIONS_RUN && i < argc && !ret_first)
        return error_set(err, -EINVAL, "unexpected argument \"%s\"; %s --help shows the usage",
                         argv[i], options->program);
    if (outcome == OPTIONS_RUN && ret_first)
        *ret_first = i;
    *ret = outcome;
    return 0;
}

#define HELP_INDENT 6
#define HELP_WIDTH 80

/* Breaks lines at spaces. */
static void print_wrapped(FILE *stream, const char *text)
{
    int column = 0;

    while (*text) {
        int len = (int) strcspn(text, " ");
        if (column && column + 1 + len > HELP_WIDTH - HELP_INDENT) {
            fputc('\n', stream);
            column = 0;
        }
        fprintf(stream, "%*s%.*s", column ? 1 : HELP_INDENT, "", len, text);
        column += len + (column ? 1 : 0);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

static void print_option(const struct option *option, FILE *stream)
{
    if (option->letter)
        fprintf(stream, "  -%c, --%s", option->letter, option->name);
    else
        fprintf(stream, "  --%s", option->name);
    if (option->type != OPTION_BOOL)
        fprintf(stream, " %s", option->argument ? option->argument : "VALUE");

    const char *open = " (";
    if (option->default_text) {
        fprintf(stream, "%sdefault %s", open, option->default_text);
        open = ", ";
    }
    if (option->env) {
        fprintf(stream, "%sor $%s", open, option->env);
        open = ", ";
    }
    if (option->type == OPTION_STRINGS) {
        fprintf(stream, "%smay be repeated", open);
        open = ", ";
    }
    fputs(*open == ',' ? ")\n" : "\n", stream);
    print_wrapped(stream, option->help);
}

void options_print_help(const struct options *options, FILE *stream)
{
    fprintf(stream, "%s: %s\n\nUsage: %s [flags]%s%s\n\n", options->program, options->summary,
            options->program, options->usage ? " " : "", options->usage ? options->usage : "");
    if (options->details)
        fprintf(stream, "%s\n\n", options->details);
    fputs("Flags:\n", stream);
    for (size_t i = 0; i < options->count; i++)
        print_option(&options->table[i], stream);
    fputs("  --help\n      Prints this text.\n  --version\n      Prints the version.\n", stream);
}

void options_print_version(const struct options *options, FILE *stream)
{
    fprintf(stream, "%s %s\n", options->program, options_version());
}

const char *options_version(void)
{
    return PROGRAM_VERSION;
}
