// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/pod_placement.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/utf8.h"
#include "lib/policy/names.h"
#include "lib/policy/pod_affinity.h"
#include "lib/policy/pod_profile.h"
#include "lib/policy/pod_review.h"
#include "lib/policy/profile.h"

/* Of a name that stands in a message. */
#define NAME_SHOWN_MAX 128

int pod_scheduling_parse(const char *text, enum pod_scheduling *ret)
{
    static const char *const modes[] = {
        [POD_SCHEDULING_PREFERRED] = "preferred",
        [POD_SCHEDULING_REQUIRED] = "required",
        [POD_SCHEDULING_DISABLED] = "disabled",
    };

    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (strcmp(text, modes[i]) != 0)
            continue;
        *ret = (enum pod_scheduling) i;
        return 0;
    }
    return -EINVAL;
}

/* What a pod asks for, and what is to be done about it. */
struct wish {
    const struct pod_placement *placement;
    struct pod_placement_result *result;
    enum pod_scheduling scheduling;
    bool bound; /* to a node, by whoever creates the pod */
    struct strv profiles;
    struct strv labels[POD_PLACEMENT_PROFILES_MAX]; /* of nodes that have the profile */
    size_t count;                                   /* of labels */
    cJSON *patch;
};

static int shown(const char *name)
{
    return (int) utf8_cut(name, strlen(name), NAME_SHOWN_MAX);
}

static void warn(const struct wish *wish, char *text)
{
    strv_take(&wish->result->warnings, text);
}

/* --- what the pod says ------------------------------------------------------------------ */

static void read_scheduling(struct wish *wish)
{
    const char *text =
        json_string(wish->placement->pod, "metadata", "annotations", POD_SCHEDULING_KEY);
    const char *node = json_string(wish->placement->pod, "spec", "nodeName");

    wish->scheduling = wish->placement->scheduling;
    wish->bound = node && *node;
    if (text && pod_scheduling_parse(text, &wish->scheduling) < 0)
        warn(wish, xasprintf("annotation %s: \"%.*s\" is none of preferred, required and disabled, "
                             "and is not heeded",
                             POD_SCHEDULING_KEY, shown(text), text));
}

/* The server does the same when the pod is stored; other webhooks see it sooner by this. */
static void annotation_to_field(struct wish *wish, const char *list, size_t index,
                                const cJSON *container)
{
    const cJSON *context = json_get(container, "securityContext");
    const char *annotation = pod_profile_annotation(wish->placement->pod, container);
    _cleanup_free_ char *path = NULL;
    cJSON *field, *outer;

    if (!annotation || cJSON_IsObject(json_get(context, "appArmorProfile")))
        return;
    field = pod_profile_annotation_field(annotation);
    if (!field)
        return;
    if (cJSON_IsObject(context)) {
        path = xasprintf("/spec/%s/%zu/securityContext/appArmorProfile", list, index);
        pod_patch_add(wish->patch, path, field);
        return;
    }
    path = xasprintf("/spec/%s/%zu/securityContext", list, index);
    outer = cJSON_CreateObject();
    json_add(outer, "appArmorProfile", field);
    pod_patch_add(wish->patch, path, outer);
}

static void read_container(struct wish *wish, const cJSON *container)
{
    const struct pod_profile profile = pod_profile_of(wish->placement->pod, container);

    if (profile.type == POD_PROFILE_LOCALHOST && !strv_contains(&wish->profiles, profile.name))
        strv_add(&wish->profiles, profile.name);
}

static void read_containers(struct wish *wish)
{
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        const char *list = pod_container_lists[i].spec;
        const cJSON *container;
        size_t index = 0;

        cJSON_ArrayForEach(container, json_get(wish->placement->pod, "spec", list))
        {
            annotation_to_field(wish, list, index++, container);
            read_container(wish, container);
        }
    }
}

/* --- where its profiles are --------------------------------------------------------------- */

static void undeclared(struct wish *wish, const char *profile)
{
    wish->result->undeclared = true;
    if (wish->scheduling == POD_SCHEDULING_REQUIRED && !wish->bound &&
        policy_name_check(profile, NULL) == 0) {
        strv_take(&wish->labels[wish->count++], xasprintf(POLICY_NODE_PROFILE "%s", profile));
        warn(wish, xasprintf("no AppArmorProfile declares the profile \"%.*s\": the pod waits "
                             "until a node has the label " POLICY_NODE_PROFILE "%s",
                             shown(profile), profile, profile));
        return;
    }
    warn(wish, xasprintf("no AppArmorProfile declares the Localhost profile \"%.*s\": on a node "
                         "that does not have it from elsewhere, containers fail with "
                         "CreateContainerError until one is applied",
                         shown(profile), profile));
}

