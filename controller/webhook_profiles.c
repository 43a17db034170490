// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook_profiles.h"

#include <string.h>
#include <sys/queue.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/policy/blob_name.h"
#include "lib/policy/owner.h"
#include "lib/policy/profile.h"

/* Less than timeoutSeconds of the webhook. */
#define DEADLINE_MS 8000
#define MESSAGE_MAX 4096

struct webhook_profiles {
    struct webhook_profiles_options options;
    LIST_HEAD(, question) questions;
};

/* Under way. */
struct question {
    LIST_ENTRY(question) link;
    struct webhook_profiles *webhook;
    struct admission_call *call;
    struct validation *validation;
    struct profile_users_query *users;
};

static struct question *question_new(struct webhook_profiles *webhook, struct admission_call *call)
{
    struct question *question = xcalloc(1, sizeof(*question));

    question->webhook = webhook;
    question->call = call;
    LIST_INSERT_HEAD(&webhook->questions, question, link);
    return question;
}

static void question_free(struct question *question)
{
    LIST_REMOVE(question, link);
    free(question);
}

static void question_answer(struct question *question, struct admission_answer *answer)
{
    admission_call_answer(question->call, answer);
    question_free(question);
}

static void refuse(struct admission_answer *answer, char *message)
{
    answer->reason = "Invalid";
    answer->refusal = message;
}

/* --- names --------------------------------------------------------------------------------- */

static bool replaces(const cJSON *object, const char *other)
{
    const char *named = json_string(object, "metadata", "annotations", WEBHOOK_PROFILES_REPLACES);

    return named && strcmp(named, other) == 0;
}

/* Objects for some nodes may share a name with others for other nodes. */
static void check_taken(const struct webhook_profiles *webhook, const cJSON *object,
                        const char *profile, struct admission_answer *answer)
{
    const struct declared *declared = webhook->options.declared;
    const char *name = json_string(object, "metadata", "name");
    bool everywhere = !cJSON_IsObject(json_get(object, "spec", "nodeSelector"));
    _cleanup_strv_ struct strv others = {0};

    (void) declared_find(declared, profile, &others);
    for (size_t i = 0; i < others.len && !answer->refusal; i++) {
        const char *other = others.items[i];

        if (strcmp(other, name) == 0)
            continue;
        if (everywhere && declared_everywhere(declared, other) && !replaces(object, other))
            refuse(answer, xasprintf("spec.policy: AppArmorProfile \"%s\" declares the profile "
                                     "\"%s\", too, and both are for all nodes: rename it, delete "
                                     "the other, or annotate this one with %s=%s to take it over "
                                     "when that is deleted",
                                     other, profile, WEBHOOK_PROFILES_REPLACES, other));
        else
            strv_take(&answer->warnings,
                      xasprintf("AppArmorProfile \"%s\" declares the profile \"%s\", too: a node "
                                "that both select keeps the one that it has until that is deleted",
                                other, profile));
    }
}

static void check_name(const struct webhook_profiles *webhook, const cJSON *object,
                       const char *profile, struct admission_answer *answer)
{
    if (blob_name_reserved(profile))
        refuse(answer, xasprintf("spec.policy: the profile name \"%s\" is reserved: names that "
                                 "begin with " BLOB_NAME_RESERVED " are the operator's own",
                                 profile));
    else if (owner_is_runtimes(profile))
        refuse(answer, xasprintf("spec.policy: the profile name \"%s\" is taken: container "
                                 "runtimes load a profile of that name, which is never replaced",
                                 profile));
    else
        check_taken(webhook, object, profile, answer);
}

/* --- the text --------------------------------------------------------------------------------- */

static void warn_of_verdict(struct admission_answer *answer, const struct verdict *verdict)
{
    for (size_t i = 0; i < verdict->warnings.len; i++)
        strv_take(&answer->warnings,
                  xasprintf("spec.policy: %s", verdict->warnings.items[i].message));
}

static void warn_of_adoption(const cJSON *object, const struct verdict *verdict,
                             struct admission_answer *answer)
{
    if (!json_bool(json_get(object, "spec", "adopt"), false) || verdict->names.len == 0)
        return;
    strv_take(&answer->warnings,
              xasprintf("spec.adopt: where a node has profile \"%s\" from elsewhere, this policy "
                        "takes its place under what runs in it, and it is unloaded with this "
                        "object: see that nothing else loads or unloads it any more",
                        verdict->names.items[0]));
}

static char *describe(const struct verdict *verdict)
{
    struct buf text = BUF_INIT(MESSAGE_MAX);

    (void) buf_addf(&text, "spec.policy: %s: %s", verdict->reason, verdict->message);
    if (*verdict->excerpt)
        (void) buf_addf(&text, "\n%s", verdict->excerpt);
    return buf_take(&text);
}

static void judge(const struct question *question, const struct verdict *verdict,
                  struct admission_answer *answer)
{
    const struct admission_review *review = admission_call_review(question->call);

