// SPDX-License-Identifier: Apache-2.0
#include "cli/proposal.h"

#include <criterion/criterion.h>
#include <string.h>

#include "cli/amend.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/digest.h"

/* What is proposed, with the apparmor_parser of this machine. */

static struct checker *checker;
static struct strv features;

static void setup(void)
{
    const struct checker_options options = {.features = &features};

    alloc_init();
    strv_add(&features, "/etc/apparmor.d/abi/3.0");
    cr_assert_eq(checker_new(&options, &checker, NULL), 0);
}

static void teardown(void)
{
    checker_free(checker);
    strv_done(&features);
}

TestSuite(proposal, .init = setup, .fini = teardown);

#define DENIAL(class, rest)                                                              \
    "{\"profile\":\"web\",\"object\":\"web\",\"outcome\":\"Allowed\",\"class\":\"" class \
        "\",\"operation\":\"open\",\"count\":2,\"nodes\":[\"n1\"],\"pods\":[\"d/p/c\"]," rest "}"
#define FILE_(name, rights) DENIAL("file", "\"name\":\"" name "\",\"denied\":\"" rights "\"")

static cJSON *parse(const char *text)
{
    cJSON *json = NULL;

    cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0, "%s", text);
    return json;
}

static void expect(const char *policy, const char *denials, const char *expected)
{
    const struct proposal_options options = {.checker = checker};
    _cleanup_json_ cJSON *list = parse(denials);
    _cleanup_buf_ struct buf out = BUF_INIT(64 * 1024);
    struct proposal proposal;
    const cJSON *row;

    proposal_init(&proposal, list, policy, &options);
    cJSON_ArrayForEach(row, proposal.rules)
    {
        buf_addf(&out, "%s (%lld)\n", value_text(row, "rule"),
                 (long long) json_int(json_get(row, "count"), 0));
    }
    cJSON_ArrayForEach(row, proposal.not_covered)
    {
        buf_addf(&out, "! %s\n", value_text(row, "why"));
    }
    cr_assert_str_eq(buf_string(&out), expected);
    proposal_done(&proposal);
}

#define LOADER                                       \
    FILE_("/etc/ld.so.cache", "r")                   \
    "," FILE_("/usr/lib/x86_64-linux-gnu/libc.so.6", \
              "rm") "," FILE_("/usr/share/zoneinfo/Europe/Berlin", "r")

Test(proposal, an_abstraction_that_allows_several_is_proposed)
{
    expect("include <tunables/global>\nprofile web { }\n", "[" LOADER "," FILE_("/srv/x", "r") "]",
           "include <abstractions/base> (6)\n/srv/x r, (2)\n");
}

Test(proposal, not_one_that_is_there_or_could_not_be_included)
{
    expect("include <tunables/global>\nprofile web { include <abstractions/base> }\n",
           "[" LOADER "]",
           "/etc/ld.so.cache r, (2)\n"
           "/usr/lib/@{multiarch}/libc.so* mr, (2)\n"
           "/usr/share/zoneinfo/Europe/Berlin r, (2)\n");
    expect("profile web { }\n", "[" LOADER "]",
           "/etc/ld.so.cache r, (2)\n"
           "/usr/lib/x86_64-linux-gnu/libc.so* mr, (2)\n"
           "/usr/share/zoneinfo/Europe/Berlin r, (2)\n");
}

Test(proposal, not_one_that_allows_less)
{
    expect("include <tunables/global>\nprofile web { }\n",
           "[" FILE_("/etc/ld.so.cache", "w") "," FILE_("/etc/localtime",
                                                        "w") "," FILE_("/usr/share/zoneinfo/x",
                                                                       "w") "]",
           "/etc/ld.so.cache w, (2)\n/etc/localtime w, (2)\n/usr/share/zoneinfo/x w, (2)\n");
}

Test(proposal, denials_of_any_shape_do_no_harm)
{
    expect("profile web { }", "[7,{},{\"class\":\"file\"},[]]",
           "! it is not understood\n! it is not understood\n! it is not understood\n"
           "! it is not understood\n");
}

/* --- what attackers may name ---------------------------------------------------------------- */

static void on_compiled(void *userdata, struct compiled *compiled, const struct error *err)
{
    char *digest = userdata;

    cr_assert(compiled, "%s", error_message(err));
    cr_assert_eq(compiled->blob->count, 1);
    cr_assert_str_eq(compiled->blob->profiles[0].name, "web");
    digest_hex(DIGEST_SHA256, &(struct digest_part){compiled->data, compiled->len}, 1, digest);
    compiled_free(compiled);
}

static void digest_of(const char *rules, char ret[static DIGEST_HEX_SIZE])
{
    static char name[] = "web";
    _cleanup_free_ char *text = xasprintf("profile web {\n%s}\n", rules);
    const struct policy_profile profile = {.name = name, .text = text, .text_len = strlen(text)};

    checker_compile(checker, &profile, on_compiled, ret);
    checker_wait(checker);
}

