// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/record.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/base/alloc.h"

/* A denial as JSON, so that what it lacks shows as well. */
static char *parse(const char *text)
{
    _cleanup_audit_record_ struct audit_record record = {0};
    enum audit_verdict verdict = audit_record_parse(text, strlen(text), &record);

    cr_assert_eq(verdict, AUDIT_DENIAL, "%d: %s", verdict, text);
    _cleanup_json_ cJSON *json = audit_access_json(&record.access);
    return json_print(json);
}

static enum audit_verdict judge(const char *text)
{
    _cleanup_audit_record_ struct audit_record record = {0};

    return audit_record_parse(text, strlen(text), &record);
}

/* What is in quotes is easier to read with apostrophes. */
static void assert_says(const char *text, const char *expected)
{
    _cleanup_free_ char *found = parse(text), *wanted = xstrdup(expected);

    for (char *c = wanted; *c; c++)
        if (*c == '\'')
            *c = '"';
    cr_expect_str_eq(found, wanted, "%s\nfound    %s\nexpected %s", text, found, wanted);
}

#define HEAD "audit(1700000000.250:42): apparmor=\"DENIED\" "
#define TAIL " pid=7 comm=\"x\""

Test(record, files)
{
    assert_says(HEAD "operation=\"open\" profile=\"web\" name=\"/etc/shadow\"" TAIL
                     " requested_mask=\"wr\" denied_mask=\"w\" fsuid=33 ouid=0",
                "{'outcome':'Denied','class':'file','profile':'web','operation':'open',"
                "'requested':'wr','denied':'w','name':'/etc/shadow'}");
    assert_says(HEAD "operation=\"link\" class=\"file\" profile=\"web\" name=\"/b\"" TAIL
                     " requested_mask=\"l\" denied_mask=\"l\" fsuid=33 ouid=33 target=\"/a\"",
                "{'outcome':'Denied','class':'file','profile':'web','operation':'link',"
                "'requested':'l','denied':'l','name':'/b','target':'/a','owner':true}");
    assert_says(HEAD "operation=\"open\" info=\"Failed name lookup - disconnected path\" error=-13 "
                     "profile=\"web\" name=\"etc/x\"" TAIL
                     " requested_mask=\"r\" denied_mask=\"r\"",
                "{'outcome':'Denied','class':'file','profile':'web','operation':'open',"
                "'requested':'r','denied':'r','name':'etc/x',"
                "'info':'Failed name lookup - disconnected path'}");
}

Test(record, executions_and_changes_of_profile)
{
    assert_says(
        HEAD "operation=\"exec\" class=\"file\" profile=\"web\" name=\"/bin/sh\"" TAIL
             " requested_mask=\"x\" denied_mask=\"x\" fsuid=0 ouid=0 target=\"web//null-/bin/sh\"",
        "{'outcome':'Denied','class':'exec','profile':'web','operation':'exec',"
        "'requested':'x','denied':'x','name':'/bin/sh','target':'web//null-/bin/sh',"
        "'owner':true}");
    assert_says(HEAD "operation=\"change_profile\" info=\"label not found\" error=-2 "
                     "profile=\"web\" name=\"other\"" TAIL,
                "{'outcome':'Denied','class':'change_profile','profile':'web',"
                "'operation':'change_profile','name':'other','info':'label not found'}");
    assert_says(HEAD "operation=\"change_onexec\" class=\"file\" profile=\"web\" name=\"b\"" TAIL
                     " target=\"b\"",
                "{'outcome':'Denied','class':'change_profile','profile':'web',"
                "'operation':'change_onexec','name':'b','target':'b'}");
    assert_says(HEAD "operation=\"change_hat\" info=\"unconfined can not change_hat\" error=-1 "
                     "profile=\"unconfined\"" TAIL,
                "{'outcome':'Denied','class':'change_hat','profile':'unconfined',"
                "'operation':'change_hat','info':'unconfined can not change_hat'}");
}

Test(record, capabilities_and_limits)
{
    assert_says(HEAD "operation=\"capable\" profile=\"web\"" TAIL
                     " capability=12  capname=\"net_admin\"",
                "{'outcome':'Denied','class':'capability','profile':'web','operation':'capable',"
                "'name':'net_admin'}");
    assert_says(HEAD "operation=\"setrlimit\" class=\"rlimits\" profile=\"web\"" TAIL
                     " rlimit=nofile value=4096",
                "{'outcome':'Denied','class':'rlimit','profile':'web','operation':'setrlimit',"
                "'rlimit':'nofile','value':'4096'}");
}

