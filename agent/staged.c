// SPDX-License-Identifier: Apache-2.0
#include "agent/staged.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "agent/profile_state.h"
#include "lib/base/alloc.h"

static const struct kube_resource controller_revisions = {
    .group = "apps",
    .version = "v1",
    .plural = "controllerrevisions",
    .kind = "ControllerRevision",
    .namespaced = true,
};

struct staged {
    struct policy_profile *profile;
    char revision[POLICY_REVISION_SIZE]; /* the one before */
    struct kube_request *request;
    staged_fn fn;
    void *userdata;
};

/* NULL when nothing was published, or nothing that can be understood. */
static const struct policy_rollout *published_of(const struct kube_object *object,
                                                 struct policy_rollout *ret)
{
    const char *text = kube_object_annotation(object, POLICY_ROLLOUT_ANNOTATION);

    return text && policy_rollout_parse(text, ret, NULL) == 0 ? ret : NULL;
}

char *staged_version(const char *node, const struct kube_object *object)
{
    struct policy_rollout published;

    if (!published_of(object, &published))
        return xstrdup("");
    return xasprintf("/%s/%s/%d", published.revision, published.previous,
                     policy_rollout_hash(node, published.revision) <= published.threshold);
}

bool staged_outgrown(const char *node, const struct kube_object *object,
                     const struct marker *marker)
{
    struct policy_rollout published;
    const struct policy_rollout_question question = {
        .node = node,
        .progressive = true,
        .first = kube_object_generation(object) == 1,
        .spec_revision = marker->target,
        .held_revision = marker->revision,
        .published = published_of(object, &published),
    };

    return *marker->target && policy_rollout_choose(&question) != POLICY_CHOICE_HELD;
}

/* The profile becomes what the node has, of which its own file has the text. */
static void keep_held(struct policy_profile *profile, const struct marker *held)
{
    memcpy(profile->target, profile->revision, sizeof(profile->target));
    memcpy(profile->revision, held->revision, sizeof(profile->revision));
    profile->mode = held->mode;
    profile->allow_host_attachment = held->allow_host_attachment;
    free(profile->text);
    profile->text = NULL;
    profile->text_len = 0;
}

/* --- the text before --- */

/* The text and what belongs to it, if it is what the revision says. */
static int take_previous(struct policy_profile *profile, const char *revision, const cJSON *kept,
                         struct error *err)
{
    _cleanup_(policy_profile_freep) struct policy_profile *previous = NULL;
    int r = policy_profile_parse(json_get(kept, "data"), &previous, err);

    if (r < 0)
        return r;
    if (strcmp(previous->revision, revision) != 0 || strcmp(previous->name, profile->name) != 0)
        return error_set(err, -EBADMSG, "it holds another text than its revision %s", revision);
    memcpy(profile->target, profile->revision, sizeof(profile->target));
    memcpy(profile->revision, previous->revision, sizeof(profile->revision));
    profile->mode = previous->mode;
    /* Whoever writes the revisions cannot allow what the object does not. */
    profile->allow_host_attachment &= previous->allow_host_attachment;
    free(profile->text);
    profile->text = TAKE_PTR(previous->text);
    profile->text_len = previous->text_len;
    return 0;
}

static void on_kept(void *userdata, struct kube_object *object, const struct error *err)
{
    struct staged *staged = userdata;
    _cleanup_error_ struct error failure = {0};

    staged->request = NULL;
    if (err->code)
        error_copy(&failure, err);
    else
        (void) take_previous(staged->profile, staged->revision, kube_object_json(object), &failure);
    if (failure.code) {
        (void) error_wrap(&failure, "the text that this node keeps until the rollout comes to it");
        /* No word about the object itself, which is there and valid. */
        failure.code = -EIO;
        staged->fn(staged->userdata, NULL, &failure);
    } else {
        staged->fn(staged->userdata, TAKE_PTR(staged->profile), &failure);
    }
    staged_cancel(staged);
}

struct staged *staged_fetch(struct kube_client *client, const struct kube_object *object,
                            struct policy_profile *profile, staged_fn fn, void *userdata)
{
    struct staged *staged = xcalloc(1, sizeof(*staged));
    struct policy_rollout buffer = {0};
    const struct policy_rollout *published = published_of(object, &buffer);
    _cleanup_free_ char *name = NULL;

    assert(published);
    name = policy_rollout_kept_name(profile->name, profile->uid, published->previous);
    memcpy(staged->revision, published->previous, sizeof(staged->revision));
    staged->profile = profile;
    staged->fn = fn;
    staged->userdata = userdata;
    staged->request =
        kube_get(client, &controller_revisions, published->ns, name, NULL, on_kept, staged);
    return staged;
}

int staged_choose(const char *node, const struct kube_object *object,
                  struct policy_profile *profile, const struct marker *held, struct error *err)
{
    struct policy_rollout published;
    bool same = held && strcmp(held->uid, profile->uid) == 0;
    const struct policy_rollout_question question = {
        .node = node,
        .progressive = profile->progressive,
        .first = profile->generation == 1,
        .spec_revision = profile->revision,
        .held_revision = same ? held->revision : "",
        .published = published_of(object, &published),
    };

    switch (policy_rollout_choose(&question)) {
    case POLICY_CHOICE_PREVIOUS:
        return 1;
    case POLICY_CHOICE_WAIT:
        return error_set_reason(err, -EAGAIN, REASON_ROLLOUT_PENDING,
                                "waiting for the controller to begin the rollout of this text");
    case POLICY_CHOICE_HELD:
        keep_held(profile, held);
        break;
    case POLICY_CHOICE_SPEC:
        break;
    }
    return 0;
}

void staged_cancel(struct staged *staged)
{
    if (!staged)
        return;
    kube_request_cancel(staged->request);
    policy_profile_free(staged->profile);
    free(staged);
}
