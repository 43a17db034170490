// SPDX-License-Identifier: Apache-2.0
#include "agent/confinement_check.h"

#include "agent/agent_metrics.h"
#include "agent/confinement.h"
#include "agent/proc_scan.h"
#include "agent/status.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/strv.h"

/* Changes come together. */
#define GATHER_MS 500
/* Looking takes at most this part of a processor … */
#define SCAN_SHARE 50
/* … but is not put off for longer. */
#define INTERVAL_MIN_MS 1000
#define INTERVAL_MAX_MS 15000
/* What no event tells: that a process has ended, and what an exec has begun. */
#define RECHECK_FOUND_MS 30000
#define RECHECK_MS 300000
/* Containers with a series of their own. */
#define SERIES_MAX 100

struct confinement_check {
    uv_loop_t *loop;
    struct confinement_check_options options;
    struct findings *findings;
    struct strv told_before; /* ids of containers */
    struct loop_timer *timer;
    uint64_t due_ms; /* when the timer is active */
    struct proc_scan *scan;
    uint64_t began_ms, ended_ms; /* of the last look */
    bool woken;                  /* while one is under way */
    bool known;
    bool failing;
};

/* --- when --- */

static void look_by(struct confinement_check *check, uint64_t due_ms)
{
    uint64_t now = clock_monotonic_ms();

    if (loop_timer_active(check->timer) && check->due_ms <= due_ms)
        return;
    check->due_ms = due_ms;
    loop_timer_start(check->timer, due_ms > now ? due_ms - now : 0);
}

static uint64_t earliest(const struct confinement_check *check)
{
    uint64_t interval = (check->ended_ms - check->began_ms) * SCAN_SHARE;

    if (interval < INTERVAL_MIN_MS)
        interval = INTERVAL_MIN_MS;
    if (interval > INTERVAL_MAX_MS)
        interval = INTERVAL_MAX_MS;
    return check->ended_ms ? check->ended_ms + interval : 0;
}

void confinement_check_wake(struct confinement_check *check)
{
    uint64_t gathered = clock_monotonic_ms() + GATHER_MS, first = earliest(check);

    if (check->scan)
        check->woken = true;
    else
        look_by(check, gathered > first ? gathered : first);
}

/* --- telling --- */

static bool was_told(const struct confinement_check *check, const struct finding *finding)
{
    return finding->told || strv_contains(&check->told_before, finding->id);
}

static void tell(const struct confinement_check *check, const struct finding *finding)
{
    const struct kube_reference about = {
        .api_version = "v1",
        .kind = "Pod",
        .ns = finding->ns,
        .name = finding->pod,
        .uid = finding->uid,
    };
    const char *remedy = finding->profile_loaded
                             ? "delete the pod, so that it starts again confined"
                             : "the kernel of this node does not have that profile: once it does, "
                               "delete the pod, so that it starts again confined";

    log_warn("a container is not confined as its pod asks", "namespace", finding->ns, "pod",
             finding->pod, "container", finding->container, "asked", finding->asked, "label",
             finding->label);
    kube_recorder_event(check->options.recorder, &about, KUBE_EVENT_WARNING, "AppArmorUnconfined",
                        "container %s: %s is asked for, and it runs as «%s»; %s",
                        finding->container, finding->asked, finding->label, remedy);
}

static void set_metrics(const struct confinement_check *check)
{
    struct metrics *metrics = check->options.metrics;
    const struct finding *finding;
    size_t position = 0;

    metrics_set(metrics, METRIC_UNCONFINED_CONTAINERS, (double) findings_size(check->findings),
                NULL);
    metrics_remove(metrics, METRIC_CONTAINER_UNCONFINED, NULL);
    while (position < SERIES_MAX && (finding = findings_next(check->findings, &position)))
        metrics_set(metrics, METRIC_CONTAINER_UNCONFINED, 1,
                    (const char *const[]){finding->ns, finding->pod, finding->container});
}

/* A runtime loads its own profile when it starts a container. */
static bool is_loaded(const struct confinement_check *check, const struct finding *finding)
{
    const char *profile = confinement_profile(finding->asked);

    return !profile || loaded_has(check->options.loaded, profile);
}

