// SPDX-License-Identifier: Apache-2.0
#include "agent/findings.h"

#include <string.h>

#include "agent/confinement.h"
#include "lib/base/alloc.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"

struct entry {
    struct finding finding;
    pid_t pid;
    uint64_t start; /* of the process */
    uint64_t since_ms;
    uint64_t confirm_ms;
    bool confirmed;
    bool seen; /* in this look */
};

struct findings {
    struct map *entries;
    struct strv confirmed; /* their keys, sorted */
    const struct containers *seen;
    uint64_t now_ms;
};

static void entry_free(void *value)
{
    struct entry *entry = value;

    free(entry->finding.ns);
    free(entry->finding.pod);
    free(entry->finding.uid);
    free(entry->finding.container);
    free(entry->finding.id);
    free(entry->finding.asked);
    free(entry->finding.label);
    free(entry);
}

struct findings *findings_new(void)
{
    struct findings *findings = xcalloc(1, sizeof(*findings));

    findings->entries = map_new(entry_free);
    return findings;
}

void findings_free(struct findings *findings)
{
    if (!findings)
        return;
    map_free(findings->entries);
    strv_done(&findings->confirmed);
    free(findings);
}

/* --- a look --- */

void findings_begin(struct findings *findings, const struct containers *seen, uint64_t now_ms)
{
    size_t position = 0;
    void *value;

    findings->seen = seen;
    findings->now_ms = now_ms;
    while (map_next(findings->entries, &position, NULL, &value))
        ((struct entry *) value)->seen = false;
}

/* The oldest process of the container that is not as it should be. */
static const struct container_task *find_task(const struct findings *findings,
                                              const struct node_container *container)
{
    size_t count;
    const struct container_task *tasks = containers_find(findings->seen, container->id, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(tasks[i].place.pod, container->cgroup_pod) == 0 &&
            !confinement_holds(container->asked, tasks[i].label))
            return &tasks[i];
    return NULL;
}

static struct entry *entry_new(const struct node_container *container)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->finding = (struct finding){
        .ns = xstrdup(container->ns),
        .pod = xstrdup(container->pod),
        .uid = xstrdup(container->uid),
        .container = xstrdup(container->name),
        .id = xstrdup(container->id),
        .asked = xstrdup(container->asked),
    };
    return entry;
}

static void note(const struct findings *findings, struct entry *entry,
                 const struct container_task *task)
{
    if (entry->pid != task->pid || entry->start != task->start) {
        entry->pid = task->pid;
        entry->start = task->start;
        entry->since_ms = findings->now_ms;
    }
    entry->confirm_ms = task->starting ? FINDINGS_CONFIRM_STARTING_MS : FINDINGS_CONFIRM_MS;
    if (findings->now_ms - entry->since_ms >= entry->confirm_ms)
        entry->confirmed = true;
    entry->seen = true;
    free(entry->finding.label);
    entry->finding.label = xstrdup(task->label);
}

/* The id tells a container from its successor of the same name; no name holds a slash. */
void findings_check(struct findings *findings, const struct node_container *container)
{
    const struct container_task *task;
    struct entry *entry;

    if (!container->running || !container->asked)
        return;
    task = find_task(findings, container);
    if (!task)
        return;
    _cleanup_free_ char *key =
        xasprintf("%s/%s/%s/%s", container->ns, container->pod, container->name, container->id);
    entry = map_get(findings->entries, key);
    if (!entry) {
        entry = entry_new(container);
        map_set(findings->entries, key, entry);
    }
    note(findings, entry, task);
}

static void forget_unseen(struct findings *findings)
{
    const char *key;
    size_t position = 0;
    void *value;

    while (map_next(findings->entries, &position, &key, &value))
        if (!((struct entry *) value)->seen)
            map_remove(findings->entries, key);
}

uint64_t findings_end(struct findings *findings)
{
    uint64_t next_ms = 0;
    const char *key;
    size_t position = 0;
    void *value;

    forget_unseen(findings);
    findings->seen = NULL;
    strv_done(&findings->confirmed);
    while (map_next(findings->entries, &position, &key, &value)) {
        const struct entry *entry = value;
        uint64_t due_ms = entry->since_ms + entry->confirm_ms - findings->now_ms;

        if (entry->confirmed)
            strv_add(&findings->confirmed, key);
        else if (next_ms == 0 || due_ms < next_ms)
            next_ms = due_ms;
    }
    strv_sort(&findings->confirmed);
    return next_ms;
}

/* --- what came of it --- */

size_t findings_size(const struct findings *findings)
{
    return findings->confirmed.len;
}

struct finding *findings_next(const struct findings *findings, size_t *position)
{
    struct entry *entry;

    if (*position == findings->confirmed.len)
        return NULL;
    entry = map_get(findings->entries, findings->confirmed.items[(*position)++]);
    return &entry->finding;
}
