// SPDX-License-Identifier: Apache-2.0
#include "lib/audit/suggest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

/* So many files of one folder stand for all of it. */
#define SIBLINGS_MIN 4

static void suggestion_done(struct audit_suggestion *suggestion)
{
    audit_rule_done(&suggestion->rule);
    free(suggestion->accesses);
}

void audit_suggestions_done(struct audit_suggestions *suggestions)
{
    for (size_t i = 0; i < suggestions->len; i++)
        suggestion_done(&suggestions->items[i]);
    free(suggestions->items);
    *suggestions = (struct audit_suggestions){0};
}

/* --- adding --------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool can_join(const struct audit_rule *a, const struct audit_rule *b)
{
    return strcmp(a->profile, b->profile) == 0 && same_text(a->path, b->path) &&
           same_text(a->text, b->text) && a->owner == b->owner;
}

static void add_numbers(struct audit_suggestion *to, const size_t *numbers, size_t count)
{
    to->accesses = xreallocarray(to->accesses, to->access_count + count, sizeof(*to->accesses));
    memcpy(to->accesses + to->access_count, numbers, count * sizeof(*numbers));
    to->access_count += count;
}

int audit_suggestions_add(struct audit_suggestions *suggestions, const struct audit_access *access,
                          const struct audit_rule_options *options, size_t number,
                          struct error *err)
{
    struct audit_rule rule;
    int r = audit_rule_of(access, options, &rule, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < suggestions->len; i++) {
        struct audit_suggestion *other = &suggestions->items[i];

        if (can_join(&other->rule, &rule)) {
            audit_rule_merge(&other->rule, &rule);
            add_numbers(other, &number, 1);
            audit_rule_done(&rule);
            return 0;
        }
    }
    suggestions->items =
        xreallocarray(suggestions->items, suggestions->len + 1, sizeof(*suggestions->items));
    suggestions->items[suggestions->len] = (struct audit_suggestion){.rule = rule};
    add_numbers(&suggestions->items[suggestions->len++], &number, 1);
    return 0;
}

/* --- folders -------------------------------------------------------------------------------- */

static size_t count_slashes(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += *text == '/';
    return count;
}

/*
 * Whether all files of a folder may be meant by several of them. Never where one file's neighbour
 * may be a secret or a switch: /etc, /dev, /proc, /sys, a user's home itself.
 */
static bool holds_data(const char *path)
{
    static const struct {
        const char *folder;
        size_t slashes; /* in a path within, at least */
    } folders[] = {
        {"/tmp/", 2},       {"/dev/shm/", 3}, {"/var/", 4},    {"/srv/", 3},
        {"/usr/share/", 4}, {"/usr/lib/", 4}, {"/lib/", 3},    {"/usr/local/", 4},
        {"/opt/", 3},       {"/data/", 2},    {"@{HOME}/", 3}, {"@{run}/", 2},
    };

    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        if (strncmp(path, folders[i].folder, strlen(folders[i].folder)) == 0)
            return count_slashes(path) >= folders[i].slashes;
    return false;
}

static bool is_file_rule(const struct audit_rule *rule)
{
    const char *slash = rule->path ? strrchr(rule->path, '/') : NULL;

    return slash && slash[1] != '\0' && !strchr(rule->rights, 'x') && holds_data(rule->path);
}

static size_t folder_len(const struct audit_rule *rule)
{
    return (size_t) (strrchr(rule->path, '/') - rule->path) + 1;
}

static bool are_siblings(const struct audit_rule *a, const struct audit_rule *b)
{
    return is_file_rule(b) && folder_len(a) == folder_len(b) &&
           strncmp(a->path, b->path, folder_len(a)) == 0 && strcmp(a->profile, b->profile) == 0 &&
           strcmp(a->rights, b->rights) == 0 && a->owner == b->owner;
}

static size_t count_siblings(const struct audit_suggestions *suggestions, size_t first)
{
    size_t count = 0;

    for (size_t i = first; i < suggestions->len; i++)
        count += are_siblings(&suggestions->items[first].rule, &suggestions->items[i].rule);
    return count;
}

static void remove_at(struct audit_suggestions *suggestions, size_t index)
{
    suggestion_done(&suggestions->items[index]);
    suggestions->len--;
    memmove(&suggestions->items[index], &suggestions->items[index + 1],
            (suggestions->len - index) * sizeof(*suggestions->items));
}

/* Takes what is said about the second into the first, and the second away. */
static void absorb(struct audit_suggestions *suggestions, size_t first, size_t second)
{
    const struct audit_suggestion *other = &suggestions->items[second];

    add_numbers(&suggestions->items[first], other->accesses, other->access_count);
    remove_at(suggestions, second);
}

static void join_folders(struct audit_suggestions *suggestions)
{
    for (size_t i = 0; i < suggestions->len; i++) {
        struct audit_rule *rule = &suggestions->items[i].rule;

        if (!is_file_rule(rule) || count_siblings(suggestions, i) < SIBLINGS_MIN)
            continue;
        for (size_t k = suggestions->len - 1; k > i; k--)
            if (are_siblings(rule, &suggestions->items[k].rule))
                absorb(suggestions, i, k);
        rule->path[folder_len(rule)] = '\0';
        char *all = xasprintf("%s*", rule->path);
        free(rule->path);
        rule->path = all;
    }
}

/* --- what another rule says already --------------------------------------------------------- */

static bool has_rights(const struct audit_rule *rule, const struct audit_rule *wanted)
{
    for (const char *right = wanted->rights; *right; right++)
        if (!strchr(rule->rights, *right))
            return false;
    return !rule->owner || wanted->owner;
}

/* A folder's pattern says what its files say. */
static bool covers_path(const char *path, const char *other)
{
    size_t len = strlen(path);

    if (strcmp(path, other) == 0)
        return true;
    return len > 1 && path[len - 1] == '*' && path[len - 2] == '/' &&
           strncmp(path, other, len - 1) == 0 && other[len - 1] != '\0' &&
           !strchr(other + len - 1, '/');
}

static bool covers(const struct audit_rule *rule, const struct audit_rule *other)
{
    return rule->path && other->path && strcmp(rule->profile, other->profile) == 0 &&
           covers_path(rule->path, other->path) && has_rights(rule, other);
}

static void drop_covered(struct audit_suggestions *suggestions)
{
    for (size_t i = 0; i < suggestions->len; i++)
        for (size_t k = suggestions->len; k-- > 0;)
            if (k != i && i < suggestions->len &&
                covers(&suggestions->items[i].rule, &suggestions->items[k].rule)) {
                absorb(suggestions, i, k);
                i -= k < i;
            }
}

/* --- order ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct audit_rule *x = &((const struct audit_suggestion *) a)->rule;
    const struct audit_rule *y = &((const struct audit_suggestion *) b)->rule;
    int order = strcmp(x->profile, y->profile);

    if (order != 0)
        return order;
    if (!x->path != !y->path)
        return x->path ? 1 : -1;
    order = strcmp(x->path ? x->path : x->text, y->path ? y->path : y->text);
    return order != 0 ? order : (int) x->owner - (int) y->owner;
}

void audit_suggestions_arrange(struct audit_suggestions *suggestions,
                               const struct audit_rule_options *options)
{
    if (!options->exact)
        join_folders(suggestions);
    drop_covered(suggestions);
    if (suggestions->len > 0)
        qsort(suggestions->items, suggestions->len, sizeof(*suggestions->items), compare);
}
