// SPDX-License-Identifier: Apache-2.0
#include "lib/policy/pod_review.h"

#include <errno.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/utf8.h"
#include "lib/policy/pod_profile.h"

/* Containers that a message names. */
#define NAMED_MAX 16
#define MESSAGE_MAX 8192
/* Of a name that stands in a message; the server's own limits are 63 and, for profiles, 4095. */
#define NAME_SHOWN_MAX 128

static const char *const levels[] = {
    [POD_LEVEL_UNRESTRICTED] = "unrestricted",
    [POD_LEVEL_CONFINED] = "confined",
    [POD_LEVEL_MANAGED] = "managed",
};

const char *pod_level_name(enum pod_level level)
{
    return levels[level];
}

int pod_level_parse(const char *text, enum pod_level *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        if (strcmp(text, levels[i]) != 0)
            continue;
        *ret = (enum pod_level) i;
        return 0;
    }
    return -EINVAL;
}

/* --- what kind of pod it is ------------------------------------------------------ */

/* cJSON_GetArraySize() without its count to the end. */
static bool has_more_than(const cJSON *list, size_t max)
{
    const cJSON *item = list ? list->child : NULL;

    for (size_t count = 0; item; item = item->next)
        if (++count > max)
            return true;
    return false;
}

bool pod_is_oversize(const cJSON *pod)
{
    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++)
        if (has_more_than(json_get(pod, "spec", pod_container_lists[i].spec),
                          POD_REVIEW_CONTAINERS_MAX))
            return true;
    return has_more_than(json_get(pod, "metadata", "annotations"), POD_REVIEW_ANNOTATIONS_MAX);
}

bool pod_is_windows(const cJSON *pod)
{
    const char *os = json_string(pod, "spec", "os", "name");

    return os && strcmp(os, "windows") == 0;
}

bool pod_is_mirror(const cJSON *pod)
{
    return json_string(pod, "metadata", "annotations", "kubernetes.io/config.mirror") != NULL;
}

const cJSON *pod_template_of(const char *kind, const cJSON *object)
{
    static const char *const with_template[] = {
        "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController",
    };

    if (strcmp(kind, "Pod") == 0)
        return object;
    if (strcmp(kind, "PodTemplate") == 0)
        return json_get(object, "template");
    if (strcmp(kind, "CronJob") == 0)
        return json_get(object, "spec", "jobTemplate", "spec", "template");
    for (size_t i = 0; i < ARRAY_SIZE(with_template); i++)
        if (strcmp(kind, with_template[i]) == 0)
            return json_get(object, "spec", "template");
    return NULL;
}

/* --- one container ----------------------------------------------------------------- */

enum finding { FINDING_NONE, FINDING_UNSET, FINDING_UNCONFINED, FINDING_UNDECLARED, FINDINGS };

struct walk {
    const struct pod_review *review;
    enum pod_level level;
    struct pod_verdict *verdict;
    struct buf list;
    size_t offending;
    bool found[FINDINGS];
};

/* Also of the declaration of its parent: "a//b" is a child that comes with "a". */
static bool is_declared(const struct pod_review *review, const char *profile)
{
    const char *child = strstr(profile, "//");
    _cleanup_free_ char *parent = NULL;

    if (review->declared(review->userdata, profile))
        return true;
    if (!child)
        return false;
    parent = xstrndup(profile, (size_t) (child - profile));
    return review->declared(review->userdata, parent);
}

static enum finding judge(const struct walk *walk, const struct pod_profile *profile)
{
    switch (profile->type) {
    case POD_PROFILE_NONE:
        return FINDING_UNSET;
    case POD_PROFILE_UNCONFINED:
        return FINDING_UNCONFINED;
    case POD_PROFILE_RUNTIME_DEFAULT:
        return FINDING_NONE;
    case POD_PROFILE_LOCALHOST:
        break;
    }
    if (is_declared(walk->review, profile->name))
        return FINDING_NONE;
    if (!strv_contains(&walk->verdict->undeclared, profile->name) &&
        walk->verdict->undeclared.len < NAMED_MAX)
        strv_add(&walk->verdict->undeclared, profile->name);
    return walk->level == POD_LEVEL_MANAGED ? FINDING_UNDECLARED : FINDING_NONE;
}

static int shown(const char *name)
{
    return (int) utf8_cut(name, strlen(name), NAME_SHOWN_MAX);
}

