// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/error.h"
#include "lib/base/options.h"
#include "lib/base/strv.h"

/*
 * A subcommand of the kubectl plugin: its flags and its function, in a table of all (cmd/). What
 * many of them take is declared here once.
 */

/* What a subcommand ends with, for scripts. */
enum {
    CLI_OK = 0,
    CLI_FINDINGS = 1, /* it did its work, and something is not in order */
    CLI_FAILED = 2,   /* wrong usage, or files or the cluster could not be read */
};

enum cli_output {
    CLI_TEXT,
    CLI_WIDE,
    CLI_JSON,
    CLI_YAML,
};

/* What was asked for, besides the subcommand's own flags. */
struct cli {
    FILE *out;
    FILE *err; /* for what must not be mixed with the result */
    bool colour;
    enum cli_output output;
    const char *kubeconfig; /* NULL: as kubectl finds it */
    const char *context;    /* NULL: the current one */
    uint64_t timeout_ms;    /* of a request; 0: the usual */
    struct strv operands;
};

struct command {
    const char *name;
    const char *usage; /* of its operands, or NULL */
    const char *summary;
    const char *details; /* or NULL */
    const struct option *options;
    size_t option_count;
    bool cluster;     /* takes --kubeconfig and --context */
    bool formats;     /* takes -o json, yaml and wide */
    bool raw;         /* all arguments are operands */
    size_t least;     /* operands */
    size_t most;      /* SIZE_MAX: any number */
    const char *what; /* its operands are: "profile", "file", for messages and completion */
    /* Returns one of the above; CLI_FAILED with `err` filled. */
    int (*run)(struct cli *cli, struct error *err);
    void (*done)(void); /* releases the targets of its options; or NULL */
};

/* Runs the subcommand of argv[1] (`commands` ends with NULL); prints what went wrong. Returns the
 * exit status. */
int command_main(const struct command *const *commands, int argc, char **argv);

/* The options that a command takes, shared ones included; for completion. The caller frees it. */
struct option *command_options(const struct command *command, size_t *ret_count);
