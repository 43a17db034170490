// SPDX-License-Identifier: Apache-2.0
#include "controller/rollup.h"

#include <string.h>

#include "controller/conditions.h"
#include "controller/message.h"
#include "controller/reasons.h"
#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/policy/mode.h"

/* --- what was loaded ------------------------------------------------------------ */

/* The mode that all nodes see, or Mixed. */
static const char *rollup_mode(const struct tally *tally)
{
    const char *mode = NULL;
    size_t position = 0;
    void *value;

    while (map_next(tally->variants, &position, NULL, &value)) {
        const struct tally_variant *variant = value;

        if (mode && strcmp(mode, variant->mode) != 0)
            return policy_mode_name(POLICY_MIXED);
        mode = variant->mode;
    }
    return mode;
}

static cJSON *rollup_names(const struct tally *tally)
{
    _cleanup_strv_ struct strv names = {0};
    cJSON *json = cJSON_CreateArray();
    size_t position = 0;
    void *value;

    while (map_next(tally->variants, &position, NULL, &value)) {
        const struct tally_variant *variant = value;

        for (size_t i = 0; i < variant->names.len; i++)
            strv_add(&names, variant->names.items[i]);
    }
    strv_sort(&names);
    for (size_t i = 0; i < names.len; i++)
        if (i == 0 || strcmp(names.items[i - 1], names.items[i]) != 0)
            json_append_string(json, names.items[i]);
    return json;
}

/* Names and mode: of the nodes that loaded this generation, else the last that were known, since an
 * earlier revision goes on confining. */
static void rollup_add_loaded(cJSON *status, const struct rollup *rollup)
{
    const cJSON *old_names = json_get(rollup->old, "profileNames");
    const char *mode = rollup_mode(rollup->tally);

    if (mode) {
        json_add(status, "profileNames", rollup_names(rollup->tally));
    } else {
        mode = json_string(rollup->old, "mode");
        json_add(status, "profileNames",
                 cJSON_IsArray(old_names) ? cJSON_Duplicate(old_names, true) : cJSON_CreateArray());
    }
    if (mode && *mode)
        json_add_string(status, "mode", mode);
}

/* --- counts and failures -------------------------------------------------------- */

static void rollup_add_nodes(cJSON *status, const struct tally *tally)
{
    cJSON *nodes = json_add_object(status, "nodes");
    size_t selected = tally_selected(tally), loaded = tally->counts[NODE_LOADED];
    _cleanup_free_ char *summary = xasprintf("%zu/%zu", loaded, selected);

    json_add_int(nodes, "selected", (int64_t) selected);
    json_add_int(nodes, "loaded", (int64_t) loaded);
    json_add_int(nodes, "outdated", (int64_t) tally->counts[NODE_OUTDATED]);
    json_add_int(nodes, "failed", (int64_t) tally->counts[NODE_FAILED]);
    json_add_string(nodes, "summary", summary);
}

static void rollup_add_failures(cJSON *status, const struct tally *tally)
{
    _cleanup_free_ const char **names = NULL;
    cJSON *failures = json_add_array(status, "failures");
    size_t count;

    names = message_first_nodes(tally->failed, ROLLUP_FAILURES_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        const struct report *report = map_get(tally->failed, names[i]);
        cJSON *failure = cJSON_CreateObject();

        json_add_string(failure, "node", names[i]);
        json_add_string(failure, "reason", report->reason);
        json_add_string(failure, "message", report->message);
        json_append(failures, failure);
    }
}

/* --- conditions ----------------------------------------------------------------- */

enum outlook { OUTLOOK_SETTLED, OUTLOOK_RECONCILING, OUTLOOK_STALLED };

/* Ready, and whether it is to be expected by itself. */
struct verdict {
    enum condition_status ready;
    enum reason reason;
    enum outlook outlook;
    struct buf *message;
};

static void judge_terminating(struct verdict *verdict, const struct rollup *rollup)
{
    verdict->ready = CONDITION_FALSE;
    verdict->reason = REASON_TERMINATING;
    (void) buf_add_string(verdict->message, "being deleted");
    if (rollup->holders)
        message_add_holders(verdict->message, rollup->holders, rollup->profile->held_by);
}

static void judge_invalid_spec(struct verdict *verdict, const struct profile_spec *profile)
{
    verdict->ready = CONDITION_FALSE;
    verdict->reason = REASON_INVALID;
    verdict->outlook = OUTLOOK_STALLED;
    (void) buf_add_string(verdict->message, profile->invalid_message);
}

