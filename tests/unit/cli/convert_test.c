// SPDX-License-Identifier: Apache-2.0
#include "cli/convert.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/checker.h"
#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/policy/profile.h"

static struct convert convert;

static void setup(void)
{
    alloc_init();
    convert_init(&convert);
}

static void teardown(void)
{
    convert_done(&convert);
}

TestSuite(convert, .init = setup, .fini = teardown);

static void convert_text(const char *name, const char *text)
{
    _cleanup_input_ struct input input = {0};
    _cleanup_error_ struct error err = {0};
    struct buf buf = BUF_INIT(INPUT_SIZE_MAX);

    cr_assert_eq(buf_add_string(&buf, text), 0);
    cr_assert_eq(input_parse(name, &buf, &input, &err), 0, "%s", error_message(&err));
    convert_input(&convert, &input);
}

static const cJSON *made(int index)
{
    return cJSON_GetArrayItem(convert.made, index);
}

/* What was made of one text: "NAME\nPOLICY", or what stands in the way. */
static void expect(const char *file, const char *text, const char *expected)
{
    _cleanup_free_ char *found = NULL, *problems = NULL;

    convert_text(file, text);
    problems = strv_join(&convert.problems, "\n");
    found = xasprintf("%s\n%s", value_text(made(0), "metadata", "name"),
                      value_text(made(0), "spec", "policy"));
    cr_assert_str_eq(made(0) ? found : problems, expected);
}

static void expect_notes(const char *expected)
{
    _cleanup_free_ char *notes = strv_join(&convert.notes, "\n");

    cr_assert_str_eq(notes, expected);
}

Test(convert, a_file_loses_its_attachment)
{
    expect("/etc/apparmor.d/usr.bin.web",
           "include <tunables/global>\n"
           "profile web /usr/bin/{a,b} xattrs=(x=y) flags=(complain) {\n  /x r,\n"
           "  profile kid /bin/kid { }\n}\n",
           "web\n"
           "include <tunables/global>\n"
           "profile web flags=(complain) {\n  /x r,\n"
           "  profile kid /bin/kid { }\n}\n");
    expect_notes("/etc/apparmor.d/usr.bin.web: profile web no longer attaches to /usr/bin/{a,b}: "
                 "pods name it in localhostProfile\n"
                 "/etc/apparmor.d/usr.bin.web: AppArmorProfile web; pods write localhostProfile: "
                 "web and nodeSelector: {apparmor.io/profile-web: \"true\"}");
}

Test(convert, a_name_that_is_a_path_becomes_a_plain_one)
{
    expect("f", "/usr/sbin/my_Web { signal peer=/usr/sbin/my_Web, }\n",
           "my-web\nprofile my_Web { signal peer=/usr/sbin/my_Web, }\n");
    expect_notes("f: profile /usr/sbin/my_Web is now called my_Web\n"
                 "f: rules with \"peer=/usr/sbin/my_Web\" mean the old name: correct them\n"
                 "f: AppArmorProfile my-web; pods write localhostProfile: my_Web and nodeSelector: "
                 "{apparmor.io/profile-my-web: \"true\"}");
}

Test(convert, quoted_names_and_patterns_become_plain_ones)
{
    expect("f", "profile \"/opt/a b/{x,y}*\" { }\n\"/opt/xy\" { }\n/lib/xy (complain) { }\n",
           "f\nprofile xy { }\nprofile xy-2 { }\nprofile xy-3 (complain) { }\n");
}

Test(convert, what_only_quotes_or_brackets_set_apart_stays_apart)
{
    expect("f",
           "\"/opt/a b\"(complain) { }\n"
           "profile two \"/opt/a b\"(complain) { }\n"
           "profile three \"/opt/a b\" xattrs=(x=y)(complain){ }\n"
           "profile four \"/opt/a b\"xattrs=(x=y){ }\n",
           "f\nprofile ab (complain) { }\nprofile two (complain) { }\n"
           "profile three (complain){ }\nprofile four { }\n");
}

Test(convert, a_text_that_reads_otherwise_without_its_attachments_is_a_problem)
{
    expect("f", "a {\n  ,hat\x9a*b { } }\n",
           "f: without its attachments the text is not understood: convert it by hand: the headers "
           "of its profiles are not as a compiler takes them");
}

