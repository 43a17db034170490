// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/error.h"

/*
 * Command-line flags as one table, which is also `--help` and the reference
 * page. Flags are
 * `--name value`, `--name=value`; a boolean is `--name`, `--name=false`; one that
 * has a letter also is `-x value`, `-xvalue`. An environment variable is the
 * default where one is named. --help and --version are always there.
 */
enum option_type { OPTION_STRING, OPTION_BOOL, OPTION_UINT, OPTION_STRINGS };

struct option {
    const char *name;
    enum option_type type;
    void *target;         /* char **, bool *, unsigned *, struct strv *; strings are owned
                             copies */
    const char *argument; /* placeholder in the help text; NULL for booleans */
    const char *help;
    const char *env;          /* or NULL */
    const char *default_text; /* parsed first, or NULL */
    char letter;              /* its short form, or 0 */
};

struct options {
    const char *program;
    const char *summary;
    const struct option *table;
    size_t count;
    const char *usage;     /* what stands for the operands in the usage line; NULL: none */
    const char *details;   /* paragraphs of the help text before the flags, or NULL */
    struct strv *operands; /* gets them wherever they stand; NULL: flags come first */
};

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

/* -EINVAL names the flag and says what it takes. `ret_first`: index of the
 * first operand, or NULL to refuse operands where options.operands does not take
 * them. */
_must_check_ int options_parse(const struct options *options, int argc, char **argv, int *ret_first,
                               enum options_outcome *ret, struct error *err);
void options_print_help(const struct options *options, FILE *stream);
void options_print_version(const struct options *options, FILE *stream);
/* Of the program, as --version prints it; also for user agents and status. */
const char *options_version(void);
