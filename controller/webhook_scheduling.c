// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook_scheduling.h"

#include <string.h>

#include "lib/policy/pod_placement.h"

static bool find_objects(void *userdata, const char *profile, struct strv *ret_objects)
{
    const struct webhook_scheduling_options *options = userdata;

    return declared_find(options->declared, profile, ret_objects);
}

static void handle(void *userdata, int mode, struct admission_call *call)
{
    struct webhook_scheduling_options *options = userdata;
    const struct admission_review *review = admission_call_review(call);
    _cleanup_admission_answer_ struct admission_answer answer = {0};
    struct pod_placement placement = {
        .pod = review->object,
        .scheduling = (enum pod_scheduling) mode,
        .objects = find_objects,
        .userdata = options,
    };
    struct pod_placement_result result = {0};

    if (!options->synced(options->userdata)) {
        admission_call_fail(call, "the AppArmorProfiles are not read yet");
        return;
    }
    if (review->object && strcmp(review->kind, "Pod") == 0 &&
        strcmp(review->operation, "CREATE") == 0) {
        pod_place(&placement, &result);
        answer.patch = TAKE_PTR(result.patch);
        answer.warnings = result.warnings;
    }
    admission_call_answer(call, &answer);
}

void webhook_scheduling_paths(const struct webhook_scheduling_options *options,
                              struct admission_webhook ret[static WEBHOOK_SCHEDULING_PATHS])
{
    static const struct {
        const char *path, *name;
        enum pod_scheduling mode;
    } modes[WEBHOOK_SCHEDULING_PATHS] = {
        {"/scheduling/preferred", "scheduling-preferred", POD_SCHEDULING_PREFERRED},
        {"/scheduling/required", "scheduling-required", POD_SCHEDULING_REQUIRED},
        {"/scheduling/disabled", "scheduling-disabled", POD_SCHEDULING_DISABLED},
    };

    for (size_t i = 0; i < WEBHOOK_SCHEDULING_PATHS; i++)
        ret[i] = (struct admission_webhook){
            .path = modes[i].path,
            .name = modes[i].name,
            .handle = handle,
            .userdata = (void *) options,
            .variant = (int) modes[i].mode,
        };
}
