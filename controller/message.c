// SPDX-License-Identifier: Apache-2.0
#include "controller/message.h"

#include <string.h>

#include "controller/profiles.h"
#include "controller/rollup.h"
#include "lib/base/alloc.h"
#include "lib/base/utf8.h"

/* Bytes of a node's message that a condition quotes; status.failures has more. */
#define QUOTE_MAX 300

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

/* Keeps the `max` smallest in order; `names` has room for one more. */
static void insert_name(const char **names, size_t *count, size_t max, const char *name)
{
    size_t at = *count;

    while (at > 0 && strcmp(names[at - 1], name) > 0) {
        names[at] = names[at - 1];
        at--;
    }
    names[at] = name;
    if (*count < max)
        ++*count;
}

const char **message_first_nodes(const struct map *nodes, size_t max, size_t *ret_count)
{
    const char **names = xcalloc(max + 1, sizeof(*names));
    size_t count = 0, position = 0;
    const char *name;

    while (map_next(nodes, &position, &name, NULL))
        insert_name(names, &count, max, name);
    *ret_count = count;
    return names;
}

void message_add_loaded(struct buf *out, const struct tally *tally)
{
    size_t selected = tally_selected(tally);

    (void) buf_addf(out, "%zu of %zu node%s loaded", tally->counts[NODE_LOADED], selected,
                    plural(selected));
}

/* --- failures ----------------------------------------------------------------- */

struct group {
    const struct report *report;
    const char *first; /* node, by name */
    size_t count;
};

static bool reports_alike(const struct report *a, const struct report *b)
{
    return a == b || (strcmp(a->reason, b->reason) == 0 && strcmp(a->message, b->message) == 0);
}

/* Sorts the failures of all nodes into at most `max` groups; returns how many nodes fit in none. */
static size_t group_failures(const struct map *failed, struct group *groups, size_t max,
                             size_t *ret_count)
{
    size_t count = 0, position = 0, rest = 0;
    const char *node;
    void *value;

    while (map_next(failed, &position, &node, &value)) {
        size_t i = 0;

        while (i < count && !reports_alike(groups[i].report, value))
            i++;
        if (i == max) {
            rest++;
            continue;
        }
        if (i == count)
            groups[count++] = (struct group){.report = value, .first = node};
        if (strcmp(node, groups[i].first) < 0)
            groups[i].first = node;
        groups[i].count++;
    }
    *ret_count = count;
    return rest;
}

static int group_compare(const void *a, const void *b)
{
    const struct group *one = a, *other = b;

    return strcmp(one->first, other->first);
}

static void add_quote(struct buf *out, const char *text)
{
    size_t len = strlen(text), cut = utf8_cut(text, len, QUOTE_MAX);

    (void) buf_addf(out, ": %.*s%s", (int) cut, text, cut < len ? "…" : "");
}

static void add_group(struct buf *out, const struct group *group)
{
    const char *text = *group->report->message ? group->report->message : group->report->reason;

    (void) buf_addf(out, "; %s", group->first);
    if (group->count > 1)
        (void) buf_addf(out, " and %zu other%s", group->count - 1, plural(group->count - 1));
    add_quote(out, text);
}

void message_add_failures(struct buf *out, const struct tally *tally)
{
    struct group groups[ROLLUP_NAMES_MAX];
    size_t count, rest = group_failures(tally->failed, groups, ROLLUP_NAMES_MAX, &count);

    qsort(groups, count, sizeof(*groups), group_compare);
    for (size_t i = 0; i < count; i++)
        add_group(out, &groups[i]);
    if (rest > 0)
        (void) buf_addf(out, "; %zu more node%s failed for other reasons", rest, plural(rest));
}

/* --- the rest ----------------------------------------------------------------- */

