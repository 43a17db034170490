// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/agent_metrics.h"
#include "agent/agent_reconciler.h"
#include "agent/census.h"
#include "agent/confinement_check.h"
#include "agent/denial_watch.h"
#include "agent/features_publisher.h"
#include "agent/files_watch.h"
#include "agent/machine.h"
#include "agent/node.h"
#include "agent/publisher.h"
#include "agent/self.h"
#include "agent/source_cluster.h"
#include "agent/source_folder.h"
#include "agent/table.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/base/trimmer.h"
#include "lib/compile/features.h"
#include "lib/kube/access.h"
#include "lib/serve/endpoints.h"
#include "lib/serve/health.h"

/* A node whose AppArmor cannot be used now is looked at again. */
#define KERNEL_RETRY_MS 10000
/* … and keeps its labels meanwhile, for so long. */
#define UNSURE_MS 60000
/* The table waits for what is under way, but not for ever. */
#define TABLE_DELAY_MS 1000
/* Until the status is published for the first time, that is looked for. */
#define FEATURES_RETRY_MS 1000

struct agent {
    struct agent_options options;
    uv_loop_t *loop;
    agent_finished_fn finished;
    void *userdata;
    char *node_name;
    struct utsname uname;
    struct metrics *metrics;
    struct health *health;
    struct endpoints *endpoints;

    /* The node's side; nothing of it without a usable kernel. */
    struct host host;
    struct agent_reconciler *reconciler;
    struct files_watch *files_watch;
    struct error disabled; /* why there is none */
    uint64_t disabled_ms;  /* since when */
    struct loop_timer *kernel_timer;
    struct trimmer *trimmer;

    /* Where policy comes from. */
    struct source *source;
    bool source_started;

    bool confined; /* the agent itself, when last looked at */

    /* With a cluster. */
    struct kube_client *client;
    struct kube_access *access; /* to the metrics; NULL: nobody is asked */
    struct node *node;
    struct publisher *publisher;
    struct features_publisher *features; /* once there is a compiler */
    struct loop_timer *features_timer;   /* until then */
    struct profile_events *events;
    struct node_pods *pods;
    struct confinement_check *confinement; /* nothing without a usable kernel, as the pods */
    struct census *census;                 /* likewise */
    struct denial_watch *denials;          /* likewise; with a folder, too, unless it is once */

    /* With a folder. */
    struct loop_timer *table_timer;
    char *table; /* as last printed */
};

static void finish(struct agent *agent, int status)
{
    if (agent->finished)
        agent->finished(agent->userdata, status);
    agent->finished = NULL;
}

/* --- what the parts ask each other ----------------------------------------------------------- */

static bool is_busy(void *userdata)
{
    const struct agent *agent = userdata;

    return agent->reconciler && !agent_reconciler_idle(agent->reconciler);
}

static void publish(struct agent *agent)
{
    trimmer_worked(agent->trimmer);
    if (agent->publisher)
        publisher_changed(agent->publisher);
    else if (agent_reconciler_idle(agent->reconciler))
        loop_timer_start(agent->table_timer, 0);
    else if (!loop_timer_active(agent->table_timer))
        loop_timer_start(agent->table_timer, TABLE_DELAY_MS);
}

static void on_changed(void *userdata)
{
    struct agent *agent = userdata;

    publish(agent);
    if (agent->census)
        census_wake(agent->census);
}

static void on_confinement_checked(void *userdata)
{
    struct agent *agent = userdata;

    publish(agent);
    census_remind(agent->census);
}

static void on_counted(void *userdata)
{
    const struct agent *agent = userdata;

    publisher_changed(agent->publisher);
}

static bool label_gone(void *userdata, const char *object)
{
    const struct agent *agent = userdata;

    return publisher_label_gone(agent->publisher, object);
}

static bool label_there(void *userdata, const char *object)
{
    const struct agent *agent = userdata;

    return labels_has_profile(node_labels(agent->node), object);
}

static bool is_ready(void *userdata)
{
    const struct agent *agent = userdata;

    return !agent->reconciler || agent_reconciler_decided(agent->reconciler);
}

