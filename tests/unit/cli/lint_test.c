// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/subject.h"
#include "lib/base/alloc.h"

/* The subcommand as it is, with the apparmor_parser of this machine. */

static char folder[] = "/tmp/lint_test.XXXXXX";

static void setup(void)
{
    alloc_init();
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
    _cleanup_free_ char *command = xasprintf("rm -r %s", folder);

    cr_assert_eq(system(command), 0);
}

TestSuite(lint, .init = setup, .fini = teardown);

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    _cleanup_free_ char *path = path_of(name);
    FILE *file = fopen(path, "w");

    cr_assert_not_null(file);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* Removes "FOLDER/" wherever it stands. */
static void shorten(char *text)
{
    size_t len = strlen(folder) + 1;

    for (char *at = text; (at = strstr(at, folder));)
        memmove(at, at + len, strlen(at + len) + 1);
}

/* Names are separated by blanks. */
static void expect(const char *names, int status, const char *expected)
{
    struct cli cli = {0};
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *copy = xstrdup(names);
    char *out = NULL, *at = copy, *name;
    size_t len;
    int result;

    while ((name = strsep(&at, " ")))
        strv_take(&cli.operands, path_of(name));
    cli.out = open_memstream(&out, &len);
    cli.err = fopen("/dev/null", "w");
    result = command_lint.run(&cli, &err);
    fclose(cli.out);
    fclose(cli.err);
    strv_done(&cli.operands);
    shorten(out);
    cr_assert_str_eq(out, expected);
    cr_assert_eq(result, status, "%d: %s", result, error_message(&err));
    free(out);
}

#define OBJECT(name, spec)               \
    "apiVersion: apparmor.io/v1alpha1\n" \
    "kind: AppArmorProfile\n"            \
    "metadata: {name: " name "}\n"       \
    "spec:\n" spec

Test(lint, nothing_to_say_about_what_is_fine)
{
    write_file("fine.yaml", OBJECT("web", "  policy: |\n"
                                          "    include <tunables/global>\n"
                                          "    profile web {\n"
                                          "      include <abstractions/base>\n"
                                          "    }\n"));
    write_file("fine", "profile raw {\n}\n");
    write_file("other.yaml", "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n");
    expect("fine.yaml fine other.yaml", CLI_OK, "");
}

Test(lint, a_message_names_the_line_of_the_file_and_of_the_policy)
{
    write_file("a.yaml", "# a comment\n---\n" OBJECT("web", "  policy: |\n"
                                                            "    profile web {\n"
                                                            "      capability nope,\n"
                                                            "    }\n"));
    expect("a.yaml", CLI_FINDINGS,
           "a.yaml:9:7: error: Invalid capability nope. [CompileError]\n"
           "    AppArmorProfile web, line 2 of spec.policy\n"
           "      9 |   capability nope,\n"
           "        |   ^~~~~~~~~~~~~~~~\n");
}

Test(lint, a_text_in_quotes_has_its_place_and_the_line_within)
{
    write_file("a.yaml", OBJECT("web", "  policy: \"profile web {\\n capability nope,\\n}\\n\"\n"));
    expect("a.yaml", CLI_FINDINGS,
           "a.yaml:5:11: error: Invalid capability nope. [CompileError]\n"
           "    AppArmorProfile web, line 2 of spec.policy\n"
           "      5 |  capability nope,\n"
           "        |  ^~~~~~~~~~~~~~~~\n");
}

Test(lint, a_rule_without_its_comma_is_the_rule_that_is_shown)
{
    write_file("a", "profile web {\n  /etc/passwd r\n\n  /x r,\n}\n");
    expect("a", CLI_FINDINGS,
           "a:2:3: error: missing an end of line character? (entry: /etc/passwd) [CompileError]\n"
           "      2 |   /etc/passwd r\n"
           "        |   ^~~~~~~~~~~~~\n");
}

Test(lint, a_variable_is_pointed_at)
{
    write_file("a", "profile web {\n  /x/@{NOPE}/** r,\n}\n");
    expect("a", CLI_FINDINGS,
           "a:2:6: error: Found reference to variable NOPE, but is never declared "
           "[CompileError]\n"
           "      2 |   /x/@{NOPE}/** r,\n"
           "        |      ^~~~~~~\n");
}

Test(lint, fields_have_their_place)
{
    write_file("a.yaml", OBJECT("web", "  mode: Lax\n"
                                       "  policy: profile web { }\n"
                                       "  nodeSelektor: {}\n"));
    expect("a.yaml", CLI_FINDINGS,
           "a.yaml:7:3: error: spec.nodeSelektor: no such field: correct or remove it "
           "[InvalidSpec]\n    AppArmorProfile web\n"
           "a.yaml:5:3: error: spec.mode: must be Enforce, Complain, Kill or Unconfined "
           "[InvalidSpec]\n    AppArmorProfile web\n");
}

Test(lint, a_name_that_is_too_long_is_found_in_a_list)
{
    write_file("a.yaml", "kind: List\nitems:\n"
                         "- apiVersion: apparmor.io/v1alpha1\n  kind: AppArmorProfile\n"
                         "  metadata:\n"
                         "    name: a123456789b123456789c123456789d123456789e123456789f12345\n"
                         "  spec: {policy: \"profile a { }\"}\n");
    expect("a.yaml", CLI_FINDINGS,
           "a.yaml:6:5: error: metadata.name: 56 characters are too many: at most 55 fit in the "
           "node label apparmor.io/profile-<name> [InvalidSpec]\n"
           "    AppArmorProfile a123456789b123456789c123456789d123456789e123456789f12345\n");
}

Test(lint, two_objects_with_one_profile_clash)
{
    write_file("a.yaml", OBJECT("web", "  policy: profile web { }\n"));
    write_file("b.yaml", OBJECT("api", "  policy: profile web { }\n"));
    expect("a.yaml b.yaml", CLI_FINDINGS,
           "b.yaml:3:12: warning: the policy declares \"web\" and no profile \"api\": pods then "
           "select nodes by one name and ask for another [OtherName]\n"
           "    AppArmorProfile api\n"
           "b.yaml:3:12: error: profile \"web\" is also declared by AppArmorProfile web (a.yaml): "
           "only one of them can have it on a node [NameConflict]\n"
           "    AppArmorProfile api\n");
}

Test(lint, yaml_that_is_none_is_a_finding_a_missing_file_is_not)
{
    write_file("a.yaml", "kind: [\n");
    expect("a.yaml", CLI_FINDINGS,
           "a.yaml:2:1: error: invalid YAML: line 2, column 1: did not "
           "find expected node content [InvalidYAML]\n");
    expect("missing.yaml", CLI_FAILED, "");
}

Test(lint, several_messages_are_several_findings)
{
    _cleanup_findings_ struct findings findings = {0};
    struct input input = {.name = (char[]){"f"}};
    struct subject *subject;

    buf_init(&input.text, 1000);
    cr_assert_eq(buf_add_string(&input.text, "one\ntwo\n"), 0);
    subject = subject_of_policy(&input, &findings);
    subject_find(subject, &findings, false, "R",
                 "line 2: a; b; line 1: c; abstractions/base, line 7: d");
    cr_assert_eq(findings.len, 3);
    cr_assert_str_eq(findings.items[0].message, "a; b");
    cr_assert_eq(findings.items[0].line, 2);
    cr_assert_str_eq(findings.items[1].message, "c");
    cr_assert_str_eq(findings.items[2].message, "abstractions/base, line 7: d");
    cr_assert_eq(findings.items[2].line, 0);
    subject_free(subject);
    buf_done(&input.text);
}
