// SPDX-License-Identifier: Apache-2.0
#include "controller/garbage.h"

#include <string.h>

#include "controller/controller_metrics.h"
#include "controller/placement.h"
#include "controller/resources.h"
#include "controller/sources.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/kube/workqueue.h"
#include "lib/policy/names.h"

#define FIELD_MANAGER "apparmor-controller"
/* Between two sweeps, at most; and that part of the time after which labels go. */
#define SWEEP_MAX_MS 60000
#define SWEEPS_PER_LOSS 4
/* A node whose pods require its labels is asked for these pods again. */
#define HELD_MAX_MS (UINT64_C(10) * 60 * 1000)
#define RETRY_MIN_MS 1000
#define RETRY_MAX_MS 60000

/* What a key of the queue begins with. */
static const char *const kinds[] = {"features", "report", "labels"};
enum kind { KIND_FEATURES, KIND_REPORT, KIND_LABELS };

/* One thing that is taken away; one at a time. */
struct task {
    struct garbage *garbage;
    struct kube_work *work;
    enum kind kind;
    const char *name; /* of the key */
    struct kube_request *request;
    struct strv labels; /* that nobody requires */
    size_t held;        /* that somebody does */
    bool agent;         /* there is one, which what is followed does not show */
};

struct garbage {
    struct garbage_options options;
    struct kube_workqueue *queue;
    struct loop_timer *timer;
    uint64_t interval_ms;
    struct map *orphans; /* AppArmorNodes that had no Node at the last sweep, by uid */
    struct map *held;    /* nodes → when they are looked at again, uint64_t */
    struct task *task;
};

/* --- the end of a task ----------------------------------------------------------------- */

static void task_free(struct task *task)
{
    if (!task)
        return;
    kube_request_cancel(task->request);
    strv_done(&task->labels);
    free(task);
}

static void finish(struct task *task, enum kube_outcome outcome)
{
    struct kube_work *work = task->work;

    task->garbage->task = NULL;
    task_free(task);
    kube_work_done(work, (struct kube_result){.outcome = outcome});
}

static void count(const struct task *task, const char *outcome)
{
    metrics_add(task->garbage->options.metrics, METRIC_GARBAGE, 1,
                (const char *const[]){kinds[task->kind], outcome});
}

static void fail(struct task *task, const struct error *err)
{
    /* It has gone or changed by itself; the next sweep will see. */
    if (kube_error_is_not_found(err) || kube_error_is_conflict(err)) {
        finish(task, KUBE_DONE);
        return;
    }
    log_warn("cannot take away what is of no use; will try again", "what", kinds[task->kind],
             "name", task->name, "err", error_message(err));
    count(task, "error");
    finish(task, KUBE_RETRY);
}

static void on_deleted(void *userdata, _unused_ struct kube_object *object, const struct error *err)
{
    struct task *task = userdata;

    task->request = NULL;
    if (err->code) {
        fail(task, err);
        return;
    }
    log_info("deleted, as it is of no use", "what", kinds[task->kind], "name", task->name);
    count(task, "removed");
    finish(task, KUBE_DONE);
}

static bool may_write(const struct garbage *garbage)
{
    return garbage->options.may_write(garbage->options.userdata);
}

/* --- features -------------------------------------------------------------------------- */

static void take_features(struct task *task)
{
    const struct garbage_options *options = &task->garbage->options;
    const struct kube_object *object =
        kube_informer_get(options->features, options->ns, task->name);

    if (!object || !may_write(task->garbage)) {
        finish(task, KUBE_DONE);
        return;
    }
    task->request = kube_delete(options->client, &resource_configmaps, options->ns, task->name,
                                kube_object_uid(object), on_deleted, task);
}

/* --- AppArmorNodes --------------------------------------------------------------------- */

static bool is_of_node(const struct kube_object *report, const struct kube_object *node)
{
    const char *owner = json_string(kube_object_json(report), SOURCES_OWNER);

    return node && (!owner || strcmp(owner, kube_object_uid(node)) == 0);
}

