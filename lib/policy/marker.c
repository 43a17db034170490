// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/marker.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/policy/selector.h"

#define FILE_PREFIX "apparmor.io."
#define FILE_SUFFIX ".profile"
#define RECORD_PREFIX "# apparmor.io: "

enum {
    FORMAT_VERSION = 1,
    HEAD_LINES_MAX = 16,
    PROFILES_MAX = 1000, /* as many as compiled policy may hold */
    UID_MAX = 128,
};

char *marker_file_name(const char *object)
{
    return xasprintf(FILE_PREFIX "%s" FILE_SUFFIX, object);
}

char *marker_object_of_file(const char *file)
{
    size_t len = strlen(file), prefix = strlen(FILE_PREFIX), suffix = strlen(FILE_SUFFIX);

    if (len <= prefix + suffix || strncmp(file, FILE_PREFIX, prefix) != 0 ||
        strcmp(file + len - suffix, FILE_SUFFIX) != 0)
        return NULL;

    _cleanup_free_ char *object = xstrndup(file + prefix, len - prefix - suffix);
    return policy_name_check(object, NULL) < 0 ? NULL : TAKE_PTR(object);
}

void marker_set_text(struct marker *marker, const char *text, size_t len)
{
    digest_sha256(text, len, marker->text);
}

bool marker_text_matches(const struct marker *marker, const char *text, size_t len)
{
    char hex[DIGEST_HEX_SIZE];

    digest_sha256(text, len, hex);
    return strcmp(hex, marker->text) == 0;
}

/* --- writing --- */

static void add_unless_empty(cJSON *object, const char *key, const char *value)
{
    if (*value)
        json_add_string(object, key, value);
}

static cJSON *record_to_json(const struct marker *marker)
{
    cJSON *record = cJSON_CreateObject();

    json_add_int(record, "version", FORMAT_VERSION);
    json_add_string(record, "name", marker->object);
    json_add_string(record, "uid", marker->uid ? marker->uid : "");
    json_add_int(record, "generation", marker->generation);
    json_add_int(record, "createdMs", marker->created_ms);
    json_add_string(record, "revision", marker->revision);
    add_unless_empty(record, "target", marker->target);
    add_unless_empty(record, "build", marker->build);
    add_unless_empty(record, "mode", policy_mode_name(marker->mode));
    if (marker->selector)
        json_add(record, "nodeSelector", cJSON_Duplicate(marker->selector, true));
    if (marker->allow_host_attachment)
        json_add_bool(record, "allowHostAttachment", true);
    if (marker->adopt)
        json_add_bool(record, "adopt", true);
    add_unless_empty(record, "text", marker->text);

    cJSON *profiles = json_add_array(record, "profiles");
    for (size_t i = 0; i < marker->count; i++) {
        cJSON *profile = cJSON_CreateObject();
        json_add_string(profile, "name", marker->profiles[i].name);
        add_unless_empty(profile, "sha1", marker->profiles[i].sha1);
        add_unless_empty(profile, "sha256", marker->profiles[i].sha256);
        json_append(profiles, profile);
    }
    return record;
}

int marker_write_record(const struct marker *marker, struct buf *out)
{
    _cleanup_json_ cJSON *record = record_to_json(marker);
    _cleanup_free_ char *text = json_print(record);

    return buf_addf(out, RECORD_PREFIX "%s\n", text);
}

int marker_write(const struct marker *marker, struct buf *out)
{
    int r = buf_addf(out,
                     "# Managed by apparmor-agent: do not edit, changes are overwritten.\n"
                     "# AppArmorProfile: %s\n"
                     "# To change it: kubectl edit apparmorprofile %s\n"
                     "# The next line is the agent's record of what it owns; without it this file "
                     "is left alone.\n",
                     marker->object, marker->object);

    return r < 0 ? r : marker_write_record(marker, out);
}

/* --- reading --- */

static int bad(struct error *err, const char *key, const char *what)
{
    return error_set(err, -EBADMSG, "the ownership record is damaged: %s: %s", key, what);
}

static bool hex_valid(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* A missing key gives "" unless it is required. */
static int read_hex(const cJSON *object, const char *key, size_t len, bool required, char *ret,
                    struct error *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!value && !required) {
        ret[0] = '\0';
        return 0;
    }
    if (!cJSON_IsString(value) || !hex_valid(value->valuestring, len))
        return bad(err, key, "not a digest");
    memcpy(ret, value->valuestring, len + 1);
    return 0;
}

static int read_count(const cJSON *object, const char *key, int64_t *ret, struct error *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    int64_t number = cJSON_IsNumber(value) ? json_int(value, -1) : -1;

    if (number < 0)
        return bad(err, key, "not a count");
    *ret = number;
    return 0;
}

