// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook_pods.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/policy/pod_review.h"

/*
 * A profile and the pod that names it may be applied together, and the pod be asked about before
 * the profile has come here.
 */
#define SECOND_LOOK_MS 300

enum action { ACTION_ENFORCE, ACTION_WARN, ACTION_AUDIT };

struct webhook_pods {
    struct webhook_pods_options options;
};

/* What is asked for: a path. */
static const struct variant {
    const char *path, *name, *label;
    enum action action;
    enum pod_level level;
} variants[WEBHOOK_PODS_PATHS] = {
    {"/pods/enforce/confined", "enforce-confined", "apparmor.io/enforce=confined", ACTION_ENFORCE,
     POD_LEVEL_CONFINED},
    {"/pods/enforce/managed", "enforce-managed", "apparmor.io/enforce=managed", ACTION_ENFORCE,
     POD_LEVEL_MANAGED},
    {"/pods/warn/confined", "warn-confined", "apparmor.io/warn=confined", ACTION_WARN,
     POD_LEVEL_CONFINED},
    {"/pods/warn/managed", "warn-managed", "apparmor.io/warn=managed", ACTION_WARN,
     POD_LEVEL_MANAGED},
    {"/pods/audit/confined", "audit-confined", "apparmor.io/audit=confined", ACTION_AUDIT,
     POD_LEVEL_CONFINED},
    {"/pods/audit/managed", "audit-managed", "apparmor.io/audit=managed", ACTION_AUDIT,
     POD_LEVEL_MANAGED},
};

/* --- who is not asked ------------------------------------------------------------------- */

static bool is_exempt(const struct webhook_exemptions *exempt,
                      const struct admission_review *review, const cJSON *pod)
{
    const char *class = json_string(pod, "spec", "runtimeClassName");

    return strv_contains(exempt->namespaces, review->ns) ||
           strv_contains(exempt->users, review->user) ||
           (class && strv_contains(exempt->runtime_classes, class));
}

/* A kubelet shows a pod that runs already. Anybody can write the annotation, so that alone is no
 * reason. */
static bool is_kubelets_mirror(const struct admission_review *review, const cJSON *pod)
{
    return pod_is_mirror(pod) && admission_review_in_group(review, "system:nodes");
}

/* Changes of everything but the template are none of the webhook's business. */
static bool is_unchanged(const struct admission_review *review, const cJSON *pod)
{
    return review->old && strcmp(review->kind, "Pod") != 0 &&
           json_equal(pod, pod_template_of(review->kind, review->old));
}

/* --- what is said ------------------------------------------------------------------------- */

static bool declared(void *userdata, const char *profile)
{
    const struct webhook_pods *webhook = userdata;

    return declared_has(webhook->options.declared, profile);
}

static void add_warnings(struct admission_answer *answer, const struct strv *warnings)
{
    for (size_t i = 0; i < warnings->len; i++)
        strv_add(&answer->warnings, warnings->items[i]);
}

static void fill(struct admission_answer *answer, const struct variant *variant,
                 const struct admission_review *review, const struct pod_verdict *verdict)
{
    bool is_pod = strcmp(review->kind, "Pod") == 0;

    if (variant->action != ACTION_AUDIT)
        add_warnings(answer, &verdict->warnings);
    if (!verdict->violations)
        return;
    if (variant->action == ACTION_AUDIT)
        answer->violations = xasprintf("%s: %s", variant->label, verdict->violations);
    else if (variant->action == ACTION_ENFORCE && is_pod)
        answer->refusal = xasprintf("namespace \"%s\" has %s: %s", review->ns, variant->label,
                                    verdict->violations);
    else if (variant->action == ACTION_ENFORCE)
        strv_take(&answer->warnings,
                  xasprintf("pods of this %s will be refused, as namespace \"%s\" has %s: %s",
                            review->kind, review->ns, variant->label, verdict->violations));
    else
        strv_take(&answer->warnings, xasprintf("%snamespace \"%s\" has %s: %s",
                                               is_pod ? "" : "pods would not keep to it, ",
                                               review->ns, variant->label, verdict->violations));
}

static void handle(void *userdata, int index, struct admission_call *call)
{
    struct webhook_pods *webhook = userdata;
    const struct variant *variant = &variants[index];
    const struct admission_review *review = admission_call_review(call);
    _cleanup_admission_answer_ struct admission_answer answer = {0};
    _cleanup_pod_verdict_ struct pod_verdict verdict = {0};
    struct pod_review pod = {.declared = declared, .userdata = webhook};

    pod.pod = review->object ? pod_template_of(review->kind, review->object) : NULL;
    if (pod.pod && !is_exempt(&webhook->options.exempt, review, pod.pod) &&
        !is_kubelets_mirror(review, pod.pod) && !is_unchanged(review, pod.pod)) {
        if (variant->level == POD_LEVEL_MANAGED &&
            !webhook->options.synced(webhook->options.userdata)) {
            admission_call_fail(call, "the AppArmorProfiles are not read yet");
            return;
        }
        pod.old = strcmp(review->kind, "Pod") == 0 ? review->old : NULL;
        pod_review(&pod, variant->level, &verdict);
        if (verdict.violations && verdict.undeclared.len > 0 &&
            admission_call_attempts(call) == 0 && admission_call_again(call, SECOND_LOOK_MS))
            return;
        fill(&answer, variant, review, &verdict);
    }
    admission_call_answer(call, &answer);
}

/* --- life ------------------------------------------------------------------------------------ */

struct webhook_pods *webhook_pods_new(const struct webhook_pods_options *options)
{
    struct webhook_pods *webhook = xcalloc(1, sizeof(*webhook));

    webhook->options = *options;
    return webhook;
}

void webhook_pods_free(struct webhook_pods *webhook)
{
    free(webhook);
}

void webhook_pods_paths(struct webhook_pods *webhook,
                        struct admission_webhook ret[static WEBHOOK_PODS_PATHS])
{
    for (int i = 0; i < WEBHOOK_PODS_PATHS; i++)
        ret[i] = (struct admission_webhook){
            .path = variants[i].path,
            .name = variants[i].name,
            .handle = handle,
            .userdata = webhook,
            .variant = i,
        };
}