static void on_node_read(void *userdata, struct kube_object *node, const struct error *err)
{
    struct task *task = userdata;
    const struct garbage_options *options = &task->garbage->options;
    const struct kube_object *report = kube_informer_get(options->reports, NULL, task->name);

    task->request = NULL;
    if (err->code && !kube_error_is_not_found(err))
        fail(task, err);
    else if (!report || is_of_node(report, node) || !may_write(task->garbage))
        finish(task, KUBE_DONE);
    else
        task->request = kube_delete(options->client, &resource_nodes, NULL, task->name,
                                    kube_object_uid(report), on_deleted, task);
}

/* What an informer shows may be late: the Node is asked for once more. */
static void take_report(struct task *task)
{
    task->request = kube_get(task->garbage->options.client, &kube_nodes, NULL, task->name, NULL,
                             on_node_read, task);
}

/* --- labels ---------------------------------------------------------------------------- */

static bool is_agents_label(const char *key)
{
    return strcmp(key, POLICY_NODE_ENABLED) == 0 ||
           strncmp(key, POLICY_NODE_PROFILE, strlen(POLICY_NODE_PROFILE)) == 0;
}

static const cJSON *labels_of(const struct kube_object *node)
{
    return json_get(kube_object_json(node), "metadata", "labels");
}

static bool has_labels(const struct kube_object *node)
{
    const cJSON *label;

    cJSON_ArrayForEach(label, labels_of(node))
    {
        if (is_agents_label(label->string))
            return true;
    }
    return false;
}

static bool is_lost_for_good(const struct garbage *garbage, const char *node)
{
    uint64_t away_ms = liveness_away_ms(garbage->options.liveness, node, clock_monotonic_ms());

    return away_ms >= garbage->options.labels_after_ms;
}

static void tell_removed(const struct task *task, const struct kube_object *node)
{
    char api_version[KUBE_API_VERSION_MAX];
    const struct kube_reference about = kube_reference_to(node, &kube_nodes, api_version);
    _cleanup_free_ char *labels = strv_join(&task->labels, ", ");
    char message[1024];

    (void) snprintf(message, sizeof(message),
                    "removed labels that no agent has vouched for in %llu s: %s",
                    (unsigned long long) task->garbage->options.labels_after_ms / 1000, labels);
    log_info("removed the labels of a node whose agent is lost", "node", task->name, "labels",
             labels);
    kube_recorder_event(task->garbage->options.recorder, &about, KUBE_EVENT_WARNING,
                        "AppArmorAgentLost", "%s", message);
}

static void on_patched(void *userdata, struct kube_object *node, const struct error *err)
{
    struct task *task = userdata;

    task->request = NULL;
    if (err->code) {
        fail(task, err);
        return;
    }
    tell_removed(task, node);
    count(task, "removed");
    finish(task, KUBE_DONE);
}

static void hold(const struct task *task)
{
    uint64_t after_ms = task->garbage->options.labels_after_ms;
    uint64_t until = clock_monotonic_ms() + (after_ms < HELD_MAX_MS ? after_ms : HELD_MAX_MS);

    map_set(task->garbage->held, task->name, xmemdup(&until, sizeof(until)));
    count(task, "held");
}

/* The watch of the agents' pods may have been interrupted for as long: the list is current. */
static bool has_agent(const struct task *task, const struct kube_object *node)
{
    return task->agent && json_bool(json_get(kube_object_json(node), SOURCES_READY), false);
}

