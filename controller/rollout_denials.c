// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout_denials.h"

#define DENIED "denied"
#define BASELINE "baseline"
#define OTHERS "others"
#define USUAL "usual"

static int64_t number(const cJSON *json, const char *key)
{
    int64_t value = json_int(json_get(json, key), 0);

    return value > 0 ? value : 0;
}

/* Rounded up. A node that leaves takes along what it has refused: that is no negative number. */
static int64_t usual_now(const struct rollout_denials *denials)
{
    int64_t more = denials->refused_by_others - denials->refused_by_others_before;
    double usual;

    if (more <= 0 || denials->others == 0)
        return 0;
    usual = (double) more * (double) denials->chosen / (double) denials->others;
    return (int64_t) usual + (usual > (double) (int64_t) usual);
}

void rollout_denials_compare(struct rollout_denials *denials, const cJSON *old,
                             enum rollout_moment moment)
{
    const cJSON *baseline = json_get(old, BASELINE);
    int64_t told = moment == ROLLOUT_OTHER_REVISION ? 0 : number(old, DENIED);

    if (told > denials->refused)
        denials->refused = told;
    if (moment >= ROLLOUT_SAME_STEP && baseline) {
        denials->refused_before = number(baseline, DENIED);
        denials->refused_by_others_before = number(baseline, OTHERS);
    } else {
        denials->refused_before = told;
        denials->refused_by_others_before = denials->refused_by_others;
    }
    /* One that was halted for another reason has none. */
    denials->usual = moment == ROLLOUT_HALTED_FOR_LONG && json_get(old, USUAL) ? number(old, USUAL)
                                                                               : usual_now(denials);
}

int64_t rollout_denials_rise(const struct rollout_denials *denials)
{
    return denials->refused - denials->refused_before - denials->usual;
}

void rollout_denials_add(const struct rollout_denials *denials, bool halted, cJSON *status)
{
    cJSON *baseline;

    json_add_int(status, DENIED, denials->refused);
    baseline = json_add_object(status, BASELINE);
    json_add_int(baseline, DENIED, denials->refused_before);
    json_add_int(baseline, OTHERS, denials->refused_by_others_before);
    /* Else it is worked out again each time, and each node's count would be a write. */
    if (halted)
        json_add_int(status, USUAL, denials->usual);
}