static void not_loaded(const struct wish *wish, const char *profile)
{
    const char *consequence = wish->scheduling == POD_SCHEDULING_REQUIRED && !wish->bound
                                  ? "the pod waits until one has"
                                  : "containers fail with CreateContainerError until theirs has";

    warn(wish, xasprintf("no node has loaded the profile \"%.*s\" yet: %s (`kubectl get aap` tells "
                         "more)",
                         shown(profile), profile, consequence));
}

/* A child comes with its parent. */
static bool find_objects(const struct wish *wish, const char *profile, struct strv *ret)
{
    const struct pod_placement *placement = wish->placement;
    bool loaded = placement->objects(placement->userdata, profile, ret);
    const char *child = strstr(profile, "//");
    _cleanup_free_ char *parent = NULL;

    if (ret->len > 0 || !child)
        return loaded;
    parent = xstrndup(profile, (size_t) (child - profile));
    return placement->objects(placement->userdata, parent, ret);
}

static void locate(struct wish *wish, const char *profile)
{
    _cleanup_strv_ struct strv objects = {0};
    bool loaded = find_objects(wish, profile, &objects);

    if (objects.len == 0) {
        undeclared(wish, profile);
        return;
    }
    if (!loaded)
        not_loaded(wish, profile);
    for (size_t i = 0; i < objects.len && i < POD_PLACEMENT_OBJECTS_MAX; i++)
        strv_take(&wish->labels[wish->count],
                  xasprintf(POLICY_NODE_PROFILE "%s", objects.items[i]));
    wish->count++;
}

static void locate_all(struct wish *wish)
{
    if (wish->profiles.len > POD_PLACEMENT_PROFILES_MAX)
        warn(wish, xasprintf("of %zu profiles, only %d are looked for on nodes", wish->profiles.len,
                             POD_PLACEMENT_PROFILES_MAX));
    for (size_t i = 0; i < wish->profiles.len && i < POD_PLACEMENT_PROFILES_MAX; i++)
        locate(wish, wish->profiles.items[i]);
}

/* --- what comes of it --------------------------------------------------------------------------
 */

static void prefer_all(const struct wish *wish)
{
    _cleanup_strv_ struct strv all = {0};

    for (size_t i = 0; i < wish->count; i++)
        for (size_t j = 0; j < wish->labels[i].len; j++)
            if (!strv_contains(&all, wish->labels[i].items[j]))
                strv_add(&all, wish->labels[i].items[j]);
    pod_affinity_prefer(wish->placement->pod, &all, wish->patch);
}

static void add_affinity(struct wish *wish)
{
    /* The scheduler has no say: a kubelet would refuse what it cannot satisfy for good. */
    if (wish->bound || wish->scheduling == POD_SCHEDULING_DISABLED || wish->count == 0)
        return;
    if (wish->scheduling == POD_SCHEDULING_PREFERRED)
        prefer_all(wish);
    else if (pod_affinity_require(wish->placement->pod, wish->labels, wish->count,
                                  POD_PLACEMENT_TERMS_MAX, wish->patch) < 0)
        warn(wish, xasprintf("the pod does not wait for its AppArmor profiles: more than %d "
                             "nodeSelectorTerms would be needed",
                             POD_PLACEMENT_TERMS_MAX));
}

static void wish_done(struct wish *wish)
{
    strv_done(&wish->profiles);
    for (size_t i = 0; i < POD_PLACEMENT_PROFILES_MAX; i++)
        strv_done(&wish->labels[i]);
    json_free(wish->patch);
}

void pod_place(const struct pod_placement *placement, struct pod_placement_result *ret)
{
    struct wish wish = {.placement = placement, .result = ret};

    *ret = (struct pod_placement_result){0};
    if (pod_is_oversize(placement->pod) || pod_is_windows(placement->pod) ||
        pod_is_mirror(placement->pod))
        return;
    wish.patch = cJSON_CreateArray();
    read_scheduling(&wish);
    read_containers(&wish);
    locate_all(&wish);
    add_affinity(&wish);
    if (wish.patch->child)
        ret->patch = TAKE_PTR(wish.patch);
    wish_done(&wish);
}

void pod_placement_result_done(struct pod_placement_result *result)
{
    json_free(result->patch);
    strv_done(&result->warnings);
    *result = (struct pod_placement_result){0};
}