static uint64_t pace(void *userdata)
{
    const struct agent *agent = userdata;

    if (!agent->reconciler || agent_reconciler_idle(agent->reconciler))
        return 0;
    return builder_pace_ms(agent->host.builder) + 1;
}

/* The kernel may still hold what it held when it was last looked at. */
static bool is_unsure(const struct agent *agent)
{
    return !agent->reconciler && strcmp(error_reason(&agent->disabled, ""), "AppArmorDisabled") &&
           clock_monotonic_ms() - agent->disabled_ms < UNSURE_MS;
}

static void describe_denials(const struct agent *agent, struct status_node *ret)
{
    const struct error *err = denial_watch_error(agent->denials);

    ret->denials = denial_watch_status(agent->denials);
    if (err->code) {
        ret->reason = error_reason(err, NULL);
        ret->message = error_message(err);
    }
}

static void describe(void *userdata, struct status_node *ret, const struct records **ret_records)
{
    const struct agent *agent = userdata;
    const struct compiler *compiler = NULL;

    *ret = (struct status_node){
        .enabled = agent->reconciler != NULL,
        .unsure = is_unsure(agent),
        .kernel_release = agent->uname.release,
        .agent_version = options_version(),
        .findings = agent->confinement ? confinement_check_findings(agent->confinement) : NULL,
    };
    *ret_records = agent->reconciler ? agent->host.records : NULL;
    if (!agent->reconciler) {
        ret->reason = error_reason(&agent->disabled, NULL);
        ret->message = error_message(&agent->disabled);
        return;
    }
    describe_denials(agent, ret);
    compiler = builder_compiler(agent->host.builder);
    if (compiler) {
        ret->features_id = features_id(compiler_features(compiler));
        ret->parser_version = compiler_parser_version(compiler);
    } else {
        ret->reason = "CompilerUnavailable";
        ret->message = "no policy can be compiled on this node: see the agent's log";
    }
    if (kernel_stuck(agent->host.kernel)) {
        ret->reason = REASON_KERNEL_STUCK;
        ret->message = "the kernel's policy lock is stuck: policy cannot change until the node is "
                       "rebooted";
    }
}

/* Once the status says which features there are: their text. */
static void publish_features(void *userdata)
{
    struct agent *agent = userdata;
    const struct compiler *compiler = NULL;

    if (publisher_has_published(agent->publisher))
        compiler = builder_compiler(agent->host.builder);
    if (compiler)
        agent->features =
            features_publisher_new(agent->client, agent->options.ns, compiler_features(compiler));
    else
        loop_timer_start(agent->features_timer, FEATURES_RETRY_MS);
}

static void on_answered(void *userdata)
{
    const struct agent *agent = userdata;

    if (agent->reconciler)
        agent_reconciler_labels_changed(agent->reconciler);
}

/* Its own profile is lost when somebody unloads it, and comes back with the next start. */
static void look_at_self(struct agent *agent)
{
    bool confined = self_is_confined();

    metrics_set(agent->metrics, METRIC_SELF_CONFINED, confined, NULL);
    if (agent->confined && !confined) {
        log_warn("the agent's own profile was unloaded: it runs unconfined until it is restarted",
                 "node", agent->node_name);
        if (agent->options.must_stay_confined)
            finish(agent, 1);
    }
    agent->confined = confined;
}

static void on_kernel_changed(void *userdata, bool foreign)
{
    struct agent *agent = userdata;

    if (foreign) {
        look_at_self(agent);
        agent_reconciler_kernel_changed(agent->reconciler);
    }
    if (agent->confinement)
        confinement_check_wake(agent->confinement);
    if (agent->denials)
        denial_watch_policy_changed(agent->denials);
}

static void on_file_changed(void *userdata, const char *object)
{
    const struct agent *agent = userdata;

    agent_reconciler_file_changed(agent->reconciler, object);
}

static void on_other_file_changed(void *userdata)
{
    const struct agent *agent = userdata;

    agent_reconciler_other_file_changed(agent->reconciler);
}

static void on_containers_changed(void *userdata)
{
    const struct agent *agent = userdata;

    confinement_check_wake(agent->confinement);
    denial_watch_pods_changed(agent->denials);
    census_wake(agent->census);
}

