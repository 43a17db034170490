// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/profile.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/digest.h"
#include "lib/base/utf8.h"
#include "lib/policy/selector.h"

#define KIND "AppArmorProfile"

#define refuse(err, ...) error_set_reason(err, -EINVAL, POLICY_REASON_INVALID, __VA_ARGS__)

static bool is_null(const cJSON *json)
{
    return !json || cJSON_IsNull(json);
}

static bool lower_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool subdomain_valid(const char *name)
{
    for (size_t i = 0; name[i]; i++) {
        char before = i ? name[i - 1] : '.';
        char after = name[i + 1] ? name[i + 1] : '.';

        if (lower_alphanumeric(name[i]))
            continue;
        if (name[i] == '-' && before != '.' && after != '.')
            continue;
        if (name[i] == '.' && lower_alphanumeric(before) && lower_alphanumeric(after))
            continue;
        return false;
    }
    return *name;
}

int policy_name_check(const char *name, struct error *err)
{
    if (!name || !*name)
        return refuse(err, "metadata.name: missing");
    if (strlen(name) > POLICY_NAME_MAX)
        return refuse(err,
                      "metadata.name: %zu characters are too many: at most %d fit in the node "
                      "label apparmor.io/profile-<name>",
                      strlen(name), POLICY_NAME_MAX);
    if (!subdomain_valid(name))
        return refuse(err,
                      "metadata.name: '%s' is not a lower-case RFC 1123 subdomain: use a-z, 0-9, "
                      "'-' and '.', beginning and ending with a letter or digit",
                      name);
    return 0;
}

void policy_revision(const char *text, size_t len, enum policy_mode mode,
                     char ret[static POLICY_REVISION_SIZE])
{
    const char *name = policy_mode_name(mode);
    /* No mode's name holds a line break, so that two pairs never digest alike. */
    struct digest_part parts[] = {{name, strlen(name)}, {"\n", 1}, {text, len}};
    char hex[DIGEST_HEX_SIZE];

    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), hex);
    memcpy(ret, hex, POLICY_REVISION_SIZE - 1);
    ret[POLICY_REVISION_SIZE - 1] = '\0';
}

static int check_kind(const cJSON *object, struct error *err)
{
    const char *version = json_string(object, "apiVersion");
    const char *kind = json_string(object, "kind");

    if (!cJSON_IsObject(object))
        return refuse(err, "not an object: an %s is wanted", KIND);
    if (!version || strcmp(version, POLICY_API_VERSION) != 0)
        return refuse(err, "apiVersion: must be " POLICY_API_VERSION);
    if (!kind || strcmp(kind, KIND) != 0)
        return refuse(err, "kind: must be " KIND);
    return 0;
}

static int parse_metadata(const cJSON *object, struct policy_profile *profile, struct error *err)
{
    const cJSON *metadata = cJSON_GetObjectItemCaseSensitive(object, "metadata");
    const char *name = json_string(metadata, "name");
    const char *uid = json_string(metadata, "uid");
    const cJSON *created = json_get(metadata, "creationTimestamp");

    int r = policy_name_check(name, err);
    if (r < 0)
        return r;
    profile->name = xstrdup(name);
    profile->uid = xstrdup(uid ? uid : "");
    profile->generation = json_int(json_get(metadata, "generation"), 0);
    profile->deleting = !is_null(json_get(metadata, "deletionTimestamp"));
    if (!is_null(created) &&
        (!cJSON_IsString(created) || clock_parse(created->valuestring, &profile->created_ms) < 0))
        return refuse(err, "metadata.creationTimestamp: must be a time as 2006-01-02T15:04:05Z");
    return 0;
}

static int parse_text(const cJSON *spec, struct policy_profile *profile, struct error *err)
{
    const cJSON *policy = cJSON_GetObjectItemCaseSensitive(spec, "policy");

    if (is_null(policy))
        return refuse(err, "spec.policy: missing: write the AppArmor policy text");
    if (!cJSON_IsString(policy))
        return refuse(err, "spec.policy: must be a string: write it as a YAML block (policy: |)");

    const char *text = policy->valuestring;
    size_t len = strlen(text);
    if (len == 0)
        return refuse(err, "spec.policy: empty: write the AppArmor policy text");
    if (len > POLICY_TEXT_MAX)
        return refuse(err, "spec.policy: %zu bytes are too many: at most %d, split the profile",
                      len, POLICY_TEXT_MAX);
    if (!utf8_valid(text, len))
        return refuse(err, "spec.policy: not valid UTF-8: save the text in that encoding");

    profile->text = xstrndup(text, len);
    profile->text_len = len;
    return 0;
}