    switch (verdict->result) {
    case VERDICT_UNDECIDED:
        strv_take(&answer->warnings, xasprintf("spec.policy: not checked: %s", verdict->message));
        return;
    case VERDICT_REFUSED:
        /* Some nodes take it. */
        if (verdict->everywhere)
            refuse(answer, describe(verdict));
        else
            strv_take(&answer->warnings, describe(verdict));
        return;
    case VERDICT_ACCEPTED:
        break;
    }
    warn_of_verdict(answer, verdict);
    warn_of_adoption(review->object, verdict, answer);
    for (size_t i = 0; i < verdict->names.len && !answer->refusal; i++)
        check_name(question->webhook, review->object, verdict->names.items[i], answer);
}

static void on_verdict(void *userdata, const struct verdict *verdict)
{
    struct question *question = userdata;
    _cleanup_admission_answer_ struct admission_answer answer = {0};

    question->validation = NULL;
    judge(question, verdict, &answer);
    question_answer(question, &answer);
}

static void check_text(struct webhook_profiles *webhook, struct admission_call *call)
{
    const struct admission_review *review = admission_call_review(call);
    const struct validation_options options = {
        .urgent = true,
        .deadline_ms = DEADLINE_MS,
        .forget = review->dry_run,
    };
    _cleanup_admission_answer_ struct admission_answer answer = {0};
    _cleanup_error_ struct error err = {0};
    struct policy_profile *profile = NULL;
    struct question *question;

    if (policy_profile_parse(review->object, &profile, &err) < 0) {
        refuse(&answer, xstrdup(error_message(&err)));
        admission_call_answer(call, &answer);
        return;
    }
    question = question_new(webhook, call);
    question->validation =
        validator_check(webhook->options.validator, profile, &options, on_verdict, question);
}

/* --- a deletion
 * ----------------------------------------------------------------------------------- */

static char *describe_users(const struct profile_users_answer *users)
{
    _cleanup_free_ char *names = strv_join(&users->named, ", ");
    _cleanup_free_ char *more = users->count > users->named.len
                                    ? xasprintf(" and %zu more", users->count - users->named.len)
                                    : xstrdup("");

    return xasprintf("pods use it: %s%s%s; nodes keep its profiles until they have ended, and new "
                     "pods that name them will not start",
                     names, more, users->complete ? "" : ", and maybe others");
}

static void on_users(void *userdata, const struct profile_users_answer *users)
{
    struct question *question = userdata;
    _cleanup_admission_answer_ struct admission_answer answer = {0};

    question->users = NULL;
    if (users->count > 0)
        strv_take(&answer.warnings, describe_users(users));
    question_answer(question, &answer);
}

static void look_for_users(struct webhook_profiles *webhook, struct admission_call *call)
{
    const struct admission_review *review = admission_call_review(call);
    const struct strv *profiles = declared_by(webhook->options.declared, review->name);
    _cleanup_admission_answer_ struct admission_answer answer = {0};
    struct question *question;

    if (!profiles) {
        admission_call_answer(call, &answer);
        return;
    }
    question = question_new(webhook, call);
    question->users = profile_users_find(webhook->options.users, profiles, on_users, question);
}

/* --- all
 * ---------------------------------------------------------------------------------------------- */

static bool needs_no_look(const struct admission_review *review)
{
    return !review->object || json_string(review->object, "metadata", "deletionTimestamp") ||
           (review->old &&
            json_equal(json_get(review->object, "spec"), json_get(review->old, "spec")));
}

static void handle(void *userdata, _unused_ int variant, struct admission_call *call)
{
    struct webhook_profiles *webhook = userdata;
    const struct admission_review *review = admission_call_review(call);
    _cleanup_admission_answer_ struct admission_answer answer = {0};

    if (strcmp(review->kind, "AppArmorProfile") != 0)
        admission_call_answer(call, &answer);
    else if (strcmp(review->operation, "DELETE") == 0)
        look_for_users(webhook, call);
    else if (needs_no_look(review))
        admission_call_answer(call, &answer);
    else
        check_text(webhook, call);
}

struct webhook_profiles *webhook_profiles_new(const struct webhook_profiles_options *options)
{
    struct webhook_profiles *webhook = xcalloc(1, sizeof(*webhook));

    webhook->options = *options;
    LIST_INIT(&webhook->questions);
    return webhook;
}

void webhook_profiles_free(struct webhook_profiles *webhook)
{
    struct question *question;

    if (!webhook)
        return;
    while ((question = LIST_FIRST(&webhook->questions))) {
        validation_cancel(question->validation);
        profile_users_cancel(question->users);
        admission_call_fail(question->call, "this replica ends");
        question_free(question);
    }
    free(webhook);
}

void webhook_profiles_paths(struct webhook_profiles *webhook,
                            struct admission_webhook ret[static WEBHOOK_PROFILES_PATHS])
{
    ret[0] = (struct admission_webhook){.path = "/profiles",
                                        .name = "profiles",
                                        .handle = handle,
                                        .userdata = webhook};
}
