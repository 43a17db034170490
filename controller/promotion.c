// SPDX-License-Identifier: Apache-2.0
#include "controller/promotion.h"

#include <string.h>

#include "controller/message.h"
#include "controller/reasons.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/coarse.h"
#include "lib/policy/mode.h"

#define PROCESSES "processes"

/* --- what is known ------------------------------------------------------------------ */

/* The end of the step that the time is in. */
static int64_t round_up(int64_t ms)
{
    return (ms + PROMOTION_STEP_MS - 1) / PROMOTION_STEP_MS * PROMOTION_STEP_MS;
}

/* Since when there has been no access beyond the policy; before this revision was seen first,
 * nobody looked. */
static int64_t quiet_since(const struct promotion_question *question)
{
    const char *revision = json_string(question->old, "revision");
    const char *text = json_string(question->old, "since");
    int64_t last_ms = question->last_ms > 0 ? round_up(question->last_ms) : 0, since_ms;

    if (!revision || !text || strcmp(revision, question->revision) != 0 ||
        clock_parse(text, &since_ms) < 0)
        since_ms = question->now_ms / 1000 * 1000;
    return last_ms > since_ms ? last_ms : since_ms;
}

/* What nodes have seen that have left since was seen all the same. */
static int64_t processes_of(const struct promotion_question *question)
{
    const char *revision = json_string(question->old, "revision");
    int64_t told = json_int(json_get(question->old, PROCESSES), 0), seen;

    seen = (int64_t) coarse_floor((uint64_t) question->processes);
    return revision && strcmp(revision, question->revision) == 0 && told > seen ? told : seen;
}

static bool knows_processes(const struct promotion_question *question)
{
    return question->silent < question->nodes || processes_of(question) > 0;
}

static void say(struct promotion *promotion, enum reason reason)
{
    promotion->reason = reason_name(reason);
    promotion->status = reason == REASON_QUIET ? CONDITION_TRUE : CONDITION_FALSE;
}

/* --- deciding ------------------------------------------------------------------------ */

static void add_processes(struct buf *message, const struct promotion_question *question)
{
    int64_t processes = processes_of(question);

    if (processes > 0)
        (void) buf_addf(message, "at least %lld process%s ran under it", (long long) processes,
                        processes == 1 ? "" : "es");
    else if (question->silent > 0)
        (void) buf_add_string(message, "how many processes ran under it is not known, as their "
                                       "agents do not count them");
    else
        (void) buf_add_string(message, "no process has been seen under it");
}

static void judge_brief(struct promotion *promotion, const struct promotion_question *question,
                        const char *since)
{
    long long hours = question->after_ms / 3600000;

    say(promotion, question->last_ms > 0 ? REASON_WOULD_BE_DENIED : REASON_OBSERVED_BRIEFLY);
    (void) buf_addf(&promotion->message,
                    question->last_ms > 0
                        ? "accesses beyond the policy until %s: quiet for %lld h is wanted; "
                          "see status.denials of AppArmorNodes"
                        : "no access beyond the policy since %s: quiet for %lld h is wanted; ",
                    since, hours);
    if (question->last_ms == 0)
        add_processes(&promotion->message, question);
}

/* Quiet is also what nobody uses. */
static void judge_quiet(struct promotion *promotion, const struct promotion_question *question,
                        const char *since)
{
    struct buf *message = &promotion->message;
    bool unused = question->silent == 0 && processes_of(question) == 0;

    say(promotion, unused ? REASON_NOT_USED : REASON_QUIET);
    (void) buf_addf(message, "no access beyond the policy since %s on %zu node%s; ", since,
                    question->nodes, question->nodes == 1 ? "" : "s");
    add_processes(message, question);
    (void) buf_add_string(message,
                          unused ? ": run what it is for" : ": see that what it is for has run");
}