static void describe(struct walk *walk, const char *what, const cJSON *container,
                     const struct pod_profile *profile, enum finding finding)
{
    static const char *const kind[] = {
        [FINDING_UNSET] = "has no profile",
        [FINDING_UNCONFINED] = "is Unconfined",
        [FINDING_UNDECLARED] = "asks for the Localhost profile",
    };
    static const char *const source[] = {
        [POD_PROFILE_FROM_NOWHERE] = "",
        [POD_PROFILE_FROM_CONTAINER] = "",
        [POD_PROFILE_FROM_ANNOTATION] = " by its annotation",
        [POD_PROFILE_FROM_POD] = " by the pod's securityContext",
    };
    const char *name = json_string(container, "name");

    if (!name)
        name = "";
    (void) buf_addf(&walk->list, "%s%s \"%.*s\" %s", walk->list.len > 0 ? ", " : "", what,
                    shown(name), name, kind[finding]);
    if (finding == FINDING_UNDECLARED)
        (void) buf_addf(&walk->list, " \"%.*s\"", shown(profile->name), profile->name);
    (void) buf_add_string(&walk->list, source[profile->source]);
}

static void warn_privileged(struct walk *walk, const char *what, const cJSON *container)
{
    const char *name = json_string(container, "name");

    if (!name || walk->verdict->warnings.len >= NAMED_MAX)
        return;
    strv_take(&walk->verdict->warnings,
              xasprintf("%s \"%.*s\" is privileged: some runtimes run it unconfined though it asks "
                        "for RuntimeDefault; a Localhost profile holds",
                        what, shown(name), name));
}

static void look_at(struct walk *walk, const char *what, const cJSON *container)
{
    const struct pod_profile profile = pod_profile_of(walk->review->pod, container);
    enum finding finding = judge(walk, &profile);

    if (profile.type == POD_PROFILE_RUNTIME_DEFAULT && pod_container_is_privileged(container))
        warn_privileged(walk, what, container);
    if (finding == FINDING_NONE)
        return;
    walk->found[finding] = true;
    if (++walk->offending <= NAMED_MAX)
        describe(walk, what, container, &profile, finding);
}

/* --- all of them ---------------------------------------------------------------------- */

static bool was_there(const struct pod_review *review, const char *list, const cJSON *container)
{
    const char *name = json_string(container, "name"), *other;
    const cJSON *item;

    cJSON_ArrayForEach(item, json_get(review->old, "spec", list))
    {
        other = json_string(item, "name");
        if (name && other && strcmp(name, other) == 0)
            return true;
    }
    return false;
}

static void walk_containers(struct walk *walk)
{
    static const char *const what[POD_CONTAINER_LISTS] = {"init container", "container",
                                                          "ephemeral container"};
    const cJSON *container;

    for (size_t i = 0; i < POD_CONTAINER_LISTS; i++) {
        const char *list = pod_container_lists[i].spec;

        cJSON_ArrayForEach(container, json_get(walk->review->pod, "spec", list))
        {
            if (!was_there(walk->review, list, container))
                look_at(walk, what[i], container);
        }
    }
}

static char *conclude(struct walk *walk)
{
    if (walk->offending > NAMED_MAX)
        (void) buf_addf(&walk->list, " and %zu more", walk->offending - NAMED_MAX);
    if (walk->found[FINDING_UNSET] || walk->found[FINDING_UNCONFINED])
        (void) buf_add_string(
            &walk->list,
            "; write securityContext.appArmorProfile, {type: RuntimeDefault} or {type: Localhost, "
            "localhostProfile: NAME}, for the pod or for each container");
    if (walk->found[FINDING_UNDECLARED])
        (void) buf_add_string(&walk->list,
                              "; no AppArmorProfile declares that profile: apply one, or name one "
                              "of those that `kubectl get aap` shows (status.profileNames)");
    return buf_take(&walk->list);
}

void pod_review(const struct pod_review *review, enum pod_level level, struct pod_verdict *ret)
{
    struct walk walk = {
        .review = review,
        .level = level,
        .verdict = ret,
        .list = BUF_INIT(MESSAGE_MAX),
    };

    *ret = (struct pod_verdict){0};
    if (level == POD_LEVEL_UNRESTRICTED || pod_is_windows(review->pod))
        return;
    if (pod_is_oversize(review->pod) || (review->old && pod_is_oversize(review->old))) {
        ret->violations = xasprintf("more than %d containers or %d annotations are not looked at",
                                    POD_REVIEW_CONTAINERS_MAX, POD_REVIEW_ANNOTATIONS_MAX);
        return;
    }
    walk_containers(&walk);
    if (walk.offending > 0)
        ret->violations = conclude(&walk);
    buf_done(&walk.list);
}

void pod_verdict_done(struct pod_verdict *verdict)
{
    free(verdict->violations);
    strv_done(&verdict->warnings);
    strv_done(&verdict->undeclared);
    *verdict = (struct pod_verdict){0};
}
