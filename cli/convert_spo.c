// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cli/convert.h"
#include "cli/values.h"
#include "lib/base/alloc.h"

/*
 * AppArmorProfile of security-profiles-operator.x-k8s.io, v1alpha1 and v1:
 * https://github.com/kubernetes-sigs/security-profiles-operator, api/apparmorprofile. Its
 * spec.abstract is lists of what is allowed, which the operator makes into policy text under the
 * object's name.
 */

#define TEXT_MAX (256 * 1024)
#define ITEM_MAX 4096

/* What the operator denies in every profile that it enforces, so that a broad path allows no
 * tampering with kernel or host. */
static const char fixed_rules[] =
    "\n  # Never, whatever is allowed above.\n"
    "  deny mount,\n"
    "  deny @{PROC}/{kcore,kmem,mem,sysrq-trigger} rwklx,\n"
    "  deny @{PROC}/* w,\n"
    "  deny @{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}/** w,\n"
    "  deny @{PROC}/sys/[^k]** w,\n"
    "  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,\n"
    "  deny /sys/{[^f],f[^s]}*/** wklx,\n"
    "  deny /sys/fs/{[^c],c[^g],cg[^r]}*/** wklx,\n"
    "  deny /sys/firmware/efi/efivars/** rwklx,\n"
    "  deny /sys/kernel/security/** rwklx,\n";

struct writer {
    struct buf *out;
    bool complain;
    struct error *err;
};

/* --- values --------------------------------------------------------------------------------- */

/* Globs and variables are meant as such; what could end the rule or the quotes is refused. */
static bool is_path(const char *text)
{
    size_t len = strlen(text);

    if (len == 0 || len > ITEM_MAX || (text[0] != '/' && strncmp(text, "@{", 2) != 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char) text[i] < 0x20 || text[i] == 0x7f || strchr("\"\\", text[i]))
            return false;
    return true;
}

/* Older objects have such rules among the paths. */
static bool is_ptrace(const char *text)
{
    static const char *const known[] = {"ptrace (read),", "ptrace (readby),", "ptrace (trace),",
                                        "ptrace (tracedby),"};

    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(text, known[i]) == 0)
            return true;
    return false;
}

static bool is_word(const char *text, const char *allowed)
{
    return *text && strlen(text) <= ITEM_MAX && text[strspn(text, allowed)] == '\0';
}

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define NAME_LETTERS LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."

static int refuse(const struct writer *writer, const char *field, size_t index, const char *what)
{
    return error_set(writer->err, -EINVAL, "spec.abstract.%s[%zu]: %s", field, index, what);
}

/* --- rules ---------------------------------------------------------------------------------- */

static void add_rule(const struct writer *writer, const char *before, const char *path,
                     const char *rights)
{
    buf_addf(writer->out, "  %s\"%s\" %s,\n", before, path, rights);
}

struct paths {
    const char *section, *key;
    const char *rights;
    const char *denied; /* for an enforced profile; or NULL */
};

static int add_paths(const struct writer *writer, const cJSON *abstract, const struct paths *paths)
{
    _cleanup_free_ char *field = xasprintf("%s.%s", paths->section, paths->key);
    const cJSON *list = json_get(abstract, paths->section, paths->key), *item;
    size_t i = 0;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";

        if (is_ptrace(text)) {
            buf_addf(writer->out, "  %s\n", text);
        } else if (!is_path(text)) {
            return refuse(writer, field, i,
                          "not a path without quotes, backslashes and control characters");
        } else {
            add_rule(writer, "", text, paths->rights);
            if (paths->denied && !writer->complain)
                add_rule(writer, "deny ", text, paths->denied);
        }
        i++;
    }
    return 0;
}

