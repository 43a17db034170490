// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/term.h"
#include "lib/base/alloc.h"

/*
 * What may stand where the cursor is, for the shells' completions and for kubectl, which asks
 * kubectl_complete-apparmor: one candidate a line, a tab and what it is, and last ":4", or ":0"
 * where files may stand (the convention of github.com/spf13/cobra).
 */

/* A key has been pressed and somebody waits. */
#define TIMEOUT_MS 2000

enum directive { FILES = 0, NO_FILES = 4 };

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "a", "a.b-c": nothing that a shell would take for more than a word. */
static bool is_word(const char *text)
{
    return *text &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "-_./=")] == '\0';
}

static void offer(const struct cli *cli, const char *partial, const char *value,
                  const char *description)
{
    if (!begins(value, partial) || !is_word(value))
        return;
    fputs(value, cli->out);
    if (description && *description) {
        fputc('\t', cli->out);
        term_put(cli->out, description);
    }
    fputc('\n', cli->out);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* --- flags ---------------------------------------------------------------------------------- */

static const struct option *flag_of(const struct option *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (word[0] == '-' && word[1] == '-' && strcmp(table[i].name, word + 2) == 0)
            return &table[i];
        if (word[0] == '-' && word[1] && word[1] == table[i].letter && !word[2])
            return &table[i];
    }
    return NULL;
}

static void offer_flags(const struct cli *cli, const struct option *table, size_t count,
                        const char *partial)
{
    for (size_t i = 0; i < count; i++) {
        _cleanup_free_ char *flag = xasprintf("--%s", table[i].name);
        offer(cli, partial, flag, table[i].help);
    }
    offer(cli, partial, "--help", "Prints the command's help.");
}

/* False: files, or anything at all. */
static bool offer_value(const struct cli *cli, const struct option *flag, const char *partial)
{
    if (strcmp(flag->name, "output") != 0)
        return false;
    offer(cli, partial, "json", NULL);
    offer(cli, partial, "yaml", NULL);
    offer(cli, partial, "wide", NULL);
    return true;
}

/* --- names from the cluster ----------------------------------------------------------------- */

struct names {
    const struct cli *cli;
    const char *partial, *before;
};

static void on_name(void *userdata, struct kube_object *object)
{
    const struct names *names = userdata;
    _cleanup_free_ char *value = xasprintf("%s%s", names->before, kube_object_name(object));

    offer(names->cli, names->partial, value, NULL);
}

/* The value of a flag among the words, "--name value" or "--name=value". */
static const char *value_of(const struct strv *words, const char *flag)
{
    size_t len = strlen(flag);

    for (size_t i = 0; i + 1 < words->len; i++) {
        if (strcmp(words->items[i], flag) == 0)
            return words->items[i + 1];
        if (begins(words->items[i], flag) && words->items[i][len] == '=')
            return words->items[i] + len + 1;
    }
    return NULL;
}

/* Without a cluster there are none, and nobody wants an error in the middle of a line. */
static void offer_names(struct cli *cli, const char *partial)
{
    const struct kube_list_options metadata = {.metadata_only = true, .min_version = "0"};
    bool nodes = begins(partial, "node/");
    struct names names = {.cli = cli, .partial = partial, .before = nodes ? "node/" : ""};
    _cleanup_(cluster_freep) struct cluster *cluster = NULL;
    _cleanup_error_ struct error err = {0};

    cli->kubeconfig = value_of(&cli->operands, "--kubeconfig");
    cli->context = value_of(&cli->operands, "--context");
    cli->timeout_ms = TIMEOUT_MS;
    if (cluster_open(cli, &cluster, &err) < 0)
        return;
    cluster_list(cluster, nodes ? &cluster_apparmor_nodes : &cluster_profiles, NULL, &metadata,
                 on_name, &names, &err);
    cluster_wait(cluster);
}

/* --- the word ------------------------------------------------------------------------------- */

static enum directive offer_operands(struct cli *cli, const struct command *command,
                                     const char *partial)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    const char *what = command->what ? command->what : "";

    if (strcmp(what, "profile") == 0)
        offer_names(cli, partial);
    for (size_t i = 0; strcmp(what, "shell") == 0 && i < ARRAY_SIZE(shells); i++)
        offer(cli, partial, shells[i], NULL);
    return strcmp(what, "file") == 0 ? FILES : NO_FILES;
}

static enum directive complete(struct cli *cli)
{
    const struct strv *words = &cli->operands;
    const char *partial = words->len > 0 ? words->items[words->len - 1] : "";
    const struct command *command = words->len > 1 ? find_command(words->items[0]) : NULL;
    size_t count;

    for (size_t i = 0; words->len < 2 && commands[i]; i++)
        if (commands[i]->summary)
            offer(cli, partial, commands[i]->name, commands[i]->summary);
    if (!command)
        return NO_FILES;

    _cleanup_free_ struct option *table = command_options(command, &count);
    const struct option *flag = flag_of(table, count, words->items[words->len - 2]);
    if (words->len > 2 && flag && flag->type != OPTION_BOOL)
        return offer_value(cli, flag, partial) ? NO_FILES : FILES;
    if (*partial == '-') {
        offer_flags(cli, table, count, partial);
        return NO_FILES;
    }
    return offer_operands(cli, command, partial);
}

static int run(struct cli *cli, struct error *err)
{
    (void) err;
    fprintf(cli->out, ":%d\n", complete(cli));
    return CLI_OK;
}

const struct command command_complete = {
    .name = "__complete",
    .raw = true,
    .run = run,
};
