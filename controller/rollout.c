// SPDX-License-Identifier: Apache-2.0
#include "controller/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "controller/message.h"
#include "controller/rollout_denials.h"
#include "controller/rollout_steps.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"

#define COMPLETE_PERCENT 100
#define WAITING_NAMED_MAX 3
/* Nothing else tells that a node is back which has nothing new to say. */
#define LOST_LOOK_MS 30000

static const char *const state_names[] = {
    [ROLLOUT_PROGRESSING] = "Progressing", [ROLLOUT_PAUSING] = "Pausing",
    [ROLLOUT_PAUSED] = "Paused",           [ROLLOUT_HALTED] = "Halted",
    [ROLLOUT_COMPLETE] = "Complete",
};

/* One look at one rollout. */
struct view {
    const struct rollout_question *question;
    struct rollout *out;
    struct rollout_steps steps;
    struct policy_rollout published; /* of this revision; all zero: nothing yet */
    size_t chosen, loaded, failed;
    struct rollout_denials denials;
    int64_t max_failures, max_denials;
};

static const char *revision_of(const struct view *view)
{
    return view->question->profile->revision;
}

static bool is_for_this(const struct view *view, const char *annotation)
{
    return annotation && strcmp(annotation, revision_of(view)) == 0;
}

static bool skips(const struct view *view)
{
    return is_for_this(view, view->question->profile->rollout_skip);
}

static bool tolerates_failures(const struct view *view)
{
    return skips(view) || is_for_this(view, view->question->profile->rollout_resume);
}

/* --- what the status says ------------------------------------------------------------ */

static bool is_same_step(const struct view *view)
{
    const cJSON *old = view->question->old;

    return is_for_this(view, json_string(old, "revision")) &&
           json_int(json_get(old, "percent"), 0) == view->published.percent;
}

static bool was_in(const struct view *view, enum rollout_state state)
{
    const char *name = json_string(view->question->old, "state");

    return is_same_step(view) && name && strcmp(name, state_names[state]) == 0;
}

/* When the state that the rollout is in now began. */
static int64_t since(const struct view *view, enum rollout_state state)
{
    const char *text = json_string(view->question->old, "since");
    int64_t ms;

    return was_in(view, state) && text && clock_parse(text, &ms) == 0 ? ms : view->question->now_ms;
}

static enum rollout_moment moment_of(const struct view *view)
{
    const struct rollout_question *question = view->question;

    if (!is_for_this(view, json_string(question->old, "revision")))
        return ROLLOUT_OTHER_REVISION;
    if (!is_same_step(view))
        return ROLLOUT_OTHER_STEP;
    return question->now_ms - since(view, ROLLOUT_HALTED) > ROLLOUT_DENIALS_TOLD_MS
               ? ROLLOUT_HALTED_FOR_LONG
               : ROLLOUT_SAME_STEP;
}

/* --- nodes ----------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
    const struct rollout_node *one = a, *other = b;

    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return strcmp(one->name, other->name);
}

static void count_nodes(struct view *view)
{
    const struct rollout_question *question = view->question;

    while (view->chosen < question->count &&
           question->nodes[view->chosen].hash <= view->published.threshold) {
        view->loaded += question->nodes[view->chosen].state == NODE_LOADED;
        view->failed += question->nodes[view->chosen].state == NODE_FAILED;
        view->chosen++;
    }
}

static int64_t bounded(uint64_t denied)
{
    return denied < ROLLOUT_DENIALS_MAX ? (int64_t) denied : ROLLOUT_DENIALS_MAX;
}

static void compare_denials(struct view *view)
{
    const struct rollout_question *question = view->question;
    struct rollout_denials *denials = &view->denials;

    denials->chosen = view->chosen;
    denials->others = question->count - view->chosen;
    for (size_t i = 0; i < view->chosen; i++)
        denials->refused += bounded(question->nodes[i].denied);
    for (size_t i = view->chosen; i < question->count; i++)
        denials->refused_by_others += bounded(question->nodes[i].denied_before);
    rollout_denials_compare(denials, question->old, moment_of(view));
}

/* Of a step that others follow: the last one has nobody to be compared with, nor to be held back.
 */