static void on_denials_changed(void *userdata)
{
    const struct agent *agent = userdata;

    if (agent->publisher)
        publisher_changed(agent->publisher);
    if (agent->census)
        census_wake(agent->census);
}

static void on_adopt(void *userdata, const cJSON *status)
{
    const struct agent *agent = userdata;

    if (agent->confinement)
        confinement_check_adopt(agent->confinement, status);
    if (agent->denials)
        denial_watch_adopt(agent->denials, status);
}

static void on_source_changed(void *userdata, const char *name)
{
    const struct agent *agent = userdata;

    if (agent->reconciler)
        agent_reconciler_changed(agent->reconciler, name);
}

static void on_source_all_changed(void *userdata)
{
    const struct agent *agent = userdata;

    if (agent->reconciler) {
        agent_reconciler_all_changed(agent->reconciler);
        on_changed(userdata);
    }
}

/* --- the table of --manifests ---------------------------------------------------------------- */

static void show_table(void *userdata)
{
    struct agent *agent = userdata;
    bool idle = agent_reconciler_idle(agent->reconciler);

    if (!agent_reconciler_decided(agent->reconciler) || (agent->options.once && !idle))
        return;
    table_print(agent->host.records, &agent->table);
    if (agent->options.once)
        finish(agent,
               table_all_loaded(agent->host.records) && source_folder_mistakes(agent->source) == 0
                   ? 0
                   : 1);
}

/* --- the node's side ------------------------------------------------------------------------- */

static void fill_host(struct agent *agent, struct kernel *kernel)
{
    struct host_options options = {
        .loop = agent->loop,
        .node_name = agent->node_name,
        .host_root = agent->options.host_root,
        .parser = agent->options.parser,
        .includes = agent->options.includes,
        .metrics = agent->metrics,
        .events = agent->events,
    };

    host_init(&agent->host, kernel, &options);
}

static void start_reconciler(struct agent *agent)
{
    struct agent_reconciler_options options = {
        .host = &agent->host,
        .source = agent->source,
        .proc = agent->options.proc,
        .client = agent->client,
        .changed = on_changed,
        .label_gone = agent->client ? label_gone : NULL,
        .label_there = agent->client ? label_there : NULL,
        .userdata = agent,
    };
    _cleanup_error_ struct error err = {0};

    agent->reconciler = agent_reconciler_new(&options);
    if (kernel_watch(agent->host.kernel, on_kernel_changed, agent, &err) < 0)
        log_warn("changes of the kernel's policy will not be noticed", "err", error_message(&err));
    agent->files_watch = files_watch_new(agent->loop, agent->host.files, on_file_changed,
                                         on_other_file_changed, agent);
    if (agent_reconciler_start(agent->reconciler, &err) < 0)
        log_error("ownership files cannot be read", "err", error_message(&err));
}

static void on_pod_gone(void *userdata)
{
    const struct agent *agent = userdata;

    if (agent->reconciler)
        agent_reconciler_pod_gone(agent->reconciler);
}

static void start_confinement(struct agent *agent)
{
    struct node_pods_options pods = {
        .client = agent->client,
        .node = agent->node_name,
        .changed = on_containers_changed,
        .gone = on_pod_gone,
        .userdata = agent,
    };
    struct confinement_check_options check = {
        .proc = agent->options.proc,
        .loaded = agent->host.loaded,
        .metrics = agent->metrics,
        .recorder = profile_events_recorder(agent->events),
        .changed = on_confinement_checked,
        .userdata = agent,
    };
    struct census_options census = {
        .proc = agent->options.proc,
        .records = agent->host.records,
        .changed = on_counted,
        .userdata = agent,
    };

    agent->pods = node_pods_new(&pods);
    check.pods = agent->pods;
    agent->confinement = confinement_check_new(agent->loop, &check);
    agent->census = census_new(agent->loop, &census);
}

static void start_denials(struct agent *agent)
{
    struct denial_watch_options options = {
        .loop = agent->loop,
        .proc = agent->options.proc,
        .node_name = agent->node_name,
        .records = agent->host.records,
        .pods = agent->pods,
        .metrics = agent->metrics,
        .events = agent->events,
        .changed = on_denials_changed,
        .userdata = agent,
    };

    agent->denials = denial_watch_new(&options);
}

