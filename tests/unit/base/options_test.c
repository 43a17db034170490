// SPDX-License-Identifier: Apache-2.0
#include "lib/base/options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"

static char *kubeconfig, *node;
static bool once;
static unsigned port;
static struct strv hosts;

static const struct option table[] = {
    {"kubeconfig", OPTION_STRING, &kubeconfig, "FILE", "Credentials.", NULL, NULL, 'k'},
    {"node-name", OPTION_STRING, &node, "NAME", "This node.", "TEST_NODE_NAME", "localhost", 0},
    {"once", OPTION_BOOL, &once, NULL, "One pass.", NULL, NULL, 'o'},
    {"port", OPTION_UINT, &port, "PORT", "Where to listen.", "TEST_PORT", "9090", 0},
    {"host", OPTION_STRINGS, &hosts, "HOST", "A name.", NULL, "default-host", 0},
};
static const struct options options = {.program = "prog",
                                       .summary = "does things",
                                       .table = table,
                                       .count = ARRAY_SIZE(table)};
static struct strv operands;
static const struct options collecting = {.program = "prog",
                                          .summary = "does things",
                                          .table = table,
                                          .count = ARRAY_SIZE(table),
                                          .operands = &operands};

static void forget(void)
{
    free(kubeconfig);
    free(node);
    strv_done(&hosts);
    strv_done(&operands);
}

TestSuite(options, .fini = forget);

#define PARSE_AS(table, ret_first, outcome, err, ...)                           \
    options_parse(table, (int) ARRAY_SIZE(((char *[]){"prog", ##__VA_ARGS__})), \
                  (char *[]){"prog", ##__VA_ARGS__, NULL}, ret_first, outcome, err)
#define PARSE(ret_first, outcome, err, ...) \
    PARSE_AS(&options, ret_first, outcome, err, ##__VA_ARGS__)

Test(options, both_spellings_of_a_value)
{
    enum options_outcome outcome;

    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--kubeconfig", "a=b", "--node-name=n=1", "--once",
                       "--port=80"),
                 0);
    cr_assert_eq(outcome, OPTIONS_RUN);
    cr_assert_str_eq(kubeconfig, "a=b");
    cr_assert_str_eq(node, "n=1");
    cr_assert(once);
    cr_assert_eq(port, 80);
}

Test(options, defaults_environment_command_line_in_that_order)
{
    enum options_outcome outcome;

    unsetenv("TEST_NODE_NAME");
    cr_assert_eq(PARSE(NULL, &outcome, NULL), 0);
    cr_assert_null(kubeconfig);
    cr_assert_str_eq(node, "localhost");
    cr_assert_eq(port, 9090);
    setenv("TEST_NODE_NAME", "from-env", 1);
    setenv("TEST_PORT", "", 1);
    cr_assert_eq(PARSE(NULL, &outcome, NULL), 0);
    cr_assert_str_eq(node, "from-env");
    cr_assert_eq(port, 9090);
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--node-name", "given"), 0);
    cr_assert_str_eq(node, "given");
}

Test(options, lists_add_up_and_replace_their_default)
{
    enum options_outcome outcome;

    cr_assert_eq(PARSE(NULL, &outcome, NULL), 0);
    cr_assert_eq(hosts.len, 1);
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--host", "a", "--host=b"), 0);
    cr_assert_eq(hosts.len, 2);
    cr_assert_str_eq(hosts.items[0], "a");
    cr_assert_str_eq(hosts.items[1], "b");
}

Test(options, booleans_can_be_turned_off)
{
    enum options_outcome outcome;

    once = true;
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--once=false"), 0);
    cr_assert_not(once);
}

static void assert_refused(int r, const struct error *err, const char *message)
{
    cr_assert_eq(r, -EINVAL);
    cr_assert_not_null(strstr(error_message(err), message), "%s", error_message(err));
}

Test(options, errors_name_the_flag_and_what_it_takes)
{
    _cleanup_error_ struct error err = {0};
    enum options_outcome outcome;

    assert_refused(PARSE(NULL, &outcome, &err, "--nope=1"), &err,
                   "there is no flag --nope; prog --help lists them");
    assert_refused(PARSE(NULL, &outcome, &err, "--nod=1"), &err, "there is no flag --nod;");
    assert_refused(PARSE(NULL, &outcome, &err, "-x"), &err, "there is no flag -x;");
    assert_refused(PARSE(NULL, &outcome, &err, "--port"), &err,
                   "--port wants a value: --port=PORT");
    assert_refused(PARSE(NULL, &outcome, &err, "--port=80x"), &err,
                   "--port takes a number from 0 to 4294967295, not \"80x\"");
    assert_refused(PARSE(NULL, &outcome, &err, "--port=-1"), &err, "not \"-1\"");
    assert_refused(PARSE(NULL, &outcome, &err, "--port=4294967296"), &err, "not \"4294967296\"");
    assert_refused(PARSE(NULL, &outcome, &err, "--port="), &err, "not \"\"");
    assert_refused(PARSE(NULL, &outcome, &err, "--once=maybe"), &err,
                   "--once takes true or false, not \"maybe\"");
    assert_refused(PARSE(NULL, &outcome, &err, "operand"), &err, "unexpected argument \"operand\"");
    setenv("TEST_PORT", "x", 1);
    assert_refused(PARSE(NULL, &outcome, &err), &err, "TEST_PORT takes a number");
}

Test(options, operands_begin_where_flags_end)
{
    enum options_outcome outcome;
    int first = 0;

    cr_assert_eq(PARSE(&first, &outcome, NULL, "--once", "status", "--port=x"), 0);
    cr_assert_eq(first, 2);
    cr_assert_eq(PARSE(&first, &outcome, NULL, "--", "--once"), 0);
    cr_assert_eq(first, 2);
    cr_assert_eq(PARSE(&first, &outcome, NULL, "-"), 0);
    cr_assert_eq(first, 1);
    cr_assert_eq(PARSE(&first, &outcome, NULL), 0);
    cr_assert_eq(first, 1);
}

Test(options, help_and_version_need_nothing_else)
{
    enum options_outcome outcome;

    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--help"), 0);
    cr_assert_eq(outcome, OPTIONS_HELP);
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "--once", "--version", "junk"), 0);
    cr_assert_eq(outcome, OPTIONS_VERSION);
}

Test(options, help_lists_every_flag)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);

    options_print_help(&options, stream);
    options_print_version(&options, stream);
    fclose(stream);
    for (size_t i = 0; i < options.count; i++)
        cr_assert_not_null(strstr(text, table[i].name));
    cr_assert_not_null(strstr(text, "  --node-name NAME (default localhost, or $TEST_NODE_NAME)\n"
                                    "      This node.\n"),
                       "%s", text);
    cr_assert_not_null(strstr(text, "\nprog "));
    free(text);
}

