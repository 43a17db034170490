// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/suggest.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/json.h"

static const struct audit_rule_options usual = {.variables = true};

/* The rules for accesses in JSON, one a line with its profile and the number of accesses. */
static char *suggest(const char *const *accesses, const struct audit_rule_options *options)
{
    _cleanup_suggestions_ struct audit_suggestions all = {0};
    struct buf out = BUF_INIT(64 * 1024);

    alloc_init();
    for (size_t i = 0; accesses[i]; i++) {
        _cleanup_free_ char *text =
            xasprintf("{\"profile\":\"web\",\"outcome\":\"Denied\",\"operation\":\"open\",%s}",
                      accesses[i]);
        _cleanup_json_ cJSON *json = NULL;
        _cleanup_error_ struct error err = {0};
        struct audit_access access;

        cr_assert_eq(json_parse(text, strlen(text), &json, NULL), 0, "%s", text);
        cr_assert(audit_access_read(json, &access), "%s", text);
        if (audit_suggestions_add(&all, &access, options, i, &err) < 0)
            buf_addf(&out, "! %s\n", error_message(&err));
    }
    audit_suggestions_arrange(&all, options);
    for (size_t i = 0; i < all.len; i++) {
        _cleanup_free_ char *rule = audit_rule_print(&all.items[i].rule);
        buf_addf(&out, "%s (%zu)\n", rule, all.items[i].access_count);
    }
    return buf_take(&out);
}

#define EXPECT(expected, ...) EXPECT_WITH(&usual, expected, __VA_ARGS__)
#define EXPECT_WITH(options, expected, ...)                                                      \
    do {                                                                                         \
        _cleanup_free_ char *found = suggest((const char *const[]){__VA_ARGS__, NULL}, options); \
        cr_assert_str_eq(found, expected);                                                       \
    } while (0)

#define FILE_(name, rights) "\"class\":\"file\",\"name\":\"" name "\",\"denied\":\"" rights "\""
#define OWNED(name, rights) FILE_(name, rights) ",\"owner\":true"

Test(suggest, rights_of_one_file_are_one_rule)
{
    EXPECT("/srv/x/log rwk, (3)\n", FILE_("/srv/x/log", "r"), FILE_("/srv/x/log", "wc"),
           FILE_("/srv/x/log", "kd"));
    EXPECT("/x/a rw, (2)\n", FILE_("/x/a", "a"), FILE_("/x/a", "rw"));
    EXPECT("/x/a a, (1)\n", FILE_("/x/a", "a"));
}

Test(suggest, what_owners_did_is_allowed_to_owners)
{
    EXPECT("owner /x/a r, (1)\n", OWNED("/x/a", "r"));
    /* Others may read, so that owners may. */
    EXPECT("/x/a r, (2)\n", OWNED("/x/a", "r"), FILE_("/x/a", "r"));
    EXPECT("/x/a r, (1)\nowner /x/a w, (1)\n", OWNED("/x/a", "w"), FILE_("/x/a", "r"));
}

Test(suggest, places_become_variables)
{
    EXPECT("@{PROC}/@{pid}/task/@{tid}/status r, (1)\n",
           FILE_("/proc/@{pid}/task/@{tid}/status", "r"));
    EXPECT("@{sys}/kernel/mm/x r, (1)\n", FILE_("/sys/kernel/mm/x", "r"));
    EXPECT("@{run}/user/@{uid}/bus w, (1)\n", FILE_("/run/user/1000/bus", "w"));
    EXPECT("@{HOME}/.cfg r, (2)\n", FILE_("/root/.cfg", "r"), FILE_("/home/joe/.cfg", "r"));
    EXPECT("/usr/lib/@{multiarch}/libc.so* mr, (1)\n",
           FILE_("/usr/lib/x86_64-linux-gnu/libc.so.6", "rm"));
    EXPECT_WITH(&(struct audit_rule_options){.variables = false},
                "/proc/[0-9]*/status r, (1)\n/root/.cfg r, (1)\n",
                FILE_("/proc/@{pid}/status", "r"), FILE_("/root/.cfg", "r"));
}