static void start_source(struct agent *agent)
{
    struct source_listener listener = {
        .changed = on_source_changed,
        .all_changed = on_source_all_changed,
        .userdata = agent,
    };

    if (!agent->source_started)
        source_start(agent->source, &listener);
    agent->source_started = true;
}

static void idle_without_kernel(struct agent *agent)
{
    const char *reason = error_reason(&agent->disabled, "");

    if (!agent->disabled_ms) {
        agent->disabled_ms = clock_monotonic_ms();
        log_warn("this node cannot use AppArmor", "node", agent->node_name, "reason", reason, "err",
                 error_message(&agent->disabled));
    }
    /* Only a reboot brings back what is disabled; the rest may be mounted late. */
    if (strcmp(reason, "AppArmorDisabled") != 0)
        loop_timer_start(agent->kernel_timer, KERNEL_RETRY_MS);
    if (agent->publisher)
        publisher_changed(agent->publisher);
    if (agent->options.once)
        finish(agent, 1);
}

/* Begins to manage the kernel's policy if it can be. */
static void start_node(void *userdata)
{
    struct agent *agent = userdata;
    struct kernel_options options = {.apparmorfs = agent->options.apparmorfs};
    struct kernel *kernel;

    if (kernel_new(agent->loop, &options, &kernel, &agent->disabled) < 0) {
        idle_without_kernel(agent);
        return;
    }
    error_done(&agent->disabled);
    fill_host(agent, kernel);
    start_reconciler(agent);
    start_source(agent);
    if (agent->client) {
        start_confinement(agent);
        loop_timer_start(agent->features_timer, FEATURES_RETRY_MS);
    }
    if (!agent->options.once)
        start_denials(agent);
    if (agent->pods)
        node_pods_start(agent->pods);
    on_changed(agent);
}

/* --- probes and metrics ---------------------------------------------------------------------- */

static const char *check_profiles(void *userdata)
{
    return is_ready(userdata) ? NULL : "the profiles have not all been looked at yet";
}

static const char *check_published(void *userdata)
{
    const struct agent *agent = userdata;

    return agent->publisher && !publisher_has_published(agent->publisher)
               ? "the node's labels and AppArmorNode have not been written yet"
               : NULL;
}

static const char *check_kernel(void *userdata)
{
    const struct agent *agent = userdata;

    return agent->reconciler && kernel_stuck(agent->host.kernel)
               ? "the kernel's policy lock is stuck"
               : NULL;
}

static void access_failed(_unused_ void *userdata, const struct error *err)
{
    log_warn("nobody new is let read the metrics", "err", error_message(err));
}

static void create_access(struct agent *agent)
{
    const struct kube_access_options options = {.client = agent->client,
                                                .path = "/metrics",
                                                .failed = access_failed};

    agent->access = kube_access_new(&options);
}

static void authorise(void *userdata, const char *authorization, health_verdict_fn verdict,
                      void *verdict_userdata)
{
    const struct agent *agent = userdata;

    kube_access_ask(agent->access, authorization, verdict, verdict_userdata);
}

static int start_server(struct agent *agent, struct error *err)
{
    const struct health_check checks[] = {
        {.name = "profiles", .check = check_profiles, .userdata = agent},
        {.name = "published", .check = check_published, .userdata = agent},
        {.name = "kernel", .check = check_kernel, .userdata = agent},
    };
    bool authorises;
    int r = endpoints_check(&agent->options.endpoints, &authorises, err);

    if (r < 0)
        return r;
    if (authorises)
        create_access(agent);
    agent->health = health_new(agent->metrics, checks, ARRAY_SIZE(checks));
    return endpoints_new(agent->loop, agent->health, &agent->options.endpoints, authorise, agent,
                         &agent->endpoints, err);
}

/* --- the two ways to run --------------------------------------------------------------------- */