Test(options, letters_take_their_value_beside_them_or_in_the_next_argument)
{
    enum options_outcome outcome;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(PARSE(NULL, &outcome, NULL, "-k", "one", "-o"), 0);
    cr_assert_str_eq(kubeconfig, "one");
    cr_assert(once);
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "-ktwo"), 0);
    cr_assert_str_eq(kubeconfig, "two");
    cr_assert_eq(PARSE(NULL, &outcome, NULL, "-k=three"), 0);
    cr_assert_str_eq(kubeconfig, "three");
    cr_assert_eq(PARSE(NULL, &outcome, &err, "-k"), -EINVAL);
    cr_assert_str_eq(error_message(&err), "-k wants a value: -k=FILE");
    cr_assert_eq(PARSE(NULL, &outcome, &err, "-z"), -EINVAL);
    cr_assert_str_eq(error_message(&err), "there is no flag -z; prog --help lists them");
}

Test(options, operands_may_stand_between_flags)
{
    enum options_outcome outcome;

    cr_assert_eq(PARSE_AS(&collecting, NULL, &outcome, NULL, "a", "--once", "-", "--", "--port"),
                 0);
    cr_assert_eq(outcome, OPTIONS_RUN);
    cr_assert(once);
    cr_assert_eq(operands.len, 3);
    cr_assert_str_eq(operands.items[0], "a");
    cr_assert_str_eq(operands.items[1], "-");
    cr_assert_str_eq(operands.items[2], "--port");
}