Test(suggest, what_differs_between_containers_becomes_a_pattern)
{
    EXPECT("/var/lib/pg/[0-9]*/base/[0-9]*/PG_VERSION r, (2)\n",
           FILE_("/var/lib/pg/15/base/1/PG_VERSION", "r"),
           FILE_("/var/lib/pg/15/base/5/PG_VERSION", "r"));
    EXPECT("/opt/[0-9a-f]*/x r, (1)\n", FILE_("/opt/3f2a9c1e-2b3c-4d5e-8f90-0123456789ab/x", "r"));
    EXPECT("/usr/lib/python[0-9]*/os.py r, (1)\n", FILE_("/usr/lib/python3.11/os.py", "r"));
    EXPECT("/dev/shm/PostgreSQL.[0-9]* rw, (1)\n", FILE_("/dev/shm/PostgreSQL.1804289383", "rw"));
    EXPECT("/run2/..[0-9]*/token r, (1)\n", FILE_("/run2/..2024_01_02_03/token", "r"));
    /* Names that are the same everywhere stay. */
    EXPECT("/etc/ssl/2048.pem r, (1)\n", FILE_("/etc/ssl/2048.pem", "r"));
    EXPECT("@{PROC}/sys/net/core/somaxconn r, (1)\n", FILE_("/proc/sys/net/core/somaxconn", "r"));
    EXPECT_WITH(&((struct audit_rule_options){.variables = true, .exact = true}),
                "/var/lib/pg/15/x r, (1)\n", FILE_("/var/lib/pg/15/x", "r"));
}

Test(suggest, several_files_of_a_folder_of_data_are_all_of_them)
{
    EXPECT("/var/lib/app/* rw, (4)\n", FILE_("/var/lib/app/a", "rw"), FILE_("/var/lib/app/b", "rw"),
           FILE_("/var/lib/app/c", "rw"), FILE_("/var/lib/app/d", "rw"));
    EXPECT("/etc/a r, (1)\n/etc/b r, (1)\n/etc/c r, (1)\n/etc/d r, (1)\n", FILE_("/etc/a", "r"),
           FILE_("/etc/b", "r"), FILE_("/etc/c", "r"), FILE_("/etc/d", "r"));
    /* The agent has seen too many to list. */
    EXPECT("/var/lib/app/* r, (2)\n", FILE_("/var/lib/app/*", "r") ",\"pattern\":true",
           FILE_("/var/lib/app/x", "r"));
}

Test(suggest, programs_run_under_the_same_profile)
{
    EXPECT("/usr/bin/x mrix, (2)\n", "\"class\":\"exec\",\"name\":\"/usr/bin/x\",\"denied\":\"x\"",
           FILE_("/usr/bin/x", "rm"));
}

