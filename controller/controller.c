// SPDX-License-Identifier: Apache-2.0
#include "controller/controller.h"

#include <stdio.h>

#include "controller/controller_metrics.h"
#include "controller/election.h"
#include "controller/evictor.h"
#include "controller/garbage.h"
#include "controller/kernels.h"
#include "controller/liveness.h"
#include "controller/nodes.h"
#include "controller/reconciler.h"
#include "controller/reviews.h"
#include "controller/sources.h"
#include "controller/validator.h"
#include "controller/webhooks.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/base/trimmer.h"
#include "lib/kube/access.h"
#include "lib/kube/client.h"
#include "lib/kube/config.h"
#include "lib/kube/events.h"
#include "lib/serve/endpoints.h"
#include "lib/serve/health.h"

#define API_QPS 50
#define API_BURST 100
/* Address space of all compilers together: beside it the program has to fit into the pod's limit,
 * as the kernel ends all of a container that is out of memory. */
#define COMPILER_MEMORY ((size_t) 384 * 1024 * 1024)
/* For Events that wait when the program ends. */
#define FLUSH_MS 3000
/* Who is lost is looked for so often within the time after which a node is, … */
#define LOST_LOOKS 10
/* … and at these intervals. */
#define LOST_LOOK_MIN_MS 1000
#define LOST_LOOK_MAX_MS 30000

struct controller {
    uv_loop_t *loop;
    char *agent_namespace;
    uint64_t promotable_after_ms;
    uint64_t labels_lost_after_ms;
    struct kube_client *client;
    struct sources *sources;
    struct node_index *index;
    struct liveness *liveness;
    struct kernels *kernels;
    struct loop_timer *kernels_timer, *lost_timer;
    uint64_t lost_interval_ms;
    struct validator *validator; /* on every replica: each answers webhooks */
    struct webhooks *webhooks;   /* likewise; NULL: none are served */
    struct election *election;
    struct kube_recorder *recorder;
    struct reviews *reviews;       /* as what follows */
    struct reconciler *reconciler; /* while this replica leads and knows all */
    struct history *history;       /* likewise */
    struct evictor *evictor;       /* likewise */
    struct garbage *garbage;       /* likewise */
    struct trimmer *trimmer;
    struct metrics *metrics;
    struct health *health;
    struct kube_access *access; /* to the metrics; NULL: nobody is asked */
    struct endpoints *endpoints;
    unsigned stopping; /* parts that have not stopped yet */
    void (*stopped)(void *userdata);
    void *stopped_userdata;
};

/* --- what has changed ------------------------------------------------------------ */

static void enqueue(void *userdata, const char *profile)
{
    const struct controller *controller = userdata;

    if (controller->reconciler)
        reconciler_enqueue(controller->reconciler, profile);
}

static void profile_seen(void *userdata, struct kube_object *profile)
{
    const struct controller *controller = userdata;

    trimmer_worked(controller->trimmer);
    if (controller->webhooks)
        webhooks_profile_seen(controller->webhooks, profile);
    if (controller->reconciler)
        reconciler_observed(controller->reconciler, profile);
    enqueue(userdata, kube_object_name(profile));
}

static void profile_gone(void *userdata, const char *profile)
{
    const struct controller *controller = userdata;

    if (controller->webhooks)
        webhooks_profile_gone(controller->webhooks, profile);
    enqueue(userdata, profile);
}

static void report_seen(void *userdata, const char *node)
{
    const struct controller *controller = userdata;

    trimmer_worked(controller->trimmer);
    if (controller->evictor)
        evictor_enqueue(controller->evictor, node);
}

/* --- who does the work -------------------------------------------------------------- */

static bool may_write(void *userdata)
{
    const struct controller *controller = userdata;

    return election_leads(controller->election);
}

static void enqueue_profile(void *userdata, struct kube_object *profile)
{
    enqueue(userdata, kube_object_name(profile));
}

static void enqueue_report(void *userdata, struct kube_object *report)
{
    report_seen(userdata, kube_object_name(report));
}

static void begin_evictions(struct controller *controller)
{
    const struct evictor_options options = {
        .client = controller->client,
        .reports = sources_reports(controller->sources),
        .metrics = controller->metrics,
        .recorder = controller->recorder,
        .may_write = may_write,
        .userdata = controller,
    };

    controller->evictor = evictor_new(&options);
    kube_informer_each(options.reports, enqueue_report, controller);
}