static void judge_nobody(struct verdict *verdict, const struct tally *tally)
{
    verdict->ready = CONDITION_TRUE;
    verdict->reason = REASON_NO_NODES_SELECTED;
    message_add_none(verdict->message, tally);
}

/* Nothing that nodes may still report will make it right. */
static bool is_hopeless(const struct rollup *rollup)
{
    const struct tally *tally = rollup->tally;

    return rollup->opinion && rollup->opinion->result == OPINION_REFUSED &&
           tally->counts[NODE_LOADED] == 0;
}

/* Before nodes say the same, or where there are none to say it. */
static void judge_refused(struct verdict *verdict, const struct rollup *rollup)
{
    const struct tally *tally = rollup->tally;

    verdict->ready = CONDITION_FALSE;
    verdict->reason = REASON_INVALID;
    verdict->outlook = OUTLOOK_STALLED;
    if (tally_selected(tally) > 0) {
        message_add_loaded(verdict->message, tally);
        (void) buf_add_string(verdict->message, "; ");
    }
    (void) buf_add_string(verdict->message, rollup->opinion->message);
}

static void judge_nodes(struct verdict *verdict, const struct tally *tally)
{
    size_t failed = tally->counts[NODE_FAILED], waiting = tally_waiting(tally);

    verdict->ready = failed + waiting > 0 ? CONDITION_FALSE : CONDITION_TRUE;
    if (tally->invalid > 0)
        verdict->reason = REASON_INVALID;
    else if (failed > 0)
        verdict->reason = REASON_NODES_FAILED;
    else
        verdict->reason = waiting > 0 ? REASON_NODES_PENDING : REASON_ALL_NODES_LOADED;
    if (waiting > 0)
        verdict->outlook = OUTLOOK_RECONCILING;
    else if (failed > 0)
        verdict->outlook = OUTLOOK_STALLED;
    message_add_loaded(verdict->message, tally);
    message_add_failures(verdict->message, tally);
    message_add_waiting(verdict->message, tally);
    message_add_disabled(verdict->message, tally);
    message_add_lost(verdict->message, tally);
}

static void judge_rollout(struct verdict *verdict, const struct rollup *rollup)
{
    const struct rollout *rollout = rollup->rollout;

    verdict->ready = CONDITION_FALSE;
    verdict->outlook = rollout->state == ROLLOUT_HALTED ? OUTLOOK_STALLED : OUTLOOK_RECONCILING;
    if (rollout->state == ROLLOUT_HALTED)
        verdict->reason = REASON_ROLLOUT_HALTED;
    else if (rollout->state == ROLLOUT_PAUSED)
        verdict->reason = REASON_ROLLOUT_PAUSED;
    else
        verdict->reason = REASON_ROLLOUT_PROGRESSING;
    (void) buf_add_string(verdict->message, buf_string(&rollout->message));
    message_add_failures(verdict->message, rollup->tally);
}

static void judge(struct verdict *verdict, const struct rollup *rollup)
{
    if (rollup->profile->deleting)
        judge_terminating(verdict, rollup);
    else if (rollup->profile->invalid_reason)
        judge_invalid_spec(verdict, rollup->profile);
    else if (is_hopeless(rollup) && rollup->tally->counts[NODE_FAILED] == 0)
        judge_refused(verdict, rollup);
    else if (rollup->rollout && rollup->rollout->state != ROLLOUT_COMPLETE)
        judge_rollout(verdict, rollup);
    else if (tally_selected(rollup->tally) == 0)
        judge_nobody(verdict, rollup->tally);
    else
        judge_nodes(verdict, rollup->tally);
}

/* Of the nodes that refuse the text the first by name speaks. */
static const struct report *rollup_refusal(const struct tally *tally)
{
    const struct report *found = NULL;
    const char *first = NULL, *node;
    size_t position = 0;
    void *value;

    while (map_next(tally->failed, &position, &node, &value)) {
        const struct report *report = value;

        if (reason_is_invalid(report->reason) && (!first || strcmp(node, first) < 0)) {
            first = node;
            found = report;
        }
    }
    return found;
}

/*
 * One refusal outweighs any number of successes: the text needs a change, if only for the one node
 * whose parser or kernel is older.
 */