/* With the version, a label that an agent has just set again refuses to go. */
static void remove_labels(struct task *task, const struct kube_object *node)
{
    static const struct kube_write_options options = {.field_manager = FIELD_MANAGER};
    _cleanup_json_ cJSON *body = cJSON_CreateObject();
    cJSON *metadata = json_add_object(body, "metadata"), *labels;

    json_add_string(metadata, "uid", kube_object_uid(node));
    json_add_string(metadata, "resourceVersion", kube_object_resource_version(node));
    labels = json_add_object(metadata, "labels");
    for (size_t i = 0; i < task->labels.len; i++)
        json_add(labels, task->labels.items[i], cJSON_CreateNull());
    task->request = kube_patch(task->garbage->options.client, &kube_nodes, NULL, task->name, NULL,
                               KUBE_PATCH_MERGE, body, &options, on_patched, task);
}

static void on_pod(void *userdata, struct kube_object *pod)
{
    struct task *task = userdata;
    size_t kept = 0;

    task->agent |= placement_is_agent(kube_object_json(pod), task->garbage->options.ns);
    if (!placement_counts(kube_object_json(pod)))
        return;
    for (size_t i = 0; i < task->labels.len; i++) {
        if (placement_requires(kube_object_json(pod), task->labels.items[i])) {
            free(task->labels.items[i]);
            task->held++;
        } else {
            task->labels.items[kept++] = task->labels.items[i];
        }
    }
    task->labels.len = kept;
}

static void on_pods(void *userdata, _unused_ const char *version, const struct error *err)
{
    struct task *task = userdata;
    const struct garbage *garbage = task->garbage;
    const struct kube_object *node = kube_informer_get(garbage->options.nodes, NULL, task->name);

    task->request = NULL;
    if (err->code) {
        fail(task, err);
        return;
    }
    if (task->held > 0)
        hold(task);
    if (!node || task->labels.len == 0 || has_agent(task, node) ||
        !is_lost_for_good(garbage, task->name) || !may_write(garbage))
        finish(task, KUBE_DONE);
    else
        remove_labels(task, node);
}

static void take_labels(struct task *task)
{
    const struct garbage_options *options = &task->garbage->options;
    const struct kube_object *node = kube_informer_get(options->nodes, NULL, task->name);
    _cleanup_free_ char *selector = xasprintf("spec.nodeName=%s", task->name);
    const struct kube_list_options list = {.field_selector = selector};
    const cJSON *label;

    if (!node || !is_lost_for_good(task->garbage, task->name)) {
        finish(task, KUBE_DONE);
        return;
    }
    cJSON_ArrayForEach(label, labels_of(node))
    {
        if (is_agents_label(label->string))
            strv_add(&task->labels, label->string);
    }
    task->request = kube_list(options->client, &kube_pods, NULL, &list, on_pod, on_pods, task);
}

static void reconcile(void *userdata, const char *key, struct kube_work *work)
{
    struct garbage *garbage = userdata;
    struct task *task = xcalloc(1, sizeof(*task));

    task->garbage = garbage;
    task->work = work;
    task->name = strchr(key, '/') + 1;
    garbage->task = task;
    switch (*key) {
    case 'f':
        task->kind = KIND_FEATURES;
        take_features(task);
        break;
    case 'r':
        task->kind = KIND_REPORT;
        take_report(task);
        break;
    default:
        task->kind = KIND_LABELS;
        take_labels(task);
        break;
    }
}

/* --- sweeps ---------------------------------------------------------------------------- */

static void enqueue(const struct garbage *garbage, enum kind kind, const char *name)
{
    _cleanup_free_ char *key = xasprintf("%s/%s", kinds[kind], name);

    kube_workqueue_add(garbage->queue, key);
}

static void sweep_features(const struct garbage *garbage)
{
    _cleanup_strv_ struct strv names = {0};

    kernels_list_garbage(garbage->options.kernels, clock_monotonic_ms(), &names);
    for (size_t i = 0; i < names.len; i++)
        enqueue(garbage, KIND_FEATURES, names.items[i]);
}

struct report_sweep {
    const struct garbage *garbage;
    struct map *orphans; /* of this sweep */
};

/* An agent may be quicker than the informer of Nodes, and Kubernetes' own collector quicker than
 * we: from the second time on. */
