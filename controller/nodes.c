// SPDX-License-Identifier: Apache-2.0
#include "controller/nodes.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/policy/selector.h"

struct node_index {
    struct map *nodes;    /* of struct node */
    struct map *profiles; /* of struct entry */
    struct report_pool *pool;
    node_index_changed_fn changed;
    void *userdata;
};

/* Node and AppArmorNode of one name; at least one of them exists. */
struct node {
    bool exists;   /* the Node does */
    bool reported; /* the AppArmorNode does */
    bool enabled;  /* it has AppArmor */
    bool sees_denials;
    bool lost;     /* it cannot be waited for */
    cJSON *labels; /* or NULL */
    struct report_list reports;
    struct violations violations;
};

struct entry {
    char *name;
    int64_t generation;
    char *revision;
    cJSON *selector; /* or NULL */
    struct tally tally;
};

static const struct node node_absent;

static void node_free(void *value)
{
    struct node *node = value;

    cJSON_Delete(node->labels);
    report_list_done(&node->reports);
    violations_done(&node->violations);
    free(node);
}

static void entry_free(void *value)
{
    struct entry *entry = value;

    free(entry->name);
    free(entry->revision);
    cJSON_Delete(entry->selector);
    tally_done(&entry->tally);
    free(entry);
}

struct node_index *node_index_new(node_index_changed_fn changed, void *userdata)
{
    struct node_index *index = xcalloc(1, sizeof(*index));

    index->nodes = map_new(node_free);
    index->profiles = map_new(entry_free);
    index->pool = report_pool_new();
    index->changed = changed;
    index->userdata = userdata;
    return index;
}

void node_index_free(struct node_index *index)
{
    if (!index)
        return;
    map_free(index->profiles);
    map_free(index->nodes);
    report_pool_free(index->pool);
    free(index);
}

/* --- what one node means for one profile -------------------------------------- */

/*
 * A generation alone does not tell a deleted and re-created object from its predecessor: what is
 * loaded must be of its revision, too.
 */
static enum node_state report_node_state(const struct entry *entry, const struct report *report)
{
    if (!report)
        return NODE_PENDING;
    if (report->generation != entry->generation)
        return NODE_OUTDATED;
    switch (report->state) {
    case REPORT_LOADED:
        if (*report->revision && strcmp(report->revision, entry->revision) != 0)
            return NODE_OUTDATED;
        return NODE_LOADED;
    case REPORT_FAILED:
        return NODE_FAILED;
    default:
        return NODE_PENDING;
    }
}

static struct share node_share(const struct entry *entry, const struct node *node)
{
    struct share share = {.state = NODE_UNCOUNTED};

    if (!node->exists)
        return share;
    share.report = report_list_find(&node->reports, entry->name);
    if (!policy_selector_matches(entry->selector, node->labels))
        return share;
    if (!node->reported)
        share.state = NODE_AGENTLESS;
    else if (!node->enabled)
        share.state = NODE_DISABLED;
    else
        share.state = report_node_state(entry, share.report);
    /* What it has loaded it has, whoever tells. */
    if (node->lost &&
        (share.state == NODE_OUTDATED || share.state == NODE_PENDING || share.state == NODE_FAILED))
        share.state = NODE_LOST;
    return share;
}

static void index_move_share(struct node_index *index, struct entry *entry, const char *name,
                             const struct node *before, const struct node *after)
{
    struct share old = node_share(entry, before), share = node_share(entry, after);

    if (share_equal(&old, &share))
        return;
    tally_remove(&entry->tally, name, &old);
    tally_add(&entry->tally, name, &share);
    index->changed(index->userdata, entry->name);
}

/* --- nodes ------------------------------------------------------------------- */