Test(convert, attachments_may_stay)
{
    convert.keep_attachments = true;
    convert.mode = POLICY_COMPLAIN;
    expect("f", "/usr/bin/web { }\n", "usr-bin-web\n/usr/bin/web { }\n");
    cr_assert(cJSON_IsTrue(json_get(made(0), "spec", "allowHostAttachment")));
    cr_assert_str_eq(value_text(made(0), "spec", "mode"), "Complain");
}

Test(convert, what_the_api_would_refuse_is_a_problem)
{
    expect("f", "include \"/etc/shadow\"\nprofile x { }\n",
           "f: line 1: include may name nothing but a shipped file in angle brackets, on the same "
           "line: write include <abstractions/...>, include <tunables/...> or abi <abi/...>, or "
           "copy the rules into the policy");
}

Test(convert, a_config_map_is_a_file_for_each_key)
{
    convert_text("cm.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: profiles}\n"
                            "data:\n"
                            "  custom.one: |\n    profile custom.one { }\n"
                            "  POLL_TIME: \"30\"\n"
                            "  two: |\n    profile a { }\n    profile b { }\n"
                            "binaryData: {x: eA==}\n");
    cr_assert_eq(cJSON_GetArraySize(convert.made), 2);
    cr_assert_str_eq(value_text(made(0), "metadata", "name"), "custom.one");
    cr_assert_str_eq(value_text(made(0), "spec", "policy"), "profile custom.one { }\n");
    cr_assert_str_eq(value_text(made(1), "metadata", "name"), "two");
    cr_assert_eq(convert.problems.len, 0);
}

#define SPO(version, name, spec)                                    \
    "apiVersion: security-profiles-operator.x-k8s.io/" version "\n" \
    "kind: AppArmorProfile\nmetadata: {name: " name "}\nspec:\n" spec

Test(convert, the_abstract_form_is_written_out)
{
    expect("spo.yaml",
           SPO("v1", "web",
               "  mode: Complain\n"
               "  abstract:\n"
               "    executable: {allowedExecutables: [/bin/web], allowedLibraries: [/lib/a.so*]}\n"
               "    filesystem:\n"
               "      readOnlyPaths: [\"/etc/my conf\", \"ptrace (read),\"]\n"
               "      writeOnlyPaths: [/var/log/x]\n"
               "      readWritePaths: [\"@{HOME}/**\"]\n"
               "    capability: {allowedCapabilities: [net_bind_service]}\n"
               "    ptrace: {allowedAccess: [read, trace], peer: \"@{profile_name}\"}\n"
               "    network: {allowRaw: true, allowedProtocols: {allowTcp: true}}\n"),
           "web\n"
           "include <tunables/global>\n"
           "profile web flags=(complain,attach_disconnected,mediate_deleted) {\n"
           "  include <abstractions/base>\n\n"
           "  \"/bin/web\" ixr,\n"
           "  \"/lib/a.so*\" mr,\n"
           "  \"/etc/my conf\" r,\n"
           "  ptrace (read),\n"
           "  \"/var/log/x\" wlk,\n"
           "  \"@{HOME}/**\" rwlk,\n"
           "  capability net_bind_service,\n"
           "  ptrace (read, trace) peer=@{profile_name},\n"
           "  network raw,\n"
           "  network tcp,\n"
           "}\n");
}

Test(convert, the_text_form_is_taken_as_it_is)
{
    expect("spo.yaml", SPO("v1alpha1", "web", "  policy: \"profile web { }\"\n"),
           "web\nprofile web { }");
}

Test(convert, no_value_breaks_out_of_its_rule)
{
    static const char *const specs[] = {
        "  abstract: {filesystem: {readOnlyPaths: [\"/a\\\" rw, /** rw, #\"]}}\n",
        "  abstract: {filesystem: {readOnlyPaths: [\"/a\\n/** rw,\"]}}\n",
        "  abstract: {filesystem: {readOnlyPaths: [\"/a\\\\\"]}}\n",
        "  abstract: {filesystem: {readOnlyPaths: [relative]}}\n",
        "  abstract: {executable: {allowedExecutables: [7]}}\n",
        "  abstract: {capability: {allowedCapabilities: [\"chown, /** rw\"]}}\n",
        "  abstract: {ptrace: {allowedAccess: [\"read) , file\"]}}\n",
        "  abstract: {ptrace: {allowedAccess: [read], peer: \"a, /** rw\"}}\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
        _cleanup_free_ char *text = xasprintf(SPO("v1", "web", "%s"), specs[i]);
        convert_text("spo.yaml", text);
        cr_assert_eq(cJSON_GetArraySize(convert.made), 0, "%s", specs[i]);
        cr_assert_eq(convert.problems.len, i + 1, "%s", specs[i]);
    }
    convert_text("spo.yaml", SPO("v1", "\"web { file, } profile x\"", "  abstract: {}\n"));
    cr_assert_eq(cJSON_GetArraySize(convert.made), 0);
}