Test(record, sockets)
{
    assert_says(HEAD "operation=\"create\" profile=\"web\"" TAIL " family=\"inet\" "
                     "sock_type=\"raw\" protocol=1 requested_mask=\"create\" "
                     "denied_mask=\"create\"",
                "{'outcome':'Denied','class':'network','profile':'web','operation':'create',"
                "'requested':'create','denied':'create','family':'inet','socketType':'raw',"
                "'protocol':'1'}");
    assert_says(HEAD "operation=\"connect\" class=\"net\" profile=\"web\"" TAIL
                     " family=\"unix\" sock_type=\"stream\" protocol=0 "
                     "requested=\"send receive connect\" denied=\"connect\" addr=none "
                     "peer_addr=\"@/tmp/x\" peer=\"db\"",
                "{'outcome':'Denied','class':'unix','profile':'web','operation':'connect',"
                "'requested':'send receive connect','denied':'connect','peer':'db',"
                "'family':'unix','socketType':'stream','protocol':'0','address':'none',"
                "'peerAddress':'@/tmp/x'}");
    /* A file by its class, a socket by what it is. */
    assert_says(HEAD "operation=\"file_inherit\" class=\"file\" profile=\"web\"" TAIL
                     " family=\"unix\" sock_type=\"stream\" protocol=0 "
                     "requested_mask=\"send\" denied_mask=\"send\"",
                "{'outcome':'Denied','class':'unix','profile':'web','operation':'file_inherit',"
                "'requested':'send','denied':'send','family':'unix','socketType':'stream',"
                "'protocol':'0'}");
}

Test(record, signals_and_traces)
{
    assert_says(HEAD "operation=\"signal\" profile=\"web\"" TAIL
                     " requested_mask=\"send\" denied_mask=\"send\" signal=rtmin+5 peer=\"db\"",
                "{'outcome':'Denied','class':'signal','profile':'web','operation':'signal',"
                "'requested':'send','denied':'send','peer':'db','signal':'rtmin+5'}");
    assert_says(HEAD "operation=\"ptrace\" class=\"ptrace\" profile=\"web\"" TAIL
                     " requested_mask=\"read\" denied_mask=\"read\" peer=\"a//&b\"",
                "{'outcome':'Denied','class':'ptrace','profile':'web','operation':'ptrace',"
                "'requested':'read','denied':'read','peer':'a//&b'}");
}

Test(record, mounts)
{
    assert_says(HEAD "operation=\"mount\" class=\"mount\" info=\"failed flags match\" error=-13 "
                     "profile=\"web\" name=\"/mnt/\"" TAIL
                     " fstype=\"tmpfs\" srcname=\"none\" flags=\"rw, nosuid\"",
                "{'outcome':'Denied','class':'mount','profile':'web','operation':'mount',"
                "'name':'/mnt/','info':'failed flags match','fsType':'tmpfs','source':'none',"
                "'flags':'rw, nosuid'}");
    assert_says(HEAD "operation=\"pivotroot\" profile=\"web\" name=\"/new/\"" TAIL
                     " srcname=\"/new/old/\"",
                "{'outcome':'Denied','class':'mount','profile':'web','operation':'pivotroot',"
                "'name':'/new/','source':'/new/old/'}");
}

Test(record, newer_classes)
{
    assert_says(HEAD "operation=\"userns_create\" class=\"namespace\" "
                     "info=\"Userns create - failed to find unprivileged_userns profile\" "
                     "error=-13 profile=\"unconfined\"" TAIL
                     " requested=\"userns_create\" denied=\"userns_create\" "
                     "target=\"unprivileged_userns\" execpath=\"/usr/bin/x\"",
                "{'outcome':'Denied','class':'userns','profile':'unconfined',"
                "'operation':'userns_create','requested':'userns_create',"
                "'denied':'userns_create','target':'unprivileged_userns',"
                "'info':'Userns create - failed to find unprivileged_userns profile'}");
    assert_says(HEAD "operation=\"uring_override\" class=\"io_uring\" profile=\"web\"" TAIL
                     " requested=\"override_creds\" denied=\"override_creds\" peer=\"db\"",
                "{'outcome':'Denied','class':'io_uring','profile':'web',"
                "'operation':'uring_override','requested':'override_creds',"
                "'denied':'override_creds','peer':'db'}");
    assert_says(HEAD "operation=\"module_load\" class=\"module\" profile=\"web\"" TAIL,
                "{'outcome':'Denied','class':'other','profile':'web',"
                "'operation':'module_load'}");
}