static bool refuses_too_much(const struct view *view)
{
    return view->published.percent < COMPLETE_PERCENT && view->max_denials != INT64_MAX &&
           rollout_denials_rise(&view->denials) > view->max_denials;
}

static bool has_failed(const struct view *view)
{
    return view->question->refused || (int64_t) view->failed > view->max_failures ||
           refuses_too_much(view);
}

static size_t waiting(const struct view *view)
{
    return view->chosen - view->loaded - view->failed;
}

/* Never below what was published: no node goes back. */
static uint64_t threshold_of(const struct view *view, unsigned percent)
{
    const struct rollout_question *question = view->question;
    uint64_t threshold;

    if (percent >= COMPLETE_PERCENT)
        return UINT64_MAX;
    if (question->count == 0)
        return view->published.threshold;
    threshold = question->nodes[policy_rollout_count(percent, question->count) - 1].hash;
    return threshold > view->published.threshold ? threshold : view->published.threshold;
}

/* --- what is to be published ------------------------------------------------------- */

static void copy_revision(char ret[static POLICY_REVISION_SIZE], const char *revision)
{
    memmove(ret, revision, strnlen(revision, POLICY_REVISION_SIZE - 1) + 1);
    ret[POLICY_REVISION_SIZE - 1] = '\0';
}

static void publish(struct view *view, unsigned percent, const char *previous)
{
    struct policy_rollout *next = &view->out->next;
    const char *ns = view->question->ns;

    *next = (struct policy_rollout){.percent = percent, .threshold = threshold_of(view, percent)};
    copy_revision(next->revision, revision_of(view));
    copy_revision(next->previous, previous);
    memcpy(next->ns, ns, strnlen(ns, sizeof(next->ns) - 1));
    view->out->publish = ROLLOUT_PUBLISH_NEXT;
    view->out->state = ROLLOUT_PROGRESSING;
}

static bool is_kept(const struct view *view, const char *revision)
{
    return *revision && strv_contains(view->question->kept, revision);
}

static const char *newest_other(const struct view *view)
{
    const struct strv *kept = view->question->kept;

    for (size_t i = 0; i < kept->len; i++)
        if (strcmp(kept->items[i], revision_of(view)) != 0)
            return kept->items[i];
    return "";
}

/*
 * The last that was rolled out to all. Of an unfinished rollout, that is what it began with; where
 * nothing was published, all texts before went to all nodes at once.
 */
static const char *find_previous(const struct view *view, const struct policy_rollout *earlier)
{
    const cJSON *old = view->question->old;
    const char *told = json_string(old, "previous"), *about = json_string(old, "revision");

    if (earlier)
        return strcmp(earlier->previous, revision_of(view)) == 0 || is_kept(view, earlier->previous)
                   ? earlier->previous
                   : "";
    if (told && is_for_this(view, about))
        return is_kept(view, told) || is_for_this(view, told) ? told : "";
    return newest_other(view);
}

/* Lost ones come back, and then to what was published meanwhile. */
static bool has_nodes(const struct view *view)
{
    return view->question->count > 0 || view->question->lost > 0;
}

/*
 * A first text is used by no process yet, what all had before is no risk, and where there are no
 * nodes there is nothing to find out: these go to all at once.
 */
static void begin(struct view *view, const struct policy_rollout *earlier)
{
    const struct rollout_question *question = view->question;
    const char *previous = find_previous(view, earlier);

    if (question->profile->generation == 1 || is_for_this(view, previous) || !has_nodes(view))
        publish(view, COMPLETE_PERCENT, revision_of(view));
    else if (question->refused && !tolerates_failures(view))
        view->out->state = ROLLOUT_HALTED;
    else if (!is_kept(view, revision_of(view)) || question->awaited)
        view->out->state = ROLLOUT_PROGRESSING;
    else
        publish(view, skips(view) ? COMPLETE_PERCENT : view->steps.items[0].percent, previous);
}

static int64_t pause_ms(const struct view *view)
{
    size_t number = rollout_steps_number(&view->steps, view->published.percent);

    return view->steps.items[number - 1].pause_ms;
}

