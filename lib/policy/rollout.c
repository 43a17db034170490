// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/rollout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/digest.h"

/* Hex digits of a hash, and of a name's part that tells revisions apart. */
#define HASH_DIGITS 16

static int bad(struct error *err, const char *field)
{
    return error_set_reason(err, -EINVAL, POLICY_REASON_INVALID,
                            "annotation " POLICY_ROLLOUT_ANNOTATION ": %s: not what the controller "
                            "writes",
                            field);
}

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdef") == len;
}

/* `optional`: "" will do. */
static int read_revision(const cJSON *json, const char *key, bool optional,
                         char ret[static POLICY_REVISION_SIZE], struct error *err)
{
    const char *text = json_string(json, key);

    if (!text || (!(optional && !*text) && !is_hex(text, POLICY_REVISION_SIZE - 1)))
        return bad(err, key);
    memcpy(ret, text, strlen(text) + 1);
    return 0;
}

static bool namespace_valid(const char *text)
{
    size_t len = strlen(text);

    return len > 0 && len <= POLICY_ROLLOUT_NAMESPACE_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && text[0] != '-' &&
           text[len - 1] != '-';
}

static int read_numbers(const cJSON *json, struct policy_rollout *rollout, struct error *err)
{
    int64_t percent = json_int(json_get(json, "percent"), 0);
    const char *threshold = json_string(json, "threshold"), *ns = json_string(json, "namespace");

    if (percent < 1 || percent > 100)
        return bad(err, "percent");
    if (!threshold || !is_hex(threshold, HASH_DIGITS))
        return bad(err, "threshold");
    if (!ns || !namespace_valid(ns))
        return bad(err, "namespace");
    rollout->percent = (unsigned) percent;
    rollout->threshold = strtoull(threshold, NULL, 16);
    memcpy(rollout->ns, ns, strlen(ns) + 1);
    return 0;
}

int policy_rollout_parse(const char *text, struct policy_rollout *ret, struct error *err)
{
    struct policy_rollout rollout = {0};
    _cleanup_json_ cJSON *json = NULL;
    int r = json_parse(text, strlen(text), &json, err);

    if (r < 0)
        return error_wrap(err, "annotation " POLICY_ROLLOUT_ANNOTATION);
    r = read_revision(json, "revision", false, rollout.revision, err);
    if (r == 0)
        r = read_revision(json, "previous", true, rollout.previous, err);
    if (r == 0)
        r = read_numbers(json, &rollout, err);
    if (r == 0)
        *ret = rollout;
    return r;
}

char *policy_rollout_print(const struct policy_rollout *rollout)
{
    _cleanup_free_ char *threshold = xasprintf("%016" PRIx64, rollout->threshold);
    _cleanup_json_ cJSON *json = cJSON_CreateObject();

    json_add_string(json, "revision", rollout->revision);
    json_add_string(json, "previous", rollout->previous);
    json_add_int(json, "percent", rollout->percent);
    json_add_string(json, "threshold", threshold);
    json_add_string(json, "namespace", rollout->ns);
    return json_print(json);
}

bool policy_rollout_equal(const struct policy_rollout *a, const struct policy_rollout *b)
{
    return strcmp(a->revision, b->revision) == 0 && strcmp(a->previous, b->previous) == 0 &&
           a->percent == b->percent && a->threshold == b->threshold && strcmp(a->ns, b->ns) == 0;
}

/* The first digits of the digest of both; neither holds a line break. */
static void digest_pair(const char *a, const char *b, char ret[static DIGEST_HEX_SIZE])
{
    struct digest_part parts[] = {{a, strlen(a)}, {"\n", 1}, {b, strlen(b)}};

    digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), ret);
    ret[HASH_DIGITS] = '\0';
}

uint64_t policy_rollout_hash(const char *node, const char *revision)
{
    char hex[DIGEST_HEX_SIZE];

    digest_pair(node, revision, hex);
    return strtoull(hex, NULL, 16);
}

size_t policy_rollout_count(unsigned percent, size_t nodes)
{
    size_t count = (nodes * percent + 99) / 100;

    return count > 0 ? count : 1;
}

char *policy_rollout_kept_name(const char *profile, const char *uid, const char *revision)
{
    char hex[DIGEST_HEX_SIZE];

    digest_pair(uid, revision, hex);
    return xasprintf("%s-%s", profile, hex);
}

/* The published rollout is that of the spec's text. */
static enum policy_choice choose_by(const struct policy_rollout_question *question)
{
    const struct policy_rollout *published = question->published;
    const char *previous = published->previous;

    if (strcmp(previous, published->revision) == 0 ||
        policy_rollout_hash(question->node, published->revision) <= published->threshold)
        return POLICY_CHOICE_SPEC;
    if (!*previous)
        return *question->held_revision ? POLICY_CHOICE_HELD : POLICY_CHOICE_SPEC;
    return strcmp(previous, question->held_revision) == 0 ? POLICY_CHOICE_HELD
                                                          : POLICY_CHOICE_PREVIOUS;
}

enum policy_choice policy_rollout_choose(const struct policy_rollout_question *question)
{
    const struct policy_rollout *published = question->published;

    if (!question->progressive || strcmp(question->held_revision, question->spec_revision) == 0)
        return POLICY_CHOICE_SPEC;
    if (published && strcmp(published->revision, question->spec_revision) == 0)
        return choose_by(question);
    if (question->first)
        return POLICY_CHOICE_SPEC;
    if (*question->held_revision)
        return POLICY_CHOICE_HELD;
    if (published && *published->previous)
        return strcmp(published->previous, question->spec_revision) == 0 ? POLICY_CHOICE_SPEC
                                                                         : POLICY_CHOICE_PREVIOUS;
    return POLICY_CHOICE_WAIT;
}