/* No kernel of Debian's mediates them: these are in the form of Ubuntu's sources
 * (security/apparmor/ipc.c, audit_mqueue_cb()), the class behind the rights, in some releases
 * without a blank before it. */
Test(record, message_queues_of_kernels_that_have_rules_for_them)
{
    static const char said[] = "{'outcome':'Denied','class':'mqueue','profile':'web',"
                               "'operation':'open','requested':'read create','denied':'read',"
                               "'name':'/q'}";

    assert_says(HEAD "operation=\"open\" class=\"posix_mqueue\" profile=\"web\" name=\"/q\"" TAIL
                     " requested=\"read create\" denied=\"read\"",
                said);
    assert_says(HEAD "operation=\"open\" profile=\"web\" name=\"/q\"" TAIL
                     " requested=\"read create\" denied=\"read\" class=\"posix_mqueue\" fsuid=0 "
                     "ouid=0",
                said);
    assert_says(HEAD "operation=\"open\" class=\"posix_mqueue\" profile=\"web\" name=\"/q\"" TAIL
                     " requested=\"read create\" denied=\"read\"class=\"posix_mqueue\" fsuid=0 "
                     "ouid=0 olabel=\"db\"",
                said);
    assert_says(HEAD "operation=\"open\" class=\"posix_mqueue\" "
                     "info=\"Failed name lookup - disconnected IPC path\" error=-13 "
                     "profile=\"web\"" TAIL " requested=\"read\" denied=\"read\"",
                "{'outcome':'Denied','class':'mqueue','profile':'web','operation':'open',"
                "'requested':'read','denied':'read',"
                "'info':'Failed name lookup - disconnected IPC path'}");
}

#define MESSAGE                                                                               \
    "msg='apparmor=\"DENIED\" operation=\"dbus_method_call\"  bus=\"system\" path=\"/a/b\" "  \
    "interface=\"a.B\" member=\"Do\" mask=\"send\" name=\"a.Service\" pid=900 label=\"web\" " \
    "peer_pid=12 peer_label=\"unconfined\"\n exe=\"/usr/bin/dbus-daemon\" sauid=101 "         \
    "hostname=? addr=? terminal=?'"

Test(record, messages_of_dbus_are_of_their_process_not_of_the_sender)
{
    static const char text[] =
        "audit(1700000000.250:42): user pid=500 uid=101 auid=4294967295 ses=4294967295 "
        "subj=unconfined " MESSAGE;
    _cleanup_audit_record_ struct audit_record record = {0};

    assert_says(text, "{'outcome':'Denied','class':'dbus','profile':'web',"
                      "'operation':'dbus_method_call','requested':'send','denied':'send',"
                      "'name':'a.Service','peer':'unconfined','bus':'system','path':'/a/b',"
                      "'interface':'a.B','member':'Do'}");
    cr_assert_eq(audit_record_parse(text, strlen(text), &record), AUDIT_DENIAL);
    cr_expect_eq(record.pid, 900);
    cr_expect_eq(record.sender, 500);
}

Test(record, a_program_cannot_pass_its_record_for_the_kernels)
{
    static const char *const texts[] = {
        "audit(1.000:1): user pid=500 uid=0 msg='apparmor=\"DENIED\" operation=\"open\" "
        "profile=\"web\" pid=1'",
        "audit(1.000:1): user pid=500 uid=0 msg='x apparmor=\"DENIED\" operation=\"open\" "
        "profile=\"web\" sender=0'",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        _cleanup_audit_record_ struct audit_record record = {0};

        cr_assert_eq(audit_record_parse(texts[i], strlen(texts[i]), &record), AUDIT_DENIAL);
        cr_expect_eq(record.sender, 500, "%s", texts[i]);
    }
}

Test(record, who_and_when)
{
    static const char text[] = HEAD "operation=\"open\" profile=\"p\" name=\"/x\" pid=4194304 "
                                    "comm=\"cat\" requested_mask=\"r\" denied_mask=\"r\"";
    _cleanup_audit_record_ struct audit_record record = {0};

    cr_assert_eq(audit_record_parse(text, strlen(text), &record), AUDIT_DENIAL);
    cr_expect_eq(record.time_ms, INT64_C(1700000000250));
    cr_expect_eq(record.serial, 42);
    cr_expect_eq(record.pid, 4194304);
    cr_expect_eq(record.sender, 0);
    cr_expect_str_eq(record.comm, "cat");
}

