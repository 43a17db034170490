// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/term.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

#define PROGRAM "kubectl apparmor"

/* --- flags that many take ------------------------------------------------------------------- */

static struct {
    char *kubeconfig, *context, *output;
} shared;

static const struct option cluster_options[] = {
    {.name = "kubeconfig",
     .type = OPTION_STRING,
     .target = &shared.kubeconfig,
     .argument = "FILE",
     .help = "How to reach the API server. Without it: $KUBECONFIG, ~/.kube/config."},
    {.name = "context",
     .type = OPTION_STRING,
     .target = &shared.context,
     .argument = "NAME",
     .help = "The kubeconfig's context; the current one when absent."},
};

static const struct option format_options[] = {
    {.name = "output",
     .letter = 'o',
     .type = OPTION_STRING,
     .target = &shared.output,
     .argument = "FORMAT",
     .help = "json, yaml, or wide: all that there is, in columns."},
};

struct option *command_options(const struct command *command, size_t *ret_count)
{
    size_t clusters = command->cluster ? ARRAY_SIZE(cluster_options) : 0;
    size_t formats = command->formats ? ARRAY_SIZE(format_options) : 0;
    size_t own = command->option_count;
    struct option *all = xcalloc(own + clusters + formats + 1, sizeof(*all));

    if (own > 0)
        memcpy(all, command->options, own * sizeof(*all));
    memcpy(all + own, format_options, formats * sizeof(*all));
    memcpy(all + own + formats, cluster_options, clusters * sizeof(*all));
    *ret_count = own + formats + clusters;
    return all;
}

static int read_output(const char *text, enum cli_output *ret, struct error *err)
{
    static const char *const names[] = {
        [CLI_TEXT] = "", [CLI_WIDE] = "wide", [CLI_JSON] = "json", [CLI_YAML] = "yaml"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(text ? text : "", names[i]) == 0) {
            *ret = (enum cli_output) i;
            return 0;
        }
    }
    return error_set(err, -EINVAL, "--output takes json, yaml or wide, not \"%s\"", text);
}

/* --- one subcommand ------------------------------------------------------------------------- */

static int check_operands(const struct command *command, const struct strv *operands,
                          struct error *err)
{
    if (operands->len < command->least)
        return error_set(err, -EINVAL, "an argument is missing: " PROGRAM " %s %s", command->name,
                         command->usage);
    if (operands->len > command->most)
        return error_set(err, -EINVAL,
                         "unexpected argument \"%s\"; " PROGRAM " %s --help shows the usage",
                         operands->items[command->most], command->name);
    return 0;
}

static int run(const struct command *command, const struct options *options, struct cli *cli,
               int argc, char **argv, struct error *err)
{
    enum options_outcome outcome;

    if (command->raw) {
        for (int i = 1; i < argc; i++)
            strv_add(&cli->operands, argv[i]);
        return command->run(cli, err);
    }
    if (options_parse(options, argc, argv, NULL, &outcome, err) < 0)
        return CLI_FAILED;
    if (outcome == OPTIONS_HELP) {
        options_print_help(options, cli->out);
        return CLI_OK;
    }
    if (outcome == OPTIONS_VERSION) {
        options_print_version(options, cli->out);
        return CLI_OK;
    }
    if (check_operands(command, &cli->operands, err) < 0 ||
        read_output(shared.output, &cli->output, err) < 0)
        return CLI_FAILED;
    cli->kubeconfig = shared.kubeconfig;
    cli->context = shared.context;
    return command->run(cli, err);
}

static int run_command(const struct command *command, int argc, char **argv)
{
    _cleanup_free_ char *program = xasprintf(PROGRAM " %s", command->name);
    struct cli cli = {.out = stdout, .err = stderr, .colour = term_has_colour(stdout)};
    _cleanup_error_ struct error err = {0};
    size_t count;
    _cleanup_free_ struct option *table = command_options(command, &count);
    const struct options options = {
        .program = program,
        .summary = command->summary,
        .usage = command->usage,
        .details = command->details,
        .table = table,
        .count = count,
        .operands = &cli.operands,
    };
    int status = run(command, &options, &cli, argc, argv, &err);

    if (err.code)
        fprintf(stderr, "%s: %s\n", program, error_message(&err));
    if (fflush(stdout) != 0 && status != CLI_FAILED) {
        fprintf(stderr, "%s: cannot write the result: %s\n", program, strerror(errno));
        status = CLI_FAILED;
    }
    if (command->done)
        command->done();
    strv_done(&cli.operands);
    free(shared.kubeconfig);
    free(shared.context);
    free(shared.output);
    return status;
}

/* --- the choice ----------------------------------------------------------------------------- */

static void print_help(const struct command *const *commands, FILE *stream)
{
    fputs(PROGRAM ": AppArmor profiles on the nodes of a cluster.\n\n"
                  "Usage: " PROGRAM " COMMAND [flags]\n\nCommands:\n",
          stream);
    for (size_t i = 0; commands[i]; i++)
        if (commands[i]->summary)
            fprintf(stream, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "\n" PROGRAM " COMMAND --help tells more about one of them.\n\n"
        "Exit status: 0 when all is well, 1 when something was found that is not in order, 2 for\n"
        "wrong usage and for what could not be read.\n",
        stream);
}

int command_main(const struct command *const *commands, int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "--help";

    /* What a library has to say of its own is for daemons. */
    log_set_level(LOG_ERROR);
    log_set_format(LOG_FORMAT_TEXT);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(commands, argc > 1 ? stdout : stderr);
        return argc > 1 ? CLI_OK : CLI_FAILED;
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return run_command(commands[i], argc - 1, argv + 1);
    fprintf(stderr, PROGRAM ": there is no command \"%s\"; " PROGRAM " --help lists them\n", name);
    return CLI_FAILED;
}