static int parse_mode(const cJSON *spec, struct policy_profile *profile, struct error *err)
{
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(spec, "mode");

    if (is_null(mode))
        return 0;
    /* Unlike absence, an empty string is no value of the schema's enumeration. */
    if (!cJSON_IsString(mode) || !*mode->valuestring ||
        policy_mode_parse(mode->valuestring, &profile->mode) < 0)
        return refuse(err, "spec.mode: must be Enforce, Complain, Kill or Unconfined");
    return 0;
}

static int parse_placement(const cJSON *spec, struct policy_profile *profile, struct error *err)
{
    const cJSON *selector = cJSON_GetObjectItemCaseSensitive(spec, "nodeSelector");
    const cJSON *attachment = cJSON_GetObjectItemCaseSensitive(spec, "allowHostAttachment");
    const cJSON *adopt = cJSON_GetObjectItemCaseSensitive(spec, "adopt");
    _cleanup_error_ struct error cause = {0};

    if (policy_selector_check(selector, &cause) < 0)
        return refuse(err, "spec.nodeSelector: %s", error_message(&cause));
    if (!is_null(selector))
        profile->selector = cJSON_Duplicate(selector, true);
    if (!is_null(attachment) && !cJSON_IsBool(attachment))
        return refuse(err, "spec.allowHostAttachment: must be true or false");
    profile->allow_host_attachment = cJSON_IsTrue(attachment);
    if (!is_null(adopt) && !cJSON_IsBool(adopt))
        return refuse(err, "spec.adopt: must be true or false");
    profile->adopt = cJSON_IsTrue(adopt);
    return 0;
}

static int parse_rollout(const cJSON *spec, struct policy_profile *profile, struct error *err)
{
    const cJSON *rollout = cJSON_GetObjectItemCaseSensitive(spec, "rollout");
    const cJSON *strategy = cJSON_GetObjectItemCaseSensitive(rollout, "strategy");
    const char *name = cJSON_IsString(strategy) ? strategy->valuestring : "";

    if (is_null(rollout) || (cJSON_IsObject(rollout) && is_null(strategy)))
        return 0;
    profile->progressive = strcmp(name, "Progressive") == 0;
    if (!profile->progressive && strcmp(name, "AllAtOnce") != 0)
        return refuse(err, "spec.rollout.strategy: must be AllAtOnce or Progressive");
    return 0;
}

static int parse_object(const cJSON *object, struct policy_profile *profile, struct error *err)
{
    int r = check_kind(object, err);
    if (r == 0)
        r = parse_metadata(object, profile, err);
    if (r < 0)
        return r;

    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(object, "spec");
    if (!cJSON_IsObject(spec))
        return refuse(err, "spec: missing: write spec.policy with the AppArmor policy text");
    r = parse_text(spec, profile, err);
    if (r == 0)
        r = parse_mode(spec, profile, err);
    if (r == 0)
        r = parse_placement(spec, profile, err);
    if (r == 0)
        r = parse_rollout(spec, profile, err);
    if (r == 0)
        policy_revision(profile->text, profile->text_len, profile->mode, profile->revision);
    return r;
}

int policy_profile_parse(const cJSON *object, struct policy_profile **ret, struct error *err)
{
    _cleanup_(policy_profile_freep) struct policy_profile *profile = xcalloc(1, sizeof(*profile));

    int r = parse_object(object, profile, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(profile);
    return 0;
}

static int check_known(const cJSON *object, const char *place, const char *const *known,
                       struct error *err)
{
    const cJSON *item;

    if (!cJSON_IsObject(object)) /* its type is for policy_profile_parse() to check */
        return 0;
    cJSON_ArrayForEach(item, object)
    {
        const char *const *name = known;
        while (*name && strcmp(item->string, *name) != 0)
            name++;
        if (!*name)
            return refuse(err, "%s%.100s: no such field: correct or remove it", place,
                          item->string);
    }
    return 0;
}

int policy_profile_check_fields(const cJSON *object, struct error *err)
{
    static const char *const TOP[] = {"apiVersion", "kind", "metadata", "spec", "status", NULL};
    static const char *const SPEC[] = {
        "policy", "mode", "nodeSelector", "allowHostAttachment", "adopt", "rollout", NULL};

    int r = check_known(object, "", TOP, err);
    if (r == 0)
        r = check_known(cJSON_GetObjectItemCaseSensitive(object, "spec"), "spec.", SPEC, err);
    return r;
}

void policy_profile_free(struct policy_profile *profile)
{
    if (!profile)
        return;
    free(profile->name);
    free(profile->uid);
    free(profile->text);
    json_free(profile->selector);
    free(profile);
}