Test(record, outcomes)
{
    assert_says("audit(1.000:1): apparmor=\"ALLOWED\" operation=\"capable\" profile=\"p\" "
                "capname=\"kill\"",
                "{'outcome':'Allowed','class':'capability','profile':'p','operation':'capable',"
                "'name':'kill'}");
    assert_says("audit(1.000:1): apparmor=\"KILLED\" operation=\"capable\" profile=\"p\" "
                "capname=\"kill\"",
                "{'outcome':'Killed','class':'capability','profile':'p','operation':'capable',"
                "'name':'kill'}");
}

Test(record, profiles_of_every_kind)
{
    assert_says(HEAD "operation=\"capable\" namespace=\"root//a//b\" profile=\"p\"",
                "{'outcome':'Denied','class':'capability','profile':'p','policyNamespace':'a//b',"
                "'operation':'capable'}");
    assert_says(HEAD "operation=\"capable\" profile=\"p//kid//hat\"",
                "{'outcome':'Denied','class':'capability','profile':'p//kid//hat',"
                "'operation':'capable'}");
    assert_says(HEAD "operation=\"capable\" label=\"a//&:ns:b\"",
                "{'outcome':'Denied','class':'capability','profile':'a//&:ns:b',"
                "'operation':'capable'}");
    assert_says(HEAD "operation=\"capable\" profile=612062",
                "{'outcome':'Denied','class':'capability','profile':'a b',"
                "'operation':'capable'}");
}

Test(record, values_that_are_encoded)
{
    assert_says(HEAD "operation=\"open\" profile=\"p\" name=2F746D702F6120220A01FF5C78 comm=61FF",
                "{'outcome':'Denied','class':'file','profile':'p','operation':'open',"
                "'name':'/tmp/a \\\"\\\\x0a\\\\x01\\\\xff\\\\x'}");
    /* In quotes, digits are what they are. */
    assert_says(HEAD "operation=\"open\" profile=\"p\" name=\"cafe\" requested_mask=\"ac\" "
                     "denied_mask=\"ac\"",
                "{'outcome':'Denied','class':'file','profile':'p','operation':'open',"
                "'requested':'ac','denied':'ac','name':'cafe'}");
    /* No form of the kernel's: as it stands. */
    assert_says(HEAD "operation=\"open\" profile=\"p\" name=2F7",
                "{'outcome':'Denied','class':'file','profile':'p','operation':'open',"
                "'name':'2F7'}");
    assert_says(HEAD "operation=\"open\" profile=\"p\" name=\"\xc3\xa9\xff\x1b\"",
                "{'outcome':'Denied','class':'file','profile':'p','operation':'open',"
                "'name':'\xc3\xa9\\\\xff\\\\x1b'}");
}