static int connect_cluster(struct agent *agent, struct error *err)
{
    struct kube_config_source source = {.kubeconfig = agent->options.kubeconfig};
    _cleanup_(kube_config_freep) struct kube_config *config = NULL;
    _cleanup_free_ char *user_agent = xasprintf("apparmor-agent/%s", options_version());
    struct kube_client_options options = {.user_agent = user_agent};
    struct publisher_options publisher = {
        .metrics = agent->metrics,
        .ready = is_ready,
        .pace = pace,
        .describe = describe,
        .answered = on_answered,
        .adopt = on_adopt,
        .userdata = agent,
    };
    int r;

    r = kube_config_load(&source, &config, err);
    if (r < 0)
        return r;
    log_info("connecting", "server", kube_config_server(config), "origin",
             kube_config_origin(config), "node", agent->node_name);
    r = kube_client_new(agent->loop, config, &options, &agent->client, err);
    if (r < 0)
        return r;
    (void) TAKE_PTR(config); /* the client's now */
    agent->node = node_new(agent->client, agent->node_name);
    agent->events = profile_events_new(agent->client, agent->node_name);
    agent->source = source_cluster_new(agent->client, agent->node);
    publisher.client = agent->client;
    publisher.node = agent->node;
    agent->publisher = publisher_new(&publisher);
    node_start(agent->node);
    publisher_start(agent->publisher);
    return 0;
}

static int open_folder(struct agent *agent, struct error *err)
{
    _cleanup_json_ cJSON *labels = NULL;
    int r =
        machine_labels(&agent->uname, agent->node_name, &agent->options.node_labels, &labels, err);

    if (r < 0)
        return r;
    agent->table_timer = loop_timer_new(agent->loop, show_table, agent);
    r = source_folder_new(agent->loop, agent->options.manifests, labels, &agent->source, err);
    if (r == 0 && agent->options.purge)
        source_folder_purge(agent->source);
    return r;
}

int agent_new(uv_loop_t *loop, const struct agent_options *options, agent_finished_fn finished,
              void *userdata, struct agent **ret, struct error *err)
{
    struct agent *agent = xcalloc(1, sizeof(*agent));
    const char *name = options->node_name ? options->node_name : "";
    int r;

    agent->options = *options;
    agent->loop = loop;
    agent->finished = finished;
    agent->userdata = userdata;
    (void) uname(&agent->uname);
    agent->node_name = xstrdup(*name || !options->manifests ? name : agent->uname.nodename);
    agent->metrics = metrics_new(agent_metric_specs, AGENT_METRICS);
    look_at_self(agent);
    agent->kernel_timer = loop_timer_new(loop, start_node, agent);
    agent->trimmer = trimmer_new(loop, is_busy, agent);
    agent->features_timer = loop_timer_new(loop, publish_features, agent);
    r = options->manifests ? open_folder(agent, err) : connect_cluster(agent, err);
    if (r == 0)
        r = start_server(agent, err);
    if (r < 0) {
        agent_free(agent);
        return r;
    }
    loop_timer_start(agent->kernel_timer, 0);
    *ret = agent;
    return 0;
}

bool agent_free(struct agent *agent)
{
    bool stuck;

    if (!agent)
        return true;
    stuck = agent->host.kernel && kernel_stuck(agent->host.kernel);
    endpoints_free(agent->endpoints);
    kube_access_free(agent->access);
    health_free(agent->health);
    loop_timer_free(agent->kernel_timer);
    trimmer_free(agent->trimmer);
    loop_timer_free(agent->features_timer);
    loop_timer_free(agent->table_timer);
    /* First, so that no answer of the kernel reaches what is freed below. */
    host_leave_kernel(&agent->host);
    files_watch_free(agent->files_watch);
    agent_reconciler_free(agent->reconciler);
    denial_watch_free(agent->denials);
    confinement_check_free(agent->confinement);
    census_free(agent->census);
    node_pods_free(agent->pods);
    features_publisher_free(agent->features);
    publisher_free(agent->publisher);
    source_free(agent->source);
    node_free(agent->node);
    profile_events_free(agent->events);
    kube_client_free(agent->client);
    host_done(&agent->host);
    metrics_free(agent->metrics);
    error_done(&agent->disabled);
    free(agent->node_name);
    free(agent->table);
    free(agent);
    return !stuck;
}