/* The profiles for which two report lists differ; both are sorted. */
static void index_move_reports(struct node_index *index, const char *name,
                               const struct node *before, const struct node *after)
{
    const struct report_list *old = &before->reports, *new = &after->reports;
    size_t i = 0, j = 0;

    while (i < old->len || j < new->len) {
        const struct report *was = i < old->len ? old->items[i] : NULL;
        const struct report *is = j < new->len ? new->items[j] : NULL;
        int order = !was ? 1 : !is ? -1 : strcmp(was->profile, is->profile);
        struct entry *entry;

        i += order <= 0;
        j += order >= 0;
        if (order == 0 && was == is)
            continue;
        entry = map_get(index->profiles, order <= 0 ? was->profile : is->profile);
        if (entry)
            index_move_share(index, entry, name, before, after);
    }
}

static void index_move_all(struct node_index *index, const char *name, const struct node *before,
                           const struct node *after)
{
    size_t position = 0;
    void *entry;

    while (map_next(index->profiles, &position, NULL, &entry))
        index_move_share(index, entry, name, before, after);
}

static void tell_violations(void *userdata, const char *profile)
{
    const struct node_index *index = userdata;

    if (map_has(index->profiles, profile))
        index->changed(index->userdata, profile);
}

/* Of a Node that is there: no other's count. */
static void compare_violations(struct node_index *index, const struct node *before,
                               const struct node *after)
{
    static const struct violations none;
    const struct violations *was = before->exists ? &before->violations : &none;
    const struct violations *is = after->exists ? &after->violations : &none;

    if (was->items != is->items)
        violations_compare(was, is, tell_violations, index);
}

/* What it has to say of violations means something else now. */
static void tell_reported(struct node_index *index, const struct node *node)
{
    for (size_t i = 0; i < node->reports.len; i++)
        tell_violations(index, node->reports.items[i]->profile);
}

/* Lets `*after` take the place of the node called `name`. Takes over what it holds. */
static void index_replace_node(struct node_index *index, const char *name, const struct node *after)
{
    struct node *before = map_take(index->nodes, name);
    const struct node *from = before ? before : &node_absent;

    if (from->exists != after->exists || from->reported != after->reported ||
        from->enabled != after->enabled || from->lost != after->lost ||
        !json_equal(from->labels, after->labels))
        index_move_all(index, name, from, after);
    else
        index_move_reports(index, name, from, after);
    compare_violations(index, from, after);

    if (from->sees_denials != after->sees_denials)
        tell_reported(index, after);

    /* What passed from the one to the other must not be released with it. */
    if (before) {
        if (before->labels == after->labels)
            before->labels = NULL;
        if (before->reports.items == after->reports.items)
            before->reports = (struct report_list){0};
        if (before->violations.items == after->violations.items)
            before->violations = (struct violations){0};
        node_free(before);
    }
    if (after->exists || after->reported)
        map_set(index->nodes, name, xmemdup(after, sizeof(*after)));
}

static struct node index_copy_node(const struct node_index *index, const char *name)
{
    const struct node *node = map_get(index->nodes, name);

    return node ? *node : node_absent;
}

void node_index_set_node(struct node_index *index, const char *name, const cJSON *labels)
{
    struct node node = index_copy_node(index, name);

    /* Most updates of a Node are heartbeats. */
    if (node.exists && json_equal(node.labels, labels))
        return;
    node.exists = true;
    node.labels = labels ? cJSON_Duplicate(labels, true) : NULL;
    index_replace_node(index, name, &node);
}

void node_index_remove_node(struct node_index *index, const char *name)
{
    struct node node = index_copy_node(index, name);

    node.exists = false;
    node.labels = NULL;
    index_replace_node(index, name, &node);
}

struct node_report *node_index_read_report(struct node_index *index, const cJSON *status)
{
    return node_report_new(index->pool, status);
}

void node_index_set_report(struct node_index *index, const char *name, struct node_report *report)
{
    struct node node = index_copy_node(index, name);

    node.reported = true;
    node.lost = false;
    node.enabled = report->enabled;
    node.sees_denials = report->sees_denials;
    node.reports = report->reports;
    report->reports = (struct report_list){0};
    node.violations = report->violations;
    report->violations = (struct violations){0};
    index_replace_node(index, name, &node);
    node_report_free(report);
}