Test(record, process_ids_in_paths_below_proc)
{
    static const struct {
        const char *name, *shown;
    } paths[] = {
        {"/proc/7/environ", "/proc/@{pid}/environ"},
        {"/proc/7/", "/proc/@{pid}/"},
        {"/proc/7", "/proc/@{pid}"},
        {"/proc/7/task/8/comm", "/proc/@{pid}/task/@{tid}/comm"},
        {"/proc/7/task/8", "/proc/@{pid}/task/@{tid}"},
        {"/proc/7/task/", "/proc/@{pid}/task/"},
        {"/proc/7/task/8x", "/proc/@{pid}/task/8x"},
        {"/proc/sys/kernel/7", "/proc/sys/kernel/7"},
        {"/proc/7x/y", "/proc/7x/y"},
        {"/x/proc/7/y", "/x/proc/7/y"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        _cleanup_free_ char *text =
            xasprintf(HEAD "operation=\"open\" profile=\"p\" name=\"%s\"", paths[i].name);
        _cleanup_free_ char *json =
            xasprintf("{'outcome':'Denied','class':'file','profile':'p','operation':'open',"
                      "'name':'%s'}",
                      paths[i].shown);

        assert_says(text, json);
    }
}

Test(record, long_values_are_cut_between_characters)
{
    _cleanup_free_ char *name = xcalloc(1, 2 * AUDIT_TEXT_MAX + 3);
    _cleanup_audit_record_ struct audit_record record = {0};

    memcpy(name, "/p", 2);
    for (size_t i = 2; i < 2 * AUDIT_TEXT_MAX; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    _cleanup_free_ char *text =
        xasprintf(HEAD "operation=\"open\" profile=\"p\" name=\"%s\"", name);
    cr_assert_eq(audit_record_parse(text, strlen(text), &record), AUDIT_DENIAL);
    const char *cut = record.access.fields[AUDIT_FIELD_NAME];
    cr_expect_leq(strlen(cut), AUDIT_TEXT_MAX);
    cr_expect_gt(strlen(cut), AUDIT_TEXT_MAX - 4);
    cr_expect_str_eq(cut + strlen(cut) - 5, "\xc3\xa9\xe2\x80\xa6");
}

Test(record, as_kernel_log_and_auditd_have_it)
{
    static const char *const texts[] = {
        "audit: type=1400 " HEAD "operation=\"capable\" profile=\"p\" capname=\"kill\"\n",
        "type=AVC msg=" HEAD "operation=\"capable\" profile=\"p\" capname=\"kill\"",
        "Nov 22 06:00:00 node-1 kernel: [   12.345678] audit: type=1400 " HEAD
        "operation=\"capable\" profile=\"p\" capname=\"kill\"",
        "type=APPARMOR_DENIED msg=" HEAD "operation=\"capable\" profile=\"p\" capname=\"kill\"",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_says(texts[i], "{'outcome':'Denied','class':'capability','profile':'p',"
                              "'operation':'capable','name':'kill'}");
}

Test(record, what_is_no_denial)
{
    cr_expect_eq(judge("audit(1.000:1): apparmor=\"STATUS\" operation=\"profile_load\" "
                       "profile=\"unconfined\" name=\"p\" pid=1 comm=\"apparmor_parser\""),
                 AUDIT_NO_DENIAL);
    cr_expect_eq(judge("audit(1.000:1): apparmor=\"AUDIT\" operation=\"open\" profile=\"p\""),
                 AUDIT_NO_DENIAL);
    cr_expect_eq(judge("audit(1.000:1): avc:  denied  { read } for  pid=1 comm=\"x\""),
                 AUDIT_FOREIGN);
    cr_expect_eq(judge(""), AUDIT_FOREIGN);
    cr_expect_eq(judge("audit(1.000:1): apparmor=DENIED operation=\"open\" profile=\"p\""),
                 AUDIT_FOREIGN);
}

Test(record, what_cannot_be_understood)
{
    static const char *const texts[] = {
        "apparmor=\"DENIED\" operation=\"open\" profile=\"p\"",
        "audit(x.000:1): apparmor=\"DENIED\" operation=\"open\" profile=\"p\"",
        "audit(1.000:99999999999): apparmor=\"DENIED\" operation=\"open\" profile=\"p\"",
        "audit(99999999999999999999.000:1): apparmor=\"DENIED\" operation=\"open\" profile=\"p\"",
        "audit(1.000:1) apparmor=\"DENIED\" operation=\"open\" profile=\"p\"",
        HEAD "operation=\"open\"",
        HEAD "profile=\"p\"",
        HEAD "operation=\"open\" profile=\"p\" name=\"/cut of",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_expect_eq(judge(texts[i]), AUDIT_MALFORMED, "%s", texts[i]);
    _cleanup_free_ char *many = xcalloc(1, AUDIT_RECORD_MAX + 1);
    memset(many, 'x', AUDIT_RECORD_MAX);
    _cleanup_free_ char *text = xasprintf(HEAD "operation=\"a\" profile=\"p\" name=\"%s\"", many);
    cr_expect_eq(judge(text), AUDIT_MALFORMED);
}

/* One record after another, in the same memory. */
Test(record, nothing_of_one_is_left_in_the_next)
{
    static const char first[] = HEAD "operation=\"open\" profile=\"p\" name=\"/x\" pid=3 "
                                     "comm=\"y\" fsuid=0 ouid=0 requested_mask=\"r\"";
    static const char second[] = "audit(1.000:1): apparmor=\"DENIED\" operation=\"capable\" "
                                 "profile=\"q\"";
    _cleanup_audit_record_ struct audit_record record = {0};

    cr_assert_eq(audit_record_parse(first, strlen(first), &record), AUDIT_DENIAL);
    cr_assert_eq(audit_record_parse(second, strlen(second), &record), AUDIT_DENIAL);
    cr_expect_str_eq(record.access.fields[AUDIT_FIELD_PROFILE], "q");
    cr_expect_null(record.access.fields[AUDIT_FIELD_NAME]);
    cr_expect_eq(record.pid, 0);
    cr_expect_str_eq(record.comm, "");
    cr_expect_not(record.access.owner);
}