Test(suggest, each_kind_of_access_has_its_rule)
{
    EXPECT("capability net_admin, (1)\n", "\"class\":\"capability\",\"name\":\"net_admin\"");
    EXPECT(
        "network inet stream, (2)\n",
        "\"class\":\"network\",\"family\":\"inet\",\"socketType\":\"stream\",\"denied\":\"create\"",
        "\"class\":\"network\",\"family\":\"inet\",\"socketType\":\"stream\",\"denied\":\"bind\"");
    EXPECT("signal (send) set=(term) peer=\"a b\", (1)\n",
           "\"class\":\"signal\",\"denied\":\"send\",\"signal\":\"term\",\"peer\":\"a b\"");
    EXPECT("ptrace (read) peer=web, (1)\n",
           "\"class\":\"ptrace\",\"denied\":\"read\",\"peer\":\"web//null-/bin/sh\"");
    EXPECT(
        "unix (create, bind) type=stream, (1)\n",
        "\"class\":\"unix\",\"denied\":\"create bind\",\"socketType\":\"stream\",\"peer\":\"p\"");
    EXPECT("unix (send) type=stream peer=(label=p), (1)\n",
           "\"class\":\"unix\",\"denied\":\"send\",\"socketType\":\"stream\",\"peer\":\"p\"");
    EXPECT("mount fstype=tmpfs options=(rw, nosuid) tmpfs -> /mnt/, (1)\n",
           "\"class\":\"mount\",\"name\":\"/mnt/\",\"source\":\"tmpfs\",\"fsType\":\"tmpfs\","
           "\"flags\":\"rw, nosuid\"");
    EXPECT("set rlimit nofile <= 1024, (1)\n",
           "\"class\":\"rlimit\",\"rlimit\":\"nofile\",\"value\":\"1024\"");
    EXPECT("change_profile -> other, (1)\n", "\"class\":\"change_profile\",\"target\":\"other\"");
    EXPECT("userns create, (1)\n", "\"class\":\"userns\",\"denied\":\"create\"");
    EXPECT("mqueue (read) type=posix /q, (1)\n",
           "\"class\":\"mqueue\",\"denied\":\"read\",\"name\":\"/q\"");
    EXPECT("mqueue (create, read) type=posix /q, (1)\n",
           "\"class\":\"mqueue\",\"denied\":\"create read\",\"name\":\"/q\"");
}

Test(suggest, what_came_of_an_exec_in_complain_is_the_profile_s)
{
    _cleanup_free_ char *profile = audit_rule_profile("web//null-/bin/sh//null-/bin/cat");

    cr_assert_str_eq(profile, "web");
}

Test(suggest, what_no_rule_allows_is_said)
{
    EXPECT("! no rule allows it: the profile needs flags=(attach_disconnected)\n",
           FILE_("x", "r") ",\"info\":\"Failed name lookup - disconnected path\"");
    EXPECT("! the record does not say which queue it was\n",
           "\"class\":\"mqueue\",\"denied\":\"read\"");
    EXPECT("! a hat of that name must be declared in the profile\n",
           "\"class\":\"change_hat\",\"target\":\"h\"");
    EXPECT("! a hat of that name must be declared in the profile\n",
           "\"class\":\"change_hat\",\"info\":\"hat not found\"");
    EXPECT("! no rule allows it: the program has not changed hats as it must\n",
           "\"class\":\"change_hat\",\"target\":\"web\",\"info\":\"failed token match\"");
    EXPECT("! it is not known which rule would allow it\n", "\"class\":\"other\"");
    EXPECT("! the record's name is no word of policy\n",
           "\"class\":\"capability\",\"name\":\"x, /** rw\"");
    EXPECT("! the record's socketType is no word of policy\n",
           "\"class\":\"network\",\"family\":\"inet\",\"socketType\":\"unknown(9)\"");
}

Test(suggest, names_of_attackers_stay_names)
{
    EXPECT("\"/x/a\\042 rw, /\\*\\* rwix, #\" r, (1)\n", FILE_("/x/a\\\" rw, /** rwix, #", "r"));
    EXPECT("\"/x/@\\{HOME\\}\" r, (1)\n", FILE_("/x/@{HOME}", "r"));
    EXPECT("\"/x/\\[a\\]\\?\\134\" r, (1)\n", FILE_("/x/[a]?\\\\", "r"));
    EXPECT("\"/x/a b\" r, (1)\n", FILE_("/x/a b", "r"));
    EXPECT("! the name has bytes that are no text\n", FILE_("/x/a\\\\x0a/** rw,", "r"));
    EXPECT("! the name has characters that nobody sees\n", FILE_("/x/a\\n/** rw,", "r"));
    EXPECT("! the name has characters that nobody sees\n", FILE_("/x/a\\u202e/b", "r"));
    /* A wildcard only where the agent says that it is one. */
    EXPECT("\"/x/\\*\" r, (1)\n", FILE_("/x/*", "r"));
}