static void read_loaded(const struct confinement_check *check)
{
    _cleanup_strv_ struct strv names = {0};
    _cleanup_error_ struct error err = {0};
    const struct finding *finding;
    size_t position = 0;

    while ((finding = findings_next(check->findings, &position)))
        if (confinement_profile(finding->asked))
            strv_add(&names, confinement_profile(finding->asked));
    if (names.len > 0 && loaded_refresh(check->options.loaded, &names, &err) < 0)
        log_warn("the kernel's profiles cannot be read", "err", error_message(&err));
}

static void report(struct confinement_check *check)
{
    struct finding *finding;
    size_t position = 0;

    read_loaded(check);
    while ((finding = findings_next(check->findings, &position))) {
        finding->profile_loaded = is_loaded(check, finding);
        if (!was_told(check, finding))
            tell(check, finding);
        finding->told = true;
    }
    set_metrics(check);
    check->options.changed(check->options.userdata);
}

/* --- looking --- */

static int read_containers(const char *proc, void **ret, struct error *err)
{
    struct containers *containers;
    int r = containers_read(proc, &containers, err);

    if (r == 0)
        *ret = containers;
    return r;
}

static void free_containers(void *result)
{
    containers_free(result);
}

static const struct proc_scan_kind scan_containers = {.read = read_containers,
                                                      .free = free_containers};

static void check_container(void *userdata, const struct node_container *container)
{
    findings_check(userdata, container);
}

/* Returns when to look again because of a suspicion, or 0. */
static uint64_t compare(struct confinement_check *check, const struct containers *seen)
{
    uint64_t again_ms;

    findings_begin(check->findings, seen, clock_monotonic_ms());
    node_pods_each(check->options.pods, check_container, check->findings);
    again_ms = findings_end(check->findings);
    /* After a start, what stands is told only when it is known for certain. */
    check->known = check->known || again_ms == 0;
    if (check->known)
        report(check);
    return again_ms;
}

static void plan(struct confinement_check *check, uint64_t again_ms)
{
    uint64_t wait_ms = findings_size(check->findings) > 0 ? RECHECK_FOUND_MS : RECHECK_MS;

    if (again_ms > 0 && again_ms < wait_ms)
        wait_ms = again_ms;
    look_by(check, check->ended_ms + wait_ms);
    if (check->woken)
        confinement_check_wake(check);
    check->woken = false;
}

static void on_scanned(void *userdata, void *result, const struct error *err)
{
    struct confinement_check *check = userdata;
    _cleanup_(containers_freep) struct containers *seen = result;

    check->scan = NULL;
    check->ended_ms = clock_monotonic_ms();
    if (!seen && !check->failing)
        log_warn("containers' confinement cannot be checked; will try again", "err",
                 error_message(err));
    check->failing = !seen;
    plan(check, seen ? compare(check, seen) : 0);
}

static void is_asking(void *userdata, const struct node_container *container)
{
    bool *asking = userdata;

    *asking = *asking || (container->running && container->asked);
}

static void look(void *userdata)
{
    static const struct containers none = {0};
    struct confinement_check *check = userdata;
    bool asking = false;

    if (check->scan || !node_pods_synced(check->options.pods))
        return;
    node_pods_each(check->options.pods, is_asking, &asking);
    /* Without a container to check there is nothing to look for until one comes. */
    if (!asking) {
        (void) compare(check, &none);
        return;
    }
    check->began_ms = clock_monotonic_ms();
    check->scan =
        proc_scan_start(check->loop, &scan_containers, check->options.proc, on_scanned, check);
}

/* --- the module --- */

void confinement_check_adopt(struct confinement_check *check, const cJSON *status)
{
    const cJSON *entry;

    cJSON_ArrayForEach(entry, json_get(status, STATUS_UNCONFINED))
    {
        const char *id = json_string(entry, "containerID");

        if (id)
            strv_add(&check->told_before, id);
    }
}

const struct findings *confinement_check_findings(const struct confinement_check *check)
{
    return check->known ? check->findings : NULL;
}

struct confinement_check *confinement_check_new(uv_loop_t *loop,
                                                const struct confinement_check_options *options)
{
    struct confinement_check *check = xcalloc(1, sizeof(*check));

    check->loop = loop;
    check->options = *options;
    check->findings = findings_new();
    check->timer = loop_timer_new(loop, look, check);
    return check;
}

void confinement_check_free(struct confinement_check *check)
{
    if (!check)
        return;
    proc_scan_cancel(check->scan);
    loop_timer_free(check->timer);
    findings_free(check->findings);
    strv_done(&check->told_before);
    free(check);
}
