// SPDX-License-Identifier: Apache-2.0
#include "agent/ownership.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/blob_name.h"
#include "lib/policy/owner.h"

static void set_identity(struct marker *marker, const struct policy_profile *profile)
{
    free(marker->object);
    free(marker->uid);
    cJSON_Delete(marker->selector);
    marker->object = xstrdup(profile->name);
    marker->uid = xstrdup(profile->uid);
    marker->generation = profile->generation;
    marker->created_ms = profile->created_ms;
    marker->mode = profile->mode;
    marker->selector = profile->selector ? cJSON_Duplicate(profile->selector, true) : NULL;
    marker->allow_host_attachment = profile->allow_host_attachment;
    marker->adopt = profile->adopt;
    memcpy(marker->target, profile->target, sizeof(marker->target));
}

static struct marker_profile *add_profile(struct marker *marker, const char *name)
{
    struct marker_profile *profile;

    marker->profiles =
        xreallocarray(marker->profiles, marker->count + 1, sizeof(*marker->profiles));
    profile = &marker->profiles[marker->count++];
    *profile = (struct marker_profile){.name = xstrdup(name)};
    return profile;
}

struct marker *ownership_marker(const struct policy_profile *profile, const char *build,
                                const struct compiled *compiled, const struct marker *old)
{
    struct marker *marker = xcalloc(1, sizeof(*marker));

    set_identity(marker, profile);
    memcpy(marker->revision, profile->revision, sizeof(marker->revision));
    memcpy(marker->build, build, strlen(build) + 1);
    marker_set_text(marker, compiled->text, compiled->text_len);
    for (size_t i = 0; i < compiled->blob->count; i++) {
        const struct blob_profile *part = &compiled->blob->profiles[i];
        struct marker_profile *own = add_profile(marker, part->name);

        blob_profile_digest(compiled->data, part, DIGEST_SHA1, own->sha1);
        blob_profile_digest(compiled->data, part, DIGEST_SHA256, own->sha256);
    }
    for (size_t i = 0; old && i < old->count; i++)
        if (!marker_find(marker, old->profiles[i].name))
            add_profile(marker, old->profiles[i].name);
    return marker;
}

struct policy_profile *ownership_profile(const struct marker *marker)
{
    struct policy_profile *profile = xcalloc(1, sizeof(*profile));

    profile->name = xstrdup(marker->object);
    profile->uid = xstrdup(marker->uid);
    profile->generation = marker->generation;
    profile->created_ms = marker->created_ms;
    profile->mode = marker->mode;
    profile->selector = marker->selector ? cJSON_Duplicate(marker->selector, true) : NULL;
    profile->allow_host_attachment = marker->allow_host_attachment;
    profile->adopt = marker->adopt;
    memcpy(profile->revision, marker->revision, sizeof(profile->revision));
    memcpy(profile->target, marker->target, sizeof(profile->target));
    profile->progressive = *marker->target;
    return profile;
}

bool ownership_refresh(struct marker *marker, const struct policy_profile *profile)
{
    if (strcmp(marker->uid, profile->uid) == 0 && marker->generation == profile->generation &&
        marker->created_ms == profile->created_ms && marker->mode == profile->mode &&
        marker->allow_host_attachment == profile->allow_host_attachment &&
        marker->adopt == profile->adopt && strcmp(marker->target, profile->target) == 0 &&
        json_equal(marker->selector, profile->selector))
        return false;
    set_identity(marker, profile);
    return true;
}

const char *ownership_build(const char *compiler, const char *revision,
                            char ret[static DIGEST_HEX_SIZE])
{
    struct digest_part parts[] = {{revision, strlen(revision)}, {compiler, strlen(compiler)}};

    ret[0] = '\0';
    return *compiler ? digest_hex(DIGEST_SHA256, parts, ARRAY_SIZE(parts), ret) : ret;
}

void ownership_names(const struct marker *marker, struct strv *ret)
{
    for (size_t i = 0; i < marker->count; i++)
        if (!marker_is_leftover(&marker->profiles[i]))
            strv_add(ret, marker->profiles[i].name);
}

static bool is_foreign(const struct host *host, const char *name)
{
    return loaded_has(host->loaded, name) && !records_holder(host->records, name, NULL);
}

/* A child is what its parent is. */
static enum owner_foreign foreign_of(const struct host *host, const char *name)
{
    const char *child = strstr(name, "//");
    _cleanup_free_ char *top = child ? xstrndup(name, (size_t) (child - name)) : xstrdup(name);
    _cleanup_free_ char *attachment = NULL;

    if (!is_foreign(host, name))
        return OWNER_FOREIGN_NONE;
    attachment = loaded_attachment(host->loaded, top);
    return owner_classify(top, attachment);
}

void ownership_foreign(const struct host *host, const struct strv *names, struct strv *ret)
{
    for (size_t i = 0; i < names->len; i++)
        if (is_foreign(host, names->items[i]))
            strv_add(ret, names->items[i]);
}

void ownership_adopt_children(struct marker *marker, const struct host *host,
                              const struct strv *adopted)
{
    for (size_t i = 0; i < adopted->len; i++) {
        _cleanup_strv_ struct strv children = {0};

        loaded_children(host->loaded, adopted->items[i], &children);
        for (size_t k = 0; k < children.len; k++)
            if (!marker_find(marker, children.items[k]) &&
                !records_holder(host->records, children.items[k], NULL))
                add_profile(marker, children.items[k]);
    }
}

int ownership_check(const struct host *host, const struct record *record, const struct strv *names,
                    struct error *err)
{
    for (size_t i = 0; i < names->len; i++) {
        const char *name = names->items[i];
        enum owner_foreign foreign = foreign_of(host, name);
        const struct record *owner = records_owner(host->records, name, foreign);

        if (blob_name_reserved(name))
            return error_set_reason(err, -EPERM, REASON_NOT_OWNED,
                                    "profile names that begin with " BLOB_NAME_RESERVED
                                    " are the operator's own: rename profile %s",
                                    name);
        if (owner && owner != record) {
            _cleanup_free_ char *text = owner_conflict_text(name, owner->name);

            return error_set_reason(err, -EPERM, REASON_NAME_CONFLICT, "%s", text);
        }
        if (foreign == OWNER_FOREIGN_PROTECTED)
            return error_set_reason(
                err, -EPERM, REASON_NOT_OWNED,
                "profile %s is in this node's kernel from elsewhere and is left as it is, as it "
                "attaches to programs of the host or is a container runtime's own: rename yours",
                name);
        if (foreign == OWNER_FOREIGN_PLAIN && owner != record)
            return error_set_reason(
                err, -EPERM, REASON_NOT_OWNED,
                "profile %s is in this node's kernel from elsewhere and is left as it is: rename "
                "yours, unload the other, or take it over by spec.adopt: true",
                name);
    }
    return 0;
}