static struct condition rollup_valid(const struct rollup *rollup)
{
    const struct report *refusal = rollup_refusal(rollup->tally);
    static const struct opinion none = {0};
    const struct opinion *opinion = rollup->opinion ? rollup->opinion : &none;
    struct condition valid = {.type = "Valid", .status = CONDITION_FALSE};

    if (rollup->profile->invalid_reason) {
        valid.reason = rollup->profile->invalid_reason;
        valid.message = rollup->profile->invalid_message;
    } else if (opinion_refuses(opinion)) {
        valid.reason = opinion->reason;
        valid.message = opinion->message;
    } else if (refusal) {
        valid.reason = refusal->reason;
        valid.message = refusal->message;
    } else if (rollup->tally->counts[NODE_LOADED] > 0) {
        valid.status = CONDITION_TRUE;
        valid.reason = reason_name(REASON_COMPILED);
        valid.message = "the policy compiles and loads";
    } else if (opinion->result == OPINION_ACCEPTED) {
        valid.status = CONDITION_TRUE;
        valid.reason = reason_name(REASON_COMPILED);
        valid.message = "the policy compiles";
    } else {
        valid.status = CONDITION_UNKNOWN;
        valid.reason = reason_name(REASON_NOT_COMPILED);
        valid.message = "no node has compiled this generation yet";
    }
    return valid;
}

static void rollup_add_conditions(cJSON *status, const struct rollup *rollup)
{
    _cleanup_buf_ struct buf message = BUF_INIT(MESSAGE_MAX);
    struct verdict verdict = {.message = &message};
    const cJSON *old = json_get(rollup->old, "conditions");
    cJSON *conditions = json_add_array(status, "conditions");
    int64_t generation = rollup->profile->generation;
    struct condition condition, valid = rollup_valid(rollup);

    judge(&verdict, rollup);
    condition = (struct condition){
        .type = "Ready",
        .status = verdict.ready,
        .reason = reason_name(verdict.reason),
        .message = buf_string(&message),
    };
    condition_add(conditions, &condition, generation, old, rollup->now_ms);
    if (verdict.outlook != OUTLOOK_SETTLED) {
        condition.type = verdict.outlook == OUTLOOK_STALLED ? "Stalled" : "Reconciling";
        condition.status = CONDITION_TRUE;
        condition_add(conditions, &condition, generation, old, rollup->now_ms);
    }
    condition_add(conditions, &valid, generation, old, rollup->now_ms);
}

/* While nobody decides about it, it stays where it was. */
static void rollup_add_rollout(cJSON *status, const struct rollup *rollup)
{
    const cJSON *json =
        rollup->rollout ? rollup->rollout->status : json_get(rollup->old, "rollout");

    if (json && rollup->profile->progressive)
        json_add(status, "rollout", cJSON_Duplicate(json, true));
}

static void rollup_add_violations(cJSON *status, const struct rollup *rollup)
{
    cJSON *json = violation_sum_json(&rollup->violations);

    if (json)
        json_add(status, ROLLUP_VIOLATIONS, json);
}

static void rollup_add_promotion(cJSON *status, const struct rollup *rollup)
{
    const struct promotion *promotion = rollup->promotion;
    struct condition condition = {.type = "Promotable"};

    if (!promotion || !promotion->applies)
        return;
    condition.status = promotion->status;
    condition.reason = promotion->reason;
    condition.message = buf_string(&promotion->message);
    condition_add(cJSON_GetObjectItemCaseSensitive(status, "conditions"), &condition,
                  rollup->profile->generation, json_get(rollup->old, "conditions"), rollup->now_ms);
    json_add(status, "promotion", cJSON_Duplicate(promotion->json, true));
}

cJSON *rollup_status(const struct rollup *rollup)
{
    cJSON *status = cJSON_CreateObject();

    json_add_int(status, "observedGeneration", rollup->profile->generation);
    if (*rollup->profile->revision)
        json_add_string(status, "revision", rollup->profile->revision);
    rollup_add_loaded(status, rollup);
    rollup_add_nodes(status, rollup->tally);
    rollup_add_failures(status, rollup->tally);
    rollup_add_rollout(status, rollup);
    rollup_add_violations(status, rollup);
    if (rollup->opinion)
        opinion_add(status, rollup->opinion);
    rollup_add_conditions(status, rollup);
    rollup_add_promotion(status, rollup);
    return status;
}