static void begin_history(struct controller *controller)
{
    const struct history_options options = {
        .client = controller->client,
        .ns = controller->agent_namespace,
        .profiles = sources_profiles(controller->sources),
        .changed = enqueue,
        .may_write = may_write,
        .userdata = controller,
    };

    controller->history = history_new(&options);
}

static void begin_reviews(struct controller *controller)
{
    const struct reviews_options options = {
        .client = controller->client,
        .profiles = sources_profiles(controller->sources),
        .validator = controller->validator,
        .decided = enqueue,
        .userdata = controller,
    };

    controller->reviews = reviews_new(&options);
}

static void begin_reconciling(struct controller *controller)
{
    const struct kube_informer *profiles = sources_profiles(controller->sources);
    const struct reconciler_options options = {
        .client = controller->client,
        .promotable_after_ms = controller->promotable_after_ms,
        .profiles = profiles,
        .index = controller->index,
        .liveness = controller->liveness,
        .history = controller->history,
        .reviews = controller->reviews,
        .metrics = controller->metrics,
        .recorder = controller->recorder,
        .may_write = may_write,
        .userdata = controller,
    };

    controller->reconciler = reconciler_new(&options);
    kube_informer_each(profiles, enqueue_profile, controller);
}

static void begin_garbage(struct controller *controller)
{
    const struct garbage_options options = {
        .client = controller->client,
        .ns = controller->agent_namespace,
        .reports = sources_reports(controller->sources),
        .nodes = sources_nodes(controller->sources),
        .features = sources_features(controller->sources),
        .kernels = controller->kernels,
        .liveness = controller->liveness,
        .metrics = controller->metrics,
        .recorder = controller->recorder,
        .labels_after_ms = controller->labels_lost_after_ms,
        .may_write = may_write,
        .userdata = controller,
    };

    controller->garbage = garbage_new(&options);
}

static void begin_work(void *userdata)
{
    struct controller *controller = userdata;

    if (!sources_synced(controller->sources) || !election_leads(controller->election))
        return;
    begin_history(controller);
    begin_reviews(controller);
    begin_reconciling(controller);
    begin_evictions(controller);
    begin_garbage(controller);
}

static void end_work(void *userdata)
{
    struct controller *controller = userdata;

    garbage_free(TAKE_PTR(controller->garbage));
    reconciler_free(TAKE_PTR(controller->reconciler));
    history_free(TAKE_PTR(controller->history));
    reviews_free(TAKE_PTR(controller->reviews));
    evictor_free(TAKE_PTR(controller->evictor));
    controller_metrics_remove_profiles(controller->metrics);
}

/* From now on policy is compiled for the kernels that nodes have now. */
static void use_kernels(void *userdata)
{
    struct controller *controller = userdata;
    struct features *features[VALIDATOR_KERNELS_MAX];
    size_t count = kernels_list(controller->kernels, features, ARRAY_SIZE(features));

    validator_set_features(controller->validator, features, count);
    if (controller->reconciler)
        kube_informer_each(sources_profiles(controller->sources), enqueue_profile, controller);
}

/* Several change at once as a rule. Before all is known, it says nothing. */
static void kernels_changed(void *userdata)
{
    const struct controller *controller = userdata;

    if (controller->sources && sources_synced(controller->sources))
        loop_timer_start(controller->kernels_timer, 0);
}

static void log_synced(const struct controller *controller)
{
    char profiles[24], nodes[24];

    (void) snprintf(profiles, sizeof(profiles), "%zu", node_index_profiles(controller->index));
    (void) snprintf(nodes, sizeof(nodes), "%zu", node_index_nodes(controller->index));
    log_info("in sync with the cluster", "profiles", profiles, "nodes", nodes);
}

static void synced(void *userdata)
{
    struct controller *controller = userdata;

    log_synced(controller);
    trimmer_worked(controller->trimmer);
    use_kernels(controller);
    begin_work(controller);
}

/* --- health ----------------------------------------------------------------------- */

static void collect(void *userdata)
{
    struct controller *controller = userdata;
    const struct kube_recorder_stats events = kube_recorder_stats(controller->recorder);

    controller_metrics_set_events(controller->metrics, &events);
    metrics_set(controller->metrics, METRIC_QUEUE_DEPTH,
                controller->reconciler ? (double) reconciler_depth(controller->reconciler) : 0,
                NULL);
    metrics_set(controller->metrics, METRIC_NODES_KNOWN,
                (double) node_index_nodes(controller->index), NULL);
    metrics_set(controller->metrics, METRIC_PROFILES_KNOWN,
                (double) node_index_profiles(controller->index), NULL);
}

