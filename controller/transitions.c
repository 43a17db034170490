// SPDX-License-Identifier: Apache-2.0
#include "controller/transitions.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controller/conditions.h"
#include "controller/message.h"
#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/policy/owner.h"

void transition_list_done(struct transition_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].reason);
        free(list->items[i].message);
        free(list->items[i].other);
    }
    free(list->items);
    *list = (struct transition_list){0};
}

_printf_(4, 5) static void add(struct transition_list *list, bool warning, const char *reason,
                               const char *format, ...)
{
    struct transition transition = {.warning = warning, .reason = xstrdup(reason)};
    va_list args;

    va_start(args, format);
    transition.message = xvasprintf(format, args);
    va_end(args);
    list->items = xreallocarray(list->items, list->len + 1, sizeof(*list->items));
    list->items[list->len++] = transition;
}

static const cJSON *ready_of(const cJSON *status)
{
    return condition_find(json_get(status, "conditions"), "Ready");
}

static enum reason ready_reason(const cJSON *status)
{
    const char *reason = json_string(ready_of(status), "reason");

    return reason ? reason_find(reason) : REASON_COUNT;
}

static int64_t generation_of(const cJSON *status)
{
    return json_int(json_get(status, "observedGeneration"), -1);
}

static bool is_new_generation(const struct status_change *change)
{
    return generation_of(change->old) != generation_of(change->new);
}

/* --- Ready ------------------------------------------------------------------------- */

static bool is_good(enum reason reason)
{
    return reason == REASON_ALL_NODES_LOADED || reason == REASON_NO_NODES_SELECTED;
}

struct good_news good_news_of(const cJSON *status)
{
    enum reason reason = ready_reason(status);

    if (!is_good(reason))
        return (struct good_news){0};
    return (struct good_news){.told = true, .generation = generation_of(status), .reason = reason};
}

/* Whether Ready as it is now is to be told. */
static bool is_news(const struct status_change *change, const struct good_news *news)
{
    enum reason reason = ready_reason(change->new), before = ready_reason(change->old);

    if (is_good(reason))
        return !news->told || news->reason != reason ||
               news->generation != generation_of(change->new);
    switch (reason) {
    case REASON_NODES_PENDING:
        return is_new_generation(change);
    case REASON_INVALID:
        /* When nodes have refused it, they are told of one by one. */
        return json_int(json_get(change->new, "nodes", "failed"), 0) == 0 &&
               (reason != before || is_new_generation(change));
    case REASON_ROLLOUT_PROGRESSING:
        return is_new_generation(change);
    case REASON_ROLLOUT_HALTED:
    case REASON_ROLLOUT_PAUSED:
        return reason != before || is_new_generation(change);
    case REASON_TERMINATING:
        return reason != before;
    default:
        return false;
    }
}

static void tell_ready(const struct status_change *change, struct good_news *news,
                       struct transition_list *list)
{
    const cJSON *ready = ready_of(change->new);
    enum reason reason = ready_reason(change->new);

    if (is_news(change, news))
        add(list, reason == REASON_INVALID || reason == REASON_ROLLOUT_HALTED,
            json_string(ready, "reason"), "%s", json_string(ready, "message"));
    /* After a failure, that all is well is news again. */
    if (is_good(reason) || reason == REASON_INVALID || reason == REASON_NODES_FAILED ||
        reason == REASON_ROLLOUT_HALTED)
        *news = good_news_of(change->new);
}

/* --- nodes ------------------------------------------------------------------------- */

static bool string_is(const cJSON *object, const char *key, const char *text)
{
    const char *value = json_string(object, key);

    return value && strcmp(value, text) == 0;
}

static const char *string_or_empty(const cJSON *object, const char *key)
{
    const char *value = json_string(object, key);

    return value ? value : "";
}

static bool failures_alike(const cJSON *a, const cJSON *b)
{
    return string_is(a, "reason", string_or_empty(b, "reason")) &&
           string_is(a, "message", string_or_empty(b, "message"));
}

static bool failed_before(const struct status_change *change, const cJSON *failure)
{
    const cJSON *old;

    cJSON_ArrayForEach(old, json_get(change->old, "failures"))
    {
        if (string_is(old, "node", string_or_empty(failure, "node")))
            return failures_alike(old, failure) && !is_new_generation(change);
    }
    return false;
}

/* A status lists only the first failures; who is not listed may have failed all the same. */
static bool lists_all_failures(const cJSON *status)
{
    return json_int(json_get(status, "nodes", "failed"), 0) <=
           cJSON_GetArraySize(json_get(status, "failures"));
}

static bool told_before(const struct status_change *change, const cJSON *failure)
{
    const cJSON *earlier;

    cJSON_ArrayForEach(earlier, json_get(change->new, "failures"))
    {
        if (earlier == failure)
            return false;
        if (failures_alike(earlier, failure) && !failed_before(change, earlier))
            return true;
    }
    return false;
}

static size_t count_alike(const struct tally *tally, const cJSON *failure)
{
    size_t position = 0, count = 0;
    void *value;

    while (map_next(tally->failed, &position, NULL, &value)) {
        const struct report *report = value;

        count += string_is(failure, "reason", report->reason) &&
                 string_is(failure, "message", report->message);
    }
    return count;
}