Test(convert, names_are_valid_distinct_and_at_most_55_characters)
{
    static const struct {
        const char *from, *to;
    } names[] = {
        {"web", "web"},
        {"web", "web-2"},
        {"My_Web..App-", "my-web.app"},
        {"/usr/bin/web", "usr-bin-web"},
        {"***", "profile"},
        {"ü", "profile-2"},
        {"a123456789b123456789c123456789d123456789e123456789f12345",
         "a123456789b123456789c123456789d123456789e1234567-1d1ff5"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        _cleanup_free_ char *name = convert_name(&convert, names[i].from);
        cr_assert_eq(policy_name_check(name, NULL), 0, "%s", name);
        if (i + 1 < ARRAY_SIZE(names))
            cr_assert_str_eq(name, names[i].to);
        else
            cr_assert_eq(strlen(name), 55, "%s", name);
    }
}

/* --- with the real compiler ----------------------------------------------------------------- */

static void on_verdict(void *userdata, struct verdict *verdict)
{
    const struct policy_profile *profile = userdata;

    cr_assert_eq(verdict->result, VERDICT_ACCEPTED, "%s: %s", profile->name, verdict->message);
    for (size_t i = 0; i < verdict->warnings.len; i++)
        cr_assert_str_neq(verdict->warnings.items[i].reason, POLICY_WARNING_ATTACHMENT, "%s",
                          profile->name);
    verdict_free(verdict);
}

static void compile_all(void)
{
    static struct strv features;
    const struct checker_options options = {.features = &features};
    size_t count = (size_t) cJSON_GetArraySize(convert.made), i = 0;
    _cleanup_free_ struct policy_profile **profiles = xcalloc(count + 1, sizeof(*profiles));
    _cleanup_error_ struct error err = {0};
    struct checker *checker;
    const cJSON *object;

    strv_add(&features, "/etc/apparmor.d/abi/3.0");
    cr_assert_eq(checker_new(&options, &checker, &err), 0, "%s", error_message(&err));
    cJSON_ArrayForEach(object, convert.made)
    {
        cr_assert_eq(policy_profile_parse(object, &profiles[i], &err), 0, "%s",
                     error_message(&err));
        checker_start(checker, profiles[i], on_verdict, profiles[i]);
        i++;
    }
    checker_wait(checker);
    checker_free(checker);
    for (i = 0; i < count; i++)
        policy_profile_free(profiles[i]);
    strv_done(&features);
}

Test(convert, profiles_of_the_distribution_compile_and_attach_to_nothing)
{
    glob_t files;

    cr_assert_eq(glob("/etc/apparmor.d/*", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        _cleanup_input_ struct input input = {0};
        struct stat st;

        if (stat(files.gl_pathv[i], &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        cr_assert_eq(input_read(files.gl_pathv[i], &input, NULL), 0);
        convert_input(&convert, &input);
    }
    globfree(&files);
    cr_assert_eq(convert.problems.len, 0);
    cr_assert_gt(cJSON_GetArraySize(convert.made), 10);
    compile_all();
}

Test(convert, what_was_written_out_compiles)
{
    convert_text(
        "spo.yaml",
        SPO("v1", "web",
            "  abstract:\n"
            "    executable: {allowedExecutables: [/bin/web], allowedLibraries: [/lib/*]}\n"
            "    filesystem:\n"
            "      readOnlyPaths: [\"/etc/my, conf#1\", \"/a[b]{c,d}(e)\"]\n"
            "      writeOnlyPaths: [/var/log/x]\n"
            "      readWritePaths: [\"@{HOME}/**\"]\n"
            "    ptrace: {allowedAccess: [read, trace], peer: \"@{profile_name}\"}\n"
            "    network: {allowRaw: false, allowedProtocols: {allowUdp: true}}\n"));
    cr_assert_eq(cJSON_GetArraySize(convert.made), 1);
    compile_all();
}