void message_add_waiting(struct buf *out, const struct tally *tally)
{
    _cleanup_free_ const char **names = NULL;
    size_t count, rest;

    names = message_first_nodes(tally->waiting, ROLLUP_NAMES_MAX, &count);
    if (count == 0)
        return;
    (void) buf_add_string(out, "; waiting for ");
    for (size_t i = 0; i < count; i++)
        (void) buf_addf(out, "%s%s", i > 0 ? ", " : "", names[i]);
    rest = map_size(tally->waiting) - count;
    if (rest > 0)
        (void) buf_addf(out, " and %zu other%s", rest, plural(rest));
}

void message_add_disabled(struct buf *out, const struct tally *tally)
{
    size_t count = tally->counts[NODE_DISABLED];

    if (count > 0)
        (void) buf_addf(out, "; %zu node%s without AppArmor %s not counted", count, plural(count),
                        count == 1 ? "is" : "are");
}

void message_add_lost(struct buf *out, const struct tally *tally)
{
    size_t count = tally->counts[NODE_LOST];

    if (count > 0)
        (void) buf_addf(out, "; %zu node%s whose agent is lost %s not counted", count,
                        plural(count), count == 1 ? "is" : "are");
}

void message_add_none(struct buf *out, const struct tally *tally)
{
    size_t disabled = tally->counts[NODE_DISABLED], agentless = tally->counts[NODE_AGENTLESS];

    (void) buf_add_string(out, "no node that runs the agent and has AppArmor is selected");
    if (disabled > 0)
        (void) buf_addf(out, "; %zu selected node%s no AppArmor", disabled,
                        disabled == 1 ? " has" : "s have");
    if (agentless > 0)
        (void) buf_addf(out, "; %zu selected node%s no agent that reports", agentless,
                        agentless == 1 ? " has" : "s have");
    message_add_lost(out, tally);
}

/* --- who still has it ------------------------------------------------------------ */

/* "in use on 5 nodes: node-1: pod default/app names it; node-2: …; node-3: … and 2 more" */
static void add_holder_list(struct buf *out, const char *what, const struct holder_list *list,
                            bool quotes)
{
    size_t named = list->count < HOLDERS_NAMED_MAX ? list->count : HOLDERS_NAMED_MAX;

    if (list->count == 0)
        return;
    (void) buf_addf(out, "; %s %zu node%s: ", what, list->count, plural(list->count));
    for (size_t i = 0; i < named; i++) {
        const struct holder *holder = &list->first[i];

        (void) buf_addf(out, "%s%s", i == 0 ? "" : quotes ? "; " : ", ", holder->node);
        if (quotes && *holder->report->message)
            add_quote(out, holder->report->message);
    }
    if (list->count > named)
        (void) buf_addf(out, " and %zu more", list->count - named);
}

static const char force_hint[] =
    "; delete what uses it, or annotate the object with " PROFILE_FORCE_DELETE
    "=true: it goes at once then, and nodes keep what is in use until it is not";

void message_add_holders(struct buf *out, const struct holders *holders, const char *held_by)
{
    add_holder_list(out, "in use on", &holders->in_use, true);
    add_holder_list(out, "being unloaded on", &holders->unloading, false);
    add_holder_list(out, "not waiting for lost agents on", &holders->lost, false);
    add_holder_list(out, "kept, as its resource definition goes, on", &holders->orphaned, false);
    if (holders->in_use.count > 0)
        (void) buf_add_string(out, force_hint);
    else if (holders_waited_for(holders) == 0)
        (void) buf_add_string(out, "; no live node has it to unload");
    if (held_by)
        (void) buf_addf(out, "; finalizer %s of another holds it, too", held_by);
}

void message_add_left(struct buf *out, const struct holders *holders)
{
    add_holder_list(out, "still in use on", &holders->in_use, true);
    add_holder_list(out, "still being unloaded on", &holders->unloading, false);
    add_holder_list(out, "not waiting for lost agents, which unload it when they are back, on",
                    &holders->lost, false);
    add_holder_list(out, "kept, as its resource definition goes, on", &holders->orphaned, false);
}