static void access_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("nobody new is let read the metrics", "err", error_message(err));
}

static void create_access(struct controller *controller)
{
    const struct kube_access_options options = {.client = controller->client,
                                                .path = "/metrics",
                                                .failed = access_failed};

    controller->access = kube_access_new(&options);
}

static void authorise(void *userdata, const char *authorization, health_verdict_fn verdict,
                      void *verdict_userdata)
{
    const struct controller *controller = userdata;

    kube_access_ask(controller->access, authorization, verdict, verdict_userdata);
}

static int controller_serve(struct controller *controller, const struct controller_options *options,
                            struct error *err)
{
    struct health_check checks[SOURCES + 1];
    size_t count = SOURCES;
    bool authorises;
    int r = endpoints_check(&options->endpoints, &authorises, err);

    if (r < 0)
        return r;
    if (authorises)
        create_access(controller);

    sources_checks(controller->sources, checks);
    if (controller->webhooks)
        checks[count++] = (struct health_check){"webhooks", webhooks_check, controller->webhooks};
    controller->health = health_new(controller->metrics, checks, count);
    health_set_collect(controller->health, collect, controller);
    return endpoints_new(controller->loop, controller->health, &options->endpoints, authorise,
                         controller, &controller->endpoints, err);
}

/* --- life --------------------------------------------------------------------------- */

static int controller_connect(struct controller *controller,
                              const struct controller_options *options, struct error *err)
{
    const struct kube_config_source source = {.kubeconfig = options->kubeconfig};
    _cleanup_free_ char *agent = xasprintf("apparmor-controller/%s", options_version());
    const struct kube_client_options client = {.user_agent = agent,
                                               .qps = API_QPS,
                                               .burst = API_BURST,
                                               .observe = controller_metrics_observe_request,
                                               .userdata = controller->metrics};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    int r;

    r = kube_config_load(&source, &config, err);
    if (r < 0)
        return r;
    log_info("starting", "version", options_version(), "server", kube_config_server(config),
             "config", kube_config_origin(config));
    r = kube_client_new(controller->loop, config, &client, &controller->client, err);
    if (r == 0)
        (void) TAKE_PTR(config);
    return r;
}

static void create_validator(struct controller *controller,
                             const struct controller_options *options)
{
    const struct validator_options validator = {
        .compiler =
            {
                .parser = options->parser,
                .includes = options->includes,
                .features = options->features,
                .memory_max = COMPILER_MEMORY,
            },
        .metrics = controller->metrics,
    };

    controller->validator = validator_new(controller->loop, &validator);
}

static bool knows_profiles(void *userdata)
{
    const struct controller *controller = userdata;

    return sources_synced(controller->sources);
}

static void create_webhooks(struct controller *controller, const struct controller_options *options)
{
    const struct controller_webhooks *from = &options->webhooks;
    const struct webhooks_options webhooks = {
        .client = controller->client,
        .validator = controller->validator,
        .metrics = controller->metrics,
        .trimmer = controller->trimmer,
        .listen_address = from->listen_address,
        .listen_port = from->listen_port,
        .ns = options->agent_namespace,
        .secret = from->secret,
        .hosts = from->hosts,
        .exempt_namespaces = from->exempt_namespaces,
        .exempt_users = from->exempt_users,
        .exempt_runtime_classes = from->exempt_runtime_classes,
        .synced = knows_profiles,
        .userdata = controller,
    };

    controller->webhooks = webhooks_new(&webhooks);
}

static bool is_lost(void *userdata, const char *node)
{
    const struct controller *controller = userdata;
    uint64_t lost_ms;

    return liveness_lost(controller->liveness, node, clock_monotonic_ms(), &lost_ms);
}

/* Also without the Lease: who takes it over is to know. */
static void look_for_lost(void *userdata)
{
    struct controller *controller = userdata;

    node_index_look_for_lost(controller->index, is_lost, controller);
    loop_timer_start(controller->lost_timer, controller->lost_interval_ms);
}

static void follow_liveness(struct controller *controller, uint64_t lost_after_ms)
{
    uint64_t ms = lost_after_ms / LOST_LOOKS;

    controller->lost_interval_ms = ms < LOST_LOOK_MIN_MS   ? LOST_LOOK_MIN_MS
                                   : ms > LOST_LOOK_MAX_MS ? LOST_LOOK_MAX_MS
                                                           : ms;
    controller->lost_timer = loop_timer_new(controller->loop, look_for_lost, controller);
    loop_timer_start(controller->lost_timer, controller->lost_interval_ms);
}