void node_index_remove_report(struct node_index *index, const char *name)
{
    struct node node = index_copy_node(index, name);

    node.reported = node.enabled = node.sees_denials = node.lost = false;
    node.reports = (struct report_list){0};
    node.violations = (struct violations){0};
    index_replace_node(index, name, &node);
}

void node_index_look_for_lost(struct node_index *index, node_index_lost_fn fn, void *userdata)
{
    _cleanup_strv_ struct strv changed = {0};
    size_t position = 0;
    const char *name;
    void *value;

    while (map_next(index->nodes, &position, &name, &value)) {
        const struct node *node = value;

        if (node->exists && node->reported && fn(userdata, name) != node->lost)
            strv_add(&changed, name);
    }
    for (size_t i = 0; i < changed.len; i++) {
        struct node node = index_copy_node(index, changed.items[i]);

        node.lost = !node.lost;
        index_replace_node(index, changed.items[i], &node);
    }
}

/* --- profiles ---------------------------------------------------------------- */

static bool entry_matches(const struct entry *entry, const struct profile_spec *spec)
{
    return entry->generation == spec->generation && strcmp(entry->revision, spec->revision) == 0 &&
           json_equal(entry->selector, spec->selector);
}

void node_index_set_profile(struct node_index *index, const struct profile_spec *spec)
{
    struct entry *entry = map_get(index->profiles, spec->name);
    size_t position = 0;
    const char *name;
    void *node;

    if (entry && entry_matches(entry, spec))
        return;
    entry = xcalloc(1, sizeof(*entry));
    entry->name = xstrdup(spec->name);
    entry->generation = spec->generation;
    entry->revision = xstrdup(spec->revision);
    entry->selector = spec->selector ? cJSON_Duplicate(spec->selector, true) : NULL;
    tally_init(&entry->tally);
    while (map_next(index->nodes, &position, &name, &node)) {
        struct share share = node_share(entry, node);

        tally_add(&entry->tally, name, &share);
    }
    map_set(index->profiles, entry->name, entry);
    index->changed(index->userdata, entry->name);
}

void node_index_remove_profile(struct node_index *index, const char *name)
{
    map_remove(index->profiles, name);
}

/* --- reading ----------------------------------------------------------------- */

const struct tally *node_index_tally(const struct node_index *index, const char *profile)
{
    const struct entry *entry = map_get(index->profiles, profile);

    return entry ? &entry->tally : NULL;
}

enum node_state node_index_state(const struct node_index *index, const char *profile,
                                 const char *node)
{
    const struct entry *entry = map_get(index->profiles, profile);
    const struct node *known = map_get(index->nodes, node);

    return entry && known ? node_share(entry, known).state : NODE_UNCOUNTED;
}

void node_index_each(const struct node_index *index, const char *profile, node_index_each_fn fn,
                     void *userdata)
{
    const struct entry *entry = map_get(index->profiles, profile);
    size_t position = 0;
    const char *name;
    void *node;

    while (entry && map_next(index->nodes, &position, &name, &node)) {
        const struct share share = node_share(entry, node);
        const struct node *known = node;
        const struct node_view view = {.name = name,
                                       .state = share.state,
                                       .report = share.report,
                                       .violation = violations_find(&known->violations, profile),
                                       .sees_denials = known->sees_denials};

        if (known->exists)
            fn(userdata, &view);
    }
}

struct violation_sum node_index_violations(const struct node_index *index, const char *profile)
{
    const struct entry *entry = map_get(index->profiles, profile);
    struct violation_sum sum = {0};
    size_t position = 0;
    void *value;

    while (entry && map_next(index->nodes, &position, NULL, &value)) {
        const struct node *node = value;

        if (node->exists && node->violations.len > 0)
            violation_sum_add(&sum, &node->violations, profile, entry->revision);
    }
    return sum;
}

size_t node_index_nodes(const struct node_index *index)
{
    return map_size(index->nodes);
}

size_t node_index_profiles(const struct node_index *index)
{
    return map_size(index->profiles);
}

size_t node_index_reports(const struct node_index *index)
{
    return report_pool_size(index->pool);
}