static void judge(struct promotion *promotion, const struct promotion_question *question,
                  int64_t since_ms)
{
    int64_t left_ms = since_ms + question->after_ms - question->now_ms;
    char time[CLOCK_TIME_SIZE];

    clock_format(since_ms, time);
    if (!question->everywhere || question->nodes == 0) {
        say(promotion, REASON_NOT_OBSERVED);
        (void) buf_add_string(&promotion->message, "not every selected node has it loaded");
    } else if (question->blind > 0) {
        say(promotion, REASON_NOT_OBSERVED);
        (void) buf_addf(&promotion->message,
                        "%zu of %zu nodes are told of no denials: see status.audit of their "
                        "AppArmorNodes",
                        question->blind, question->nodes);
    } else if (left_ms > 0) {
        judge_brief(promotion, question, time);
        promotion->again_ms = (uint64_t) left_ms;
    } else {
        judge_quiet(promotion, question, time);
    }
}

void promotion_decide(const struct promotion_question *question, struct promotion *ret)
{
    int64_t since_ms = quiet_since(question);
    char time[CLOCK_TIME_SIZE];

    *ret = (struct promotion){.applies = true, .message = BUF_INIT(MESSAGE_MAX)};
    judge(ret, question, since_ms);
    ret->json = cJSON_CreateObject();
    json_add_string(ret->json, "revision", question->revision);
    json_add_string(ret->json, "since", clock_format(since_ms, time));
    json_add_int(ret->json, "nodes", (int64_t) question->nodes);
    if (knows_processes(question))
        json_add_int(ret->json, PROCESSES, processes_of(question));
}

void promotion_done(struct promotion *promotion)
{
    buf_done(&promotion->message);
    cJSON_Delete(promotion->json);
    *promotion = (struct promotion){0};
}

/* --- nodes --------------------------------------------------------------------------- */

struct gathering {
    const struct liveness *liveness;
    uint64_t now_ms;
    struct promotion_question *question;
};

static void gather(void *userdata, const struct node_view *view)
{
    const struct gathering *gathering = userdata;
    struct promotion_question *question = gathering->question;
    const struct violation *violation = view->violation;
    uint64_t lost_ms;

    if (view->state != NODE_LOADED ||
        liveness_lost(gathering->liveness, view->name, gathering->now_ms, &lost_ms))
        return;
    question->nodes++;
    question->blind += !view->sees_denials;
    question->silent += view->report->processes < 0;
    if (view->report->processes > 0)
        question->processes += view->report->processes;
    if (violation && violation->allowed > 0 &&
        strcmp(violation->revision, question->revision) == 0 &&
        violation->last_ms > question->last_ms)
        question->last_ms = violation->last_ms;
}

/* Wherever it is loaded. */
static bool is_in_complain(const struct tally *tally)
{
    size_t position = 0, count = 0;
    void *value;

    while (map_next(tally->variants, &position, NULL, &value)) {
        const struct tally_variant *variant = value;

        if (strcmp(variant->mode, policy_mode_name(POLICY_COMPLAIN)) != 0)
            return false;
        count++;
    }
    return count > 0;
}

void promotion_look(const struct node_index *index, const struct liveness *liveness,
                    const struct profile_spec *spec, const cJSON *status, uint64_t now_ms,
                    uint64_t after_ms, struct promotion *ret)
{
    const struct tally *tally = node_index_tally(index, spec->name);
    struct promotion_question question = {.revision = spec->revision,
                                          .everywhere = tally_waiting(tally) == 0 &&
                                                        tally->counts[NODE_FAILED] == 0,
                                          .old = json_get(status, "promotion"),
                                          .now_ms = clock_realtime_ms(),
                                          .after_ms = (int64_t) after_ms};
    struct gathering gathering = {.liveness = liveness, .now_ms = now_ms, .question = &question};

    *ret = (struct promotion){0};
    if (!is_in_complain(tally))
        return;
    node_index_each(index, spec->name, gather, &gathering);
    promotion_decide(&question, ret);
}