static void sweep_report(void *userdata, struct kube_object *report)
{
    const struct report_sweep *sweep = userdata;
    const struct garbage *garbage = sweep->garbage;
    const char *name = kube_object_name(report);

    if (is_of_node(report, kube_informer_get(garbage->options.nodes, NULL, name)))
        return;
    map_set(sweep->orphans, kube_object_uid(report), NULL);
    if (map_has(garbage->orphans, kube_object_uid(report)))
        enqueue(garbage, KIND_REPORT, name);
}

static void sweep_reports(struct garbage *garbage)
{
    const struct report_sweep sweep = {garbage, map_new(NULL)};

    kube_informer_each(garbage->options.reports, sweep_report, (void *) (uintptr_t) &sweep);
    map_free(garbage->orphans);
    garbage->orphans = sweep.orphans;
}

struct node_sweep {
    const struct garbage *garbage;
    size_t labelled, away; /* nodes with labels; those of them without an agent now */
    struct strv lost;      /* for good */
};

static void sweep_node(void *userdata, struct kube_object *node)
{
    struct node_sweep *sweep = userdata;
    const struct liveness *liveness = sweep->garbage->options.liveness;

    if (!has_labels(node))
        return;
    sweep->labelled++;
    sweep->away += liveness_away_ms(liveness, kube_object_name(node), clock_monotonic_ms()) > 0;
    if (is_lost_for_good(sweep->garbage, kube_object_name(node)))
        strv_add(&sweep->lost, kube_object_name(node));
}

static bool is_held(const struct garbage *garbage, const char *node)
{
    const uint64_t *until = map_get(garbage->held, node);

    return until && clock_monotonic_ms() < *until;
}

static void sweep_nodes(struct garbage *garbage)
{
    struct node_sweep sweep = {.garbage = garbage};

    kube_informer_each(garbage->options.nodes, sweep_node, &sweep);
    if (sweep.lost.len > 0 && sweep.away * 2 > sweep.labelled)
        log_warn("more than half of the nodes are without their agents: their labels stay");
    for (size_t i = 0; sweep.away * 2 <= sweep.labelled && i < sweep.lost.len; i++)
        if (!is_held(garbage, sweep.lost.items[i]))
            enqueue(garbage, KIND_LABELS, sweep.lost.items[i]);
    strv_done(&sweep.lost);
}

static void sweep(void *userdata)
{
    struct garbage *garbage = userdata;

    sweep_features(garbage);
    sweep_reports(garbage);
    sweep_nodes(garbage);
    loop_timer_start(garbage->timer, garbage->interval_ms);
}

/* --- life ------------------------------------------------------------------------------ */

struct garbage *garbage_new(const struct garbage_options *options)
{
    struct garbage *garbage = xcalloc(1, sizeof(*garbage));
    uv_loop_t *loop = kube_client_loop(options->client);
    const struct kube_workqueue_options queue = {
        .base_delay_ms = RETRY_MIN_MS,
        .max_delay_ms = RETRY_MAX_MS,
        .max_active = 1,
        .reconcile = reconcile,
        .userdata = garbage,
    };

    garbage->options = *options;
    garbage->interval_ms = options->labels_after_ms / SWEEPS_PER_LOSS;
    if (garbage->interval_ms > SWEEP_MAX_MS)
        garbage->interval_ms = SWEEP_MAX_MS;
    garbage->orphans = map_new(NULL);
    garbage->held = map_new(free);
    garbage->queue = kube_workqueue_new(loop, &queue);
    garbage->timer = loop_timer_new(loop, sweep, garbage);
    loop_timer_start(garbage->timer, garbage->interval_ms);
    return garbage;
}

void garbage_free(struct garbage *garbage)
{
    if (!garbage)
        return;
    task_free(garbage->task);
    kube_workqueue_free(garbage->queue);
    loop_timer_free(garbage->timer);
    map_free(garbage->orphans);
    map_free(garbage->held);
    free(garbage);
}