static void event_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("an Event is given up", "err", error_message(err));
}

static int controller_start(struct controller *controller, const struct controller_options *options,
                            struct error *err)
{
    struct sources_options sources = {
        .client = controller->client,
        .agent_namespace = options->agent_namespace,
        .metrics = controller->metrics,
        .profile_seen = profile_seen,
        .profile_gone = profile_gone,
        .report_seen = report_seen,
        .synced = synced,
        .userdata = controller,
    };
    const struct election_options election = {
        .client = controller->client,
        .ns = options->lease_namespace,
        .pod_name = options->pod_name,
        .metrics = controller->metrics,
        .began = begin_work,
        .ended = end_work,
        .userdata = controller,
    };
    const struct kube_recorder_options recorder = {
        .component = "apparmor-controller",
        .instance = options->pod_name,
        .failed = event_failed,
    };
    int r = election_new(&election, &controller->election, err);

    if (r < 0)
        return r;
    controller->recorder = kube_recorder_new(controller->client, &recorder);
    controller->index = sources.index = node_index_new(enqueue, controller);
    controller->liveness = sources.liveness = liveness_new(options->agent_lost_after_ms);
    follow_liveness(controller, options->agent_lost_after_ms);
    controller->kernels = sources.kernels = kernels_new(kernels_changed, controller);
    controller->kernels_timer = loop_timer_new(controller->loop, use_kernels, controller);
    controller->sources = sources_new(&sources);
    if (options->webhooks.listen)
        create_webhooks(controller, options);
    sources_start(controller->sources);
    if (controller->webhooks)
        webhooks_start(controller->webhooks);
    election_start(controller->election);
    return 0;
}

int controller_new(uv_loop_t *loop, const struct controller_options *options,
                   struct controller **ret, struct error *err)
{
    _cleanup_(controller_freep) struct controller *controller = xcalloc(1, sizeof(*controller));
    int r;

    controller->loop = loop;
    controller->agent_namespace = xstrdup(options->agent_namespace);
    controller->promotable_after_ms = options->promotable_after_ms;
    controller->labels_lost_after_ms = options->labels_lost_after_ms;
    controller->metrics = controller_metrics_new();
    controller->trimmer = trimmer_new(loop, NULL, NULL);
    create_validator(controller, options);
    r = controller_connect(controller, options, err);
    if (r < 0)
        return r;
    r = controller_start(controller, options, err);
    if (r < 0)
        return r;
    r = controller_serve(controller, options, err);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(controller);
    return 0;
}

static void stop_part_done(struct controller *controller)
{
    if (--controller->stopping == 0)
        controller->stopped(controller->stopped_userdata);
}

static void election_stopped(void *userdata)
{
    stop_part_done(userdata);
}

static void events_flushed(void *userdata, uint64_t left)
{
    char count[24];

    (void) snprintf(count, sizeof(count), "%llu", (unsigned long long) left);
    if (left > 0)
        log_warn("Events are not written: the API server takes too long", "count", count);
    stop_part_done(userdata);
}

/* Both at once: the next leader does not wait for what this one has to tell. */
void controller_stop(struct controller *controller, void (*done)(void *userdata), void *userdata)
{
    controller->stopped = done;
    controller->stopped_userdata = userdata;
    controller->stopping = 2;
    end_work(controller);
    kube_recorder_flush(controller->recorder, FLUSH_MS, events_flushed, controller);
    election_stop(controller->election, election_stopped, controller);
}

void controller_free(struct controller *controller)
{
    if (!controller)
        return;
    endpoints_free(controller->endpoints);
    kube_access_free(controller->access);
    garbage_free(controller->garbage);
    reconciler_free(controller->reconciler);
    history_free(controller->history);
    reviews_free(controller->reviews);
    evictor_free(controller->evictor);
    election_free(controller->election);
    webhooks_free(controller->webhooks);
    sources_free(controller->sources);
    validator_free(controller->validator);
    kube_recorder_free(controller->recorder);
    kube_client_free(controller->client);
    node_index_free(controller->index);
    liveness_free(controller->liveness);
    kernels_free(controller->kernels);
    loop_timer_free(controller->kernels_timer);
    loop_timer_free(controller->lost_timer);
    trimmer_free(controller->trimmer);
    health_free(controller->health);
    metrics_free(controller->metrics);
    free(controller->agent_namespace);
    free(controller);
}