/* "" or " and 3 others". The caller frees it. */
static char *and_others(size_t count)
{
    return count < 2 ? xstrdup("")
                     : xasprintf(" and %zu other%s", count - 1, count == 2 ? "" : "s");
}

/* Who owns the name may be the one that is in the way. */
static void tell_owner(const struct status_change *change, const cJSON *failure, const char *others,
                       struct transition_list *list)
{
    const char *reason = string_or_empty(failure, "reason");
    char *owner = strcmp(reason, "NameConflict") == 0
                      ? owner_conflict_object(string_or_empty(failure, "message"))
                      : NULL;

    if (!owner)
        return;
    add(list, true, reason,
        "%s%s: AppArmorProfile %s declares a profile name of this one, too, and is not loaded "
        "there",
        string_or_empty(failure, "node"), others, change->profile);
    list->items[list->len - 1].other = owner;
}

static void tell_failures(const struct status_change *change, struct transition_list *list)
{
    const struct tally *tally = node_index_tally(change->index, change->profile);
    const cJSON *failure;

    if (!is_new_generation(change) && !lists_all_failures(change->old))
        return;
    cJSON_ArrayForEach(failure, json_get(change->new, "failures"))
    {
        const char *message = string_or_empty(failure, "message");
        _cleanup_free_ char *others = NULL;

        if (failed_before(change, failure) || told_before(change, failure))
            continue;
        others = and_others(count_alike(tally, failure));
        add(list, true, string_or_empty(failure, "reason"), "%s%s%s%s",
            string_or_empty(failure, "node"), others, *message ? ": " : "", message);
        tell_owner(change, failure, others, list);
    }
}

static void tell_recoveries(const struct status_change *change, struct transition_list *list)
{
    _cleanup_free_ char *others = NULL;
    const char *first = NULL;
    const cJSON *failure;
    size_t count = 0;

    cJSON_ArrayForEach(failure, json_get(change->old, "failures"))
    {
        const char *node = string_or_empty(failure, "node");

        if (node_index_state(change->index, change->profile, node) != NODE_LOADED)
            continue;
        first = first ? first : node;
        count++;
    }
    others = and_others(count);
    if (count > 0)
        add(list, false, reason_name(REASON_NODE_RECOVERED), "%s%s %s loaded it after a failure",
            first, others, count == 1 ? "has" : "have");
}

/* --- rollouts ------------------------------------------------------------------------ */

void transitions_find_step(const struct policy_rollout *next, struct transition_list *ret)
{
    *ret = (struct transition_list){0};
    if (strcmp(next->revision, next->previous) != 0)
        add(ret, false, reason_name(REASON_ROLLOUT_STEP), "revision %s goes to %u %% of the nodes",
            next->revision, next->percent);
}

/* --- warnings ---------------------------------------------------------------------- */

static bool warned_before(const struct status_change *change, const cJSON *warning)
{
    const cJSON *old;

    cJSON_ArrayForEach(old, json_get(change->old, "warnings"))
    {
        if (failures_alike(old, warning))
            return true;
    }
    return false;
}

static void tell_warnings(const struct status_change *change, struct transition_list *list)
{
    const cJSON *warning;

    cJSON_ArrayForEach(warning, json_get(change->new, "warnings"))
    {
        if (!warned_before(change, warning))
            add(list, true, string_or_empty(warning, "reason"), "%s",
                string_or_empty(warning, "message"));
    }
}

/* --- the end ----------------------------------------------------------------------- */

bool transitions_told_deletion(const cJSON *status)
{
    return ready_reason(status) == REASON_TERMINATING;
}

void transitions_find_release(bool forced, bool waited, const struct holders *holders,
                              struct transition_list *ret)
{
    _cleanup_buf_ struct buf left = BUF_INIT(MESSAGE_MAX);

    *ret = (struct transition_list){0};
    message_add_left(&left, holders);
    if (forced)
        add(ret, true, reason_name(REASON_FORCE_DELETED), "deleted by force%s", buf_string(&left));
    else if (waited || left.len > 0)
        add(ret, false, reason_name(REASON_RELEASED), "no live node has it to unload any more%s",
            buf_string(&left));
}

static const cJSON *promotable(const cJSON *status)
{
    const cJSON *condition = condition_find(json_get(status, "conditions"), "Promotable");

    return string_is(condition, "status", "True") ? condition : NULL;
}

static void tell_promotable(const struct status_change *change, struct transition_list *list)
{
    const cJSON *condition = promotable(change->new);

    if (condition && (!promotable(change->old) || is_new_generation(change)))
        add(list, false, "Promotable", "%s", string_or_empty(condition, "message"));
}

void transitions_find(const struct status_change *change, struct good_news *news,
                      struct transition_list *ret)
{
    *ret = (struct transition_list){0};
    tell_failures(change, ret);
    tell_recoveries(change, ret);
    tell_warnings(change, ret);
    tell_ready(change, news, ret);
    tell_promotable(change, ret);
}