static const char *const names[] = {
    "/x/plain",
    "/x/a b",
    "/x/a\"b",
    "/x/a\\b",
    "/x/a*b",
    "/x/a?b",
    "/x/[ab]",
    "/x/{a,b}",
    "/x/a,b",
    "/x/@{HOME}/b",
    "/x/#c",
    "/x/a#c",
    "/x/a^b",
    "/x/[^a]",
    "/x/ü€😀",
    "/x/ rw,",
    "/x/} profile y {",
    "/x/\"rw, /** rwix, #",
    "/x/\\",
    "/x/a\\\"",
    "/x/-> /y",
    "/x/!a",
    "/x/'a'",
    "/x/$HOME",
    "/x/a(b)c",
    "/x/a=b",
    "/x/a\\\\*",
    "/x/**",
    "/x/]a[",
    "/x/}a{",
    "/x/\\052",
    "/x/a&b",
    "/x/include <y>",
    "/x/<a>",
    "/x/a:b",
};

/* Each byte as an octal escape, which means itself whatever it is. */
static void add_octal(struct buf *out, const char *name)
{
    buf_add_char(out, '"');
    for (; *name; name++)
        buf_addf(out, *name == '/' ? "/" : "\\%03o", (unsigned char) *name);
    buf_add_string(out, "\" r,\n");
}

Test(proposal, a_rule_for_a_name_allows_that_name_and_no_other)
{
    static const struct audit_rule_options exact = {.exact = true};
    _cleanup_buf_ struct buf rules = BUF_INIT(64 * 1024), octal = BUF_INIT(64 * 1024);
    char found[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct audit_access access = {.class = AUDIT_FILE};
        struct audit_rule rule;
        _cleanup_free_ char *text = NULL;

        access.fields[AUDIT_FIELD_PROFILE] = "web";
        access.fields[AUDIT_FIELD_NAME] = names[i];
        access.fields[AUDIT_FIELD_DENIED] = "r";
        cr_assert_eq(audit_rule_of(&access, &exact, &rule, NULL), 0, "%s", names[i]);
        text = audit_rule_print(&rule);
        buf_addf(&rules, "%s\n", text);
        add_octal(&octal, names[i]);
        audit_rule_done(&rule);
    }
    digest_of(buf_string(&rules), found);
    digest_of(buf_string(&octal), expected);
    cr_assert_str_eq(found, expected);
}

/* The same names wherever else a record has names. */
Test(proposal, every_rule_compiles_whatever_the_names)
{
    static const struct {
        enum audit_class class;
        enum audit_field field;
        const char *denied, *operation;
    } kinds[] = {
        {AUDIT_FILE, AUDIT_FIELD_NAME, "rw", "open"},
        {AUDIT_EXEC, AUDIT_FIELD_NAME, "x", "exec"},
        {AUDIT_FILE, AUDIT_FIELD_TARGET, "l", "link"},
        {AUDIT_SIGNAL, AUDIT_FIELD_PEER, "send receive", "signal"},
        {AUDIT_PTRACE, AUDIT_FIELD_PEER, "read", "ptrace"},
        {AUDIT_UNIX, AUDIT_FIELD_PEER, "send receive connect", "sendmsg"},
        {AUDIT_MOUNT, AUDIT_FIELD_NAME, "", "mount"},
        {AUDIT_MOUNT, AUDIT_FIELD_SOURCE, "", "mount"},
        {AUDIT_MOUNT, AUDIT_FIELD_NAME, "", "umount"},
        {AUDIT_MOUNT, AUDIT_FIELD_SOURCE, "", "pivotroot"},
        {AUDIT_DBUS, AUDIT_FIELD_PATH, "send", "dbus_method_call"},
        {AUDIT_DBUS, AUDIT_FIELD_NAME, "bind", "dbus_bind"},
        {AUDIT_DBUS, AUDIT_FIELD_PEER, "receive", "dbus_method_call"},
        {AUDIT_CHANGE_PROFILE, AUDIT_FIELD_TARGET, "", "change_profile"},
        {AUDIT_CAPABILITY, AUDIT_FIELD_NAME, "", "capable"},
        {AUDIT_NETWORK, AUDIT_FIELD_FAMILY, "create", "create"},
        {AUDIT_RLIMIT, AUDIT_FIELD_VALUE, "", "setrlimit"},
    };
    static const struct audit_rule_options usual = {.variables = false};
    _cleanup_buf_ struct buf rules = BUF_INIT(1024 * 1024);
    char digest[DIGEST_HEX_SIZE];
    size_t refused = 0;

    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            struct audit_access access = {.class = kinds[k].class};
            struct audit_rule rule;

            access.fields[AUDIT_FIELD_PROFILE] = "web";
            access.fields[AUDIT_FIELD_OPERATION] = kinds[k].operation;
            access.fields[AUDIT_FIELD_NAME] = "/n/";
            access.fields[AUDIT_FIELD_SOURCE] = "/s/";
            access.fields[AUDIT_FIELD_RLIMIT] = "nofile";
            access.fields[AUDIT_FIELD_DENIED] = kinds[k].denied;
            access.fields[kinds[k].field] = names[i];
            if (audit_rule_of(&access, &usual, &rule, NULL) < 0) {
                refused++;
                continue;
            }
            _cleanup_free_ char *text = audit_rule_print(&rule);
            buf_addf(&rules, "%s\n", text);
            audit_rule_done(&rule);
        }
    }
    /* Words of the language are none of these names. */
    cr_assert_eq(refused, 3 * ARRAY_SIZE(names));
    digest_of(buf_string(&rules), digest);
}