/* All chosen nodes are done. */
static void pause_or_step(struct view *view)
{
    const struct policy_rollout *published = &view->published;
    int64_t until_ms = since(view, ROLLOUT_PAUSING) + pause_ms(view);
    int64_t left_ms = until_ms - view->question->now_ms;

    if (published->percent >= COMPLETE_PERCENT) {
        publish(view, COMPLETE_PERCENT, revision_of(view));
    } else if (left_ms <= 0) {
        publish(view, rollout_steps_after(&view->steps, published->percent), published->previous);
    } else {
        view->out->state = ROLLOUT_PAUSING;
        view->out->again_ms = (uint64_t) left_ms;
    }
}

/* Those that were chosen have left or are lost, and with them what they would have shown. */
static void choose_others(struct view *view)
{
    const struct policy_rollout *published = &view->published;

    view->out->state = ROLLOUT_PROGRESSING;
    if (view->question->count > 0)
        publish(view, published->percent, published->previous);
    else
        view->out->again_ms = LOST_LOOK_MS;
}

static void go_on(struct view *view)
{
    const struct policy_rollout *published = &view->published;

    count_nodes(view);
    compare_denials(view);
    if (is_for_this(view, published->previous))
        view->out->state = ROLLOUT_COMPLETE;
    else if (skips(view) && published->percent < COMPLETE_PERCENT)
        publish(view, COMPLETE_PERCENT, published->previous);
    else if (has_failed(view) && !tolerates_failures(view))
        view->out->state = ROLLOUT_HALTED;
    else if (view->question->profile->rollout_paused && published->percent < COMPLETE_PERCENT)
        view->out->state = ROLLOUT_PAUSED;
    else if (waiting(view) > 0)
        view->out->state = ROLLOUT_PROGRESSING;
    else if (view->chosen == 0 && has_nodes(view))
        choose_others(view);
    else
        pause_or_step(view);
}

/* --- what there is to say ------------------------------------------------------------ */

static void add_place(struct view *view, const char *verb)
{
    const struct policy_rollout *published = &view->published;

    (void) buf_addf(&view->out->message, "rollout %s %u %%, step %zu of %zu", verb,
                    published->percent, rollout_steps_number(&view->steps, published->percent),
                    view->steps.count);
}

static void add_waiting(struct view *view)
{
    struct buf *message = &view->out->message;
    size_t named = 0, count = waiting(view);

    (void) buf_addf(message, ": %zu of %zu chosen node%s loaded", view->loaded, view->chosen,
                    view->chosen == 1 ? "" : "s");
    for (size_t i = 0; i < view->chosen && named < WAITING_NAMED_MAX; i++) {
        const struct rollout_node *node = &view->question->nodes[i];

        if (node->state == NODE_LOADED || node->state == NODE_FAILED)
            continue;
        (void) buf_addf(message, "%s%s", named == 0 ? "; waiting for " : ", ", node->name);
        named++;
    }
    if (count > named)
        (void) buf_addf(message, " and %zu other%s", count - named, count == named + 1 ? "" : "s");
    if (view->question->count == 0 && view->question->lost > 0)
        (void) buf_add_string(message,
                              "; all selected nodes are lost: waiting until Node and agent of one "
                              "are Ready");
}

static void add_next(struct view *view)
{
    char time[CLOCK_TIME_SIZE];
    int64_t until_ms = since(view, ROLLOUT_PAUSING) + pause_ms(view);

    (void) buf_addf(&view->out->message, "; the next step, %u %%, comes at %s",
                    rollout_steps_after(&view->steps, view->published.percent),
                    clock_format(until_ms, time));
}

static void add_denials(struct view *view)
{
    const struct rollout_denials *denials = &view->denials;

    (void) buf_addf(&view->out->message,
                    ": in this step the %zu chosen node%s refused %lld accesses by it, where %lld "
                    "are usual by what the %zu others show, and spec.rollout.maxDenials is %lld",
                    view->chosen, view->chosen == 1 ? " has" : "s have",
                    (long long) (denials->refused - denials->refused_before),
                    (long long) denials->usual, denials->others, (long long) view->max_denials);
}