static int read_identity(const cJSON *record, struct marker *marker, struct error *err)
{
    const char *name = json_string(record, "name");
    const char *uid = json_string(record, "uid");

    if (json_int(json_get(record, "version"), 0) != FORMAT_VERSION)
        return bad(err, "version", "not one that this agent knows");
    if (policy_name_check(name, NULL) < 0)
        return bad(err, "name", "not an object's name");
    if (!uid || strlen(uid) > UID_MAX || !utf8_valid(uid, strlen(uid)))
        return bad(err, "uid", "not a uid");
    marker->object = xstrdup(name);
    marker->uid = xstrdup(uid);

    int r = read_count(record, "generation", &marker->generation, err);
    if (r == 0)
        r = read_count(record, "createdMs", &marker->created_ms, err);
    if (r == 0)
        r = read_hex(record, "revision", POLICY_REVISION_SIZE - 1, true, marker->revision, err);
    if (r == 0)
        r = read_hex(record, "target", POLICY_REVISION_SIZE - 1, false, marker->target, err);
    if (r == 0)
        r = read_hex(record, "build", 64, false, marker->build, err);
    if (r == 0)
        r = read_hex(record, "text", 64, false, marker->text, err);
    return r;
}

static int read_spec(const cJSON *record, struct marker *marker, struct error *err)
{
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(record, "mode");
    const cJSON *selector = cJSON_GetObjectItemCaseSensitive(record, "nodeSelector");
    const cJSON *attachment = cJSON_GetObjectItemCaseSensitive(record, "allowHostAttachment");
    const cJSON *adopt = cJSON_GetObjectItemCaseSensitive(record, "adopt");

    if (mode && (!cJSON_IsString(mode) || policy_mode_parse(mode->valuestring, &marker->mode) < 0))
        return bad(err, "mode", "not a mode");
    if (selector && (!cJSON_IsObject(selector) || policy_selector_check(selector, NULL) < 0))
        return bad(err, "nodeSelector", "not a selector");
    if (attachment && !cJSON_IsBool(attachment))
        return bad(err, "allowHostAttachment", "neither true nor false");
    if (adopt && !cJSON_IsBool(adopt))
        return bad(err, "adopt", "neither true nor false");
    if (selector)
        marker->selector = cJSON_Duplicate(selector, true);
    marker->allow_host_attachment = cJSON_IsTrue(attachment);
    marker->adopt = cJSON_IsTrue(adopt);
    return 0;
}

static int read_profile(const cJSON *item, struct marker_profile *profile, struct error *err)
{
    const char *name = json_string(item, "name");

    if (!name || !*name || !utf8_valid(name, strlen(name)))
        return bad(err, "profiles", "one has no name");
    profile->name = xstrdup(name);

    int r = read_hex(item, "sha1", 40, false, profile->sha1, err);
    if (r == 0)
        r = read_hex(item, "sha256", 64, false, profile->sha256, err);
    return r;
}

static int read_profiles(const cJSON *record, struct marker *marker, struct error *err)
{
    const cJSON *profiles = cJSON_GetObjectItemCaseSensitive(record, "profiles");
    const cJSON *item;

    if (!cJSON_IsArray(profiles))
        return bad(err, "profiles", "not a list");
    int count = cJSON_GetArraySize(profiles);
    if (count > PROFILES_MAX)
        return bad(err, "profiles", "too many");

    marker->profiles = xcalloc((size_t) count + 1, sizeof(*marker->profiles));
    cJSON_ArrayForEach(item, profiles)
    {
        int r = read_profile(item, &marker->profiles[marker->count++], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_record(const char *text, size_t len, struct marker *marker, struct error *err)
{
    _cleanup_error_ struct error cause = {0};
    _cleanup_json_ cJSON *record = NULL;

    if (json_parse(text, len, &record, &cause) < 0)
        return bad(err, "not JSON", error_message(&cause));

    int r = read_identity(record, marker, err);
    if (r == 0)
        r = read_spec(record, marker, err);
    if (r == 0)
        r = read_profiles(record, marker, err);
    return r;
}

/*
 * Finds the record: everything before it must be lines of comment. "#include" is none, so that
 * nothing that the host's parser would act upon can hide there.
 */
static int find_record(const char *data, size_t len, size_t *ret_start, size_t *ret_end,
                       struct error *err)
{
    size_t prefix = strlen(RECORD_PREFIX);
    size_t at = 0;

    for (int line = 0; line < HEAD_LINES_MAX && at < len; line++) {
        const char *end = memchr(data + at, '\n', len - at);
        if (!end)
            break;

        size_t line_len = (size_t) (end - data) - at;
        if (line_len >= prefix && memcmp(data + at, RECORD_PREFIX, prefix) == 0) {
            *ret_start = at + prefix;
            *ret_end = at + line_len;
            return 0;
        }
        if (line_len == 0 || data[at] != '#' || (line_len > 1 && data[at + 1] != ' '))
            break;
        at += line_len + 1;
    }
    return error_set(err, -EBADMSG, "the file carries no ownership record of apparmor-agent");
}

int marker_parse(const char *data, size_t len, struct marker **ret, size_t *ret_text_offset,
                 struct error *err)
{
    _cleanup_(marker_freep) struct marker *marker = xcalloc(1, sizeof(*marker));
    size_t start = 0, end = 0;

    int r = find_record(data, len, &start, &end, err);
    if (r == 0)
        r = read_record(data + start, end - start, marker, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(marker);
    *ret_text_offset = end + 1;
    return 0;
}

void marker_free(struct marker *marker)
{
    if (!marker)
        return;
    for (size_t i = 0; i < marker->count; i++)
        free(marker->profiles[i].name);
    free(marker->profiles);
    free(marker->object);
    free(marker->uid);
    json_free(marker->selector);
    free(marker);
}