static int add_all_paths(const struct writer *writer, const cJSON *abstract)
{
    static const struct paths all[] = {
        {"executable", "allowedExecutables", "ixr", NULL},
        {"executable", "allowedLibraries", "mr", NULL},
        {"filesystem", "readOnlyPaths", "r", "wlk"},
        {"filesystem", "writeOnlyPaths", "wlk", "r"},
        {"filesystem", "readWritePaths", "rwlk", NULL},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
        r = add_paths(writer, abstract, &all[i]);
    return r;
}

static void add_network(const struct writer *writer, const cJSON *network)
{
    const cJSON *raw = json_get(network, "allowRaw");
    const cJSON *protocols = json_get(network, "allowedProtocols");

    if (cJSON_IsTrue(raw))
        buf_add_string(writer->out, "  network raw,\n");
    else if (cJSON_IsFalse(raw) && !writer->complain)
        buf_add_string(writer->out, "  deny network raw,\n");
    if (cJSON_IsTrue(json_get(protocols, "allowTcp")))
        buf_add_string(writer->out, "  network tcp,\n");
    if (cJSON_IsTrue(json_get(protocols, "allowUdp")))
        buf_add_string(writer->out, "  network udp,\n");
}

static int add_capabilities(const struct writer *writer, const cJSON *list)
{
    const cJSON *item;
    size_t i = 0;

    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";

        if (!is_word(text, LETTERS "_"))
            return refuse(writer, "capability.allowedCapabilities", i,
                          "not a capability such as net_admin");
        buf_addf(writer->out, "  capability %s,\n", text);
        i++;
    }
    return 0;
}

static int add_ptrace(const struct writer *writer, const cJSON *ptrace)
{
    const char *peer = value_text(ptrace, "peer");
    const cJSON *access = json_get(ptrace, "allowedAccess"), *item;
    size_t i = 0;

    if (!cJSON_GetArraySize(access))
        return 0;
    buf_add_string(writer->out, "  ptrace (");
    cJSON_ArrayForEach(item, access)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";

        if (!is_word(text, LETTERS))
            return refuse(writer, "ptrace.allowedAccess", i, "not read, readby, trace or tracedby");
        buf_addf(writer->out, "%s%s", i++ > 0 ? ", " : "", text);
    }
    buf_add_char(writer->out, ')');
    if (*peer && !is_word(peer, NAME_LETTERS "/*?-@{}"))
        return error_set(writer->err, -EINVAL, "spec.abstract.ptrace.peer: not a profile's name");
    buf_addf(writer->out, "%s%s,\n", *peer ? " peer=" : "", peer);
    return 0;
}

int convert_abstract(const char *name, const cJSON *spec, struct buf *out, struct error *err)
{
    const cJSON *abstract = json_get(spec, "abstract");
    const struct writer writer = {
        .out = out,
        .complain = strcmp(value_text(spec, "mode"), "Complain") == 0 ||
                    json_bool(json_get(spec, "complainMode"), false),
        .err = err,
    };
    int r;

    if (!is_word(name, NAME_LETTERS "-"))
        return error_set(err, -EINVAL, "metadata.name: not a profile's name");
    buf_addf(out,
             "include <tunables/global>\nprofile %s flags=(%sattach_disconnected,mediate_deleted) "
             "{\n  include <abstractions/base>\n\n",
             name, writer.complain ? "complain," : "");
    r = add_all_paths(&writer, abstract);
    if (r == 0)
        r = add_capabilities(&writer, json_get(abstract, "capability", "allowedCapabilities"));
    if (r == 0)
        r = add_ptrace(&writer, json_get(abstract, "ptrace"));
    if (r < 0)
        return r;
    add_network(&writer, json_get(abstract, "network"));
    if (!writer.complain)
        buf_add_string(out, fixed_rules);
    buf_add_string(out, "}\n");
    return out->overflow ? error_set(err, -EINVAL, "spec.abstract: larger than a policy may be")
                         : 0;
}

/* --- the object ----------------------------------------------------------------------------- */

void convert_spo(struct convert *convert, const struct input_object *object)
{
    const char *name = value_text(object->json, "metadata", "name");
    const cJSON *spec = json_get(object->json, "spec");
    const char *policy = json_string(spec, "policy");
    _cleanup_free_ char *place =
        xasprintf("%s: AppArmorProfile %s of the Security Profiles Operator", object->input->name,
                  name);
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);
    _cleanup_error_ struct error err = {0};

    if (json_bool(json_get(spec, "disabled"), false))
        convert_note(convert, place, "it is disabled there, and would be loaded here");
    if (policy && *policy) {
        convert_policy(convert, place, name, policy);
        return;
    }
    if (convert_abstract(name, spec, &text, &err) < 0) {
        convert_problem(convert, place, "%s", error_message(&err));
        return;
    }
    convert_note(convert, place, "spec.abstract is written out as policy%s",
                 strstr(buf_string(&text), "deny mount")
                     ? ", with that operator's own deny rules for /proc and /sys"
                     : "");
    convert_policy(convert, place, name, buf_string(&text));
}