static void add_halt(struct view *view)
{
    struct buf *message = &view->out->message;

    if (view->question->refused)
        (void) buf_add_string(message, ": the text does not compile, see condition Valid");
    else if (refuses_too_much(view))
        add_denials(view);
    else
        (void) buf_addf(message,
                        ": %zu of %zu chosen node%s failed, and spec.rollout.maxFailures is %lld",
                        view->failed, view->chosen, view->chosen == 1 ? "" : "s",
                        (long long) view->max_failures);
    (void) buf_addf(message,
                    "; correct spec.policy, or roll back by its previous text, or annotate the "
                    "object with " ROLLOUT_RESUME "=%s",
                    revision_of(view));
}

static void add_why_not_begun(struct view *view)
{
    struct buf *message = &view->out->message;

    if (view->out->state == ROLLOUT_HALTED) {
        (void) buf_add_string(message, "the rollout does not begin");
        add_halt(view);
    } else if (is_kept(view, revision_of(view)) && view->question->awaited) {
        (void) buf_add_string(message, "the rollout begins when the text has been compiled");
    } else {
        (void) buf_add_string(message,
                              "the rollout begins when the text is kept in a ControllerRevision");
    }
}

static void add_message(struct view *view)
{
    if (!*view->published.revision) {
        add_why_not_begun(view);
        return;
    }
    switch (view->out->state) {
    case ROLLOUT_COMPLETE:
        (void) buf_add_string(&view->out->message, "every node is to have it");
        break;
    case ROLLOUT_HALTED:
        add_place(view, "halted at");
        add_halt(view);
        break;
    case ROLLOUT_PAUSED:
        add_place(view, "paused by spec.rollout.paused at");
        add_waiting(view);
        break;
    case ROLLOUT_PAUSING:
        add_place(view, "at");
        add_waiting(view);
        add_next(view);
        break;
    case ROLLOUT_PROGRESSING:
        add_place(view, "at");
        add_waiting(view);
        break;
    }
}

static void add_status(struct view *view)
{
    const struct policy_rollout *published = &view->published;
    cJSON *status = cJSON_CreateObject();
    char time[CLOCK_TIME_SIZE];
    bool begun = *published->revision;

    json_add_string(status, "revision", revision_of(view));
    if (*published->previous)
        json_add_string(status, "previous", published->previous);
    json_add_string(status, "state", state_names[view->out->state]);
    json_add_int(status, "percent", published->percent);
    json_add_int(status, "step",
                 begun ? (int64_t) rollout_steps_number(&view->steps, published->percent) : 0);
    json_add_int(status, "steps", (int64_t) view->steps.count);
    json_add_int(status, "updated", (int64_t) view->question->updated);
    if (view->max_denials != INT64_MAX)
        rollout_denials_add(&view->denials,
                            view->out->state == ROLLOUT_HALTED && refuses_too_much(view), status);
    json_add_string(status, "since", clock_format(since(view, view->out->state), time));
    json_add_string(status, "message", buf_string(&view->out->message));
    view->out->status = status;
}

/* --- all ------------------------------------------------------------------------------ */

static void decide(struct view *view)
{
    const struct rollout_question *question = view->question;
    const struct profile_spec *profile = question->profile;
    struct policy_rollout found;
    bool there = profile->rollout_published &&
                 policy_rollout_parse(profile->rollout_published, &found, NULL) == 0;

    rollout_steps_read(&view->steps, profile->rollout);
    view->max_failures = json_int(json_get(profile->rollout, "maxFailures"), 0);
    view->max_denials = json_int(json_get(profile->rollout, "maxDenials"), INT64_MAX);
    if (question->count > 0)
        qsort(question->nodes, question->count, sizeof(*question->nodes), by_hash);
    if (there && is_for_this(view, found.revision)) {
        view->published = found;
        go_on(view);
    } else {
        begin(view, there ? &found : NULL);
    }
}

void rollout_decide(const struct rollout_question *question, struct rollout *ret)
{
    struct view view = {.question = question, .out = ret};

    *ret = (struct rollout){.state = ROLLOUT_COMPLETE, .message = BUF_INIT(MESSAGE_MAX)};
    if (!question->profile->progressive) {
        if (question->profile->rollout_published)
            ret->publish = ROLLOUT_PUBLISH_REMOVAL;
        return;
    }
    decide(&view);
    add_message(&view);
    add_status(&view);
}

void rollout_done(struct rollout *rollout)
{
    cJSON_Delete(rollout->status);
    buf_done(&rollout->message);
    *rollout = (struct rollout){0};
}
