// SPDX-License-Identifier: Apache-2.0

/*
 * apparmor-controller: keeps the status of each AppArmorProfile what the nodes report, and
 * one that is deleted until no node uses it; serves the admission webhooks.
 *
 * Exit status: 0 after SIGTERM or SIGINT; 1 when it cannot run; 2 for flags that are not valid.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/controller.h"
#include "controller/webhooks.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/policy/names.h"
#include "lib/serve/address.h"
#include "lib/serve/endpoints.h"

#define DEFAULT_LISTEN ":8080"
#define DEFAULT_FEATURES "/usr/share/apparmor-features/features"

enum { EXIT_USAGE = 2 };

struct flags {
    char *kubeconfig, *listen, *metrics_listen, *metrics_auth, *metrics_tls, *lease_namespace,
        *pod_name, *agent_namespace, *log_level, *log_format, *parser, *includes, *features,
        *webhook_listen, *webhook_secret;
    struct strv webhook_hosts, exempt_namespaces, exempt_users, exempt_runtime_classes;
    unsigned agent_lost_after, labels_lost_after, promotable_after;
};

static struct flags flags;

static const struct option table[] = {
    {.name = "kubeconfig",
     .type = OPTION_STRING,
     .target = &flags.kubeconfig,
     .argument = "FILE",
     .help = "How to reach the API server. Without it: $KUBECONFIG, the pod's service account, "
             "~/.kube/config."},
    {.name = "listen",
     .type = OPTION_STRING,
     .target = &flags.listen,
     .argument = "ADDRESS:PORT",
     .default_text = DEFAULT_LISTEN,
     .help = ENDPOINTS_LISTEN_HELP},
    ENDPOINTS_METRICS_OPTIONS(flags),
    {.name = "lease-namespace",
     .type = OPTION_STRING,
     .target = &flags.lease_namespace,
     .argument = "NAMESPACE",
     .env = "POD_NAMESPACE",
     .help = "Of several replicas, the one that holds the Lease apparmor-controller in this "
             "namespace does the work. When empty: no election, for a single replica."},
    {.name = "pod-name",
     .type = OPTION_STRING,
     .target = &flags.pod_name,
     .argument = "NAME",
     .env = "POD_NAME",
     .help = "What the Lease calls this replica; the host's name when absent."},
    {.name = "agent-namespace",
     .type = OPTION_STRING,
     .target = &flags.agent_namespace,
     .argument = "NAMESPACE",
     .env = "POD_NAMESPACE",
     .default_text = POLICY_NAMESPACE,
     .help = "Where the agents' pods are: those with the label "
             "app.kubernetes.io/name=apparmor-agent. The webhooks' Secret and Service are there, "
             "too."},
    {.name = "agent-lost-after",
     .type = OPTION_UINT,
     .target = &flags.agent_lost_after,
     .argument = "SECONDS",
     .default_text = "300",
     .help = "A node that has had no Ready agent's pod, or has not been Ready, for so long is not "
             "waited for when an AppArmorProfile is deleted or rolled out."},
    {.name = "labels-lost-after",
     .type = OPTION_UINT,
     .target = &flags.labels_lost_after,
     .argument = "SECONDS",
     .default_text = "3600",
     .help =
         "A node that has been without its agent for so long loses the labels apparmor.io/enabled "
         "and apparmor.io/profile-* that no pod there requires; 0: never."},
    {.name = "promotable-after",
     .type = OPTION_UINT,
     .target = &flags.promotable_after,
     .argument = "SECONDS",
     .default_text = "86400",
     .help = "An AppArmorProfile in mode Complain is Promotable when no node has let an access "
             "through for so long that Enforce would refuse."},
    {.name = "parser",
     .type = OPTION_STRING,
     .target = &flags.parser,
     .argument = "FILE",
     .help = "apparmor_parser, with which policy is checked before nodes compile it; looked for in "
             "/sbin and /usr/sbin when absent."},
    {.name = "includes",
     .type = OPTION_STRING,
     .target = &flags.includes,
     .argument = "DIR",
     .default_text = "/etc/apparmor.d",
     .help = "Folder with abstractions, tunables and abi, all that policy may include."},
    {.name = "features",
     .type = OPTION_STRING,
     .target = &flags.features,
     .argument = "FILE",
     .default_text = DEFAULT_FEATURES,
     .help = "Kernel features that policy is compiled for while those of no node are known."},
    {.name = "webhook-listen",
     .type = OPTION_STRING,
     .target = &flags.webhook_listen,
     .argument = "ADDRESS:PORT",
     .help = "Serves the admission webhooks over HTTPS; without it, none are."},
    {.name = "webhook-secret",
     .type = OPTION_STRING,
     .target = &flags.webhook_secret,
     .argument = "NAME",
     .default_text = WEBHOOKS_SECRET,
     .help = "The Secret, in the namespace of the agents, that holds the webhooks' certificate. "
             "Where it holds none, one is made, and renewed in time; one of somebody else, as "
             "cert-manager, is used as it is."},
    {.name = "webhook-host",
     .type = OPTION_STRINGS,
     .target = &flags.webhook_hosts,
     .argument = "HOST",
     .help = "A DNS name or IP address by which API servers call the webhooks, besides the "
             "Service's. May be given several times, as may the next."},
    {.name = "exempt-namespace",
     .type = OPTION_STRINGS,
     .target = &flags.exempt_namespaces,
     .argument = "NAME",
     .help = "Pods of this namespace are not held to a level."},
    {.name = "exempt-user",
     .type = OPTION_STRINGS,
     .target = &flags.exempt_users,
     .argument = "USER",
     .help = "Pods that this user creates are not held to a level."},
    {.name = "exempt-runtime-class",
     .type = OPTION_STRINGS,
     .target = &flags.exempt_runtime_classes,
     .argument = "NAME",
     .help = "Pods of this RuntimeClass are not held to a level, such as one of virtual machines "
             "with kernels of their own."},
    {.name = "log-level",
     .type = OPTION_STRING,
     .target = &flags.log_level,
     .argument = "LEVEL",
     .default_text = "info",
     .help = LOG_LEVEL_HELP},
    {.name = "log-format",
     .type = OPTION_STRING,
     .target = &flags.log_format,
     .argument = "FORMAT",
     .default_text = "auto",
     .help = LOG_FORMAT_HELP},
};

static const struct options options = {
    .program = "apparmor-controller",
    .summary = "Keeps the status of each AppArmorProfile what the nodes report.",
    .table = table,
    .count = ARRAY_SIZE(table),
};

static void flags_done(void)
{
    char **strings[] = {&flags.metrics_listen,  &flags.metrics_auth,   &flags.metrics_tls,
                        &flags.kubeconfig,      &flags.listen,         &flags.lease_namespace,
                        &flags.pod_name,        &flags.log_level,      &flags.log_format,
                        &flags.agent_namespace, &flags.parser,         &flags.includes,
                        &flags.features,        &flags.webhook_listen, &flags.webhook_secret};
    struct strv *lists[] = {&flags.webhook_hosts, &flags.exempt_namespaces, &flags.exempt_users,
                            &flags.exempt_runtime_classes};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        free(*strings[i]);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strv_done(lists[i]);
}

static int read_webhook_flags(struct controller_webhooks *ret, char **ret_address,
                              struct error *err)
{
    *ret = (struct controller_webhooks){
        .secret = *flags.webhook_secret ? flags.webhook_secret : WEBHOOKS_SECRET,
        .hosts = &flags.webhook_hosts,
        .exempt_namespaces = &flags.exempt_namespaces,
        .exempt_users = &flags.exempt_users,
        .exempt_runtime_classes = &flags.exempt_runtime_classes,
    };
    if (!flags.webhook_listen || !*flags.webhook_listen)
        return 0;
    if (address_parse(flags.webhook_listen, ret_address, &ret->listen_port, err) < 0)
        return error_wrap(err, "--webhook-listen");
    ret->listen = true;
    ret->listen_address = *ret_address;
    return 0;
}

static int read_flags(struct controller_options *ret, char **ret_address, struct error *err)
{
    int r;

    *ret = (struct controller_options){
        .kubeconfig = flags.kubeconfig,
        .endpoints =
            {
                .listen = flags.listen,
                .metrics_listen = flags.metrics_listen,
                .metrics_auth = flags.metrics_auth,
                .metrics_tls = flags.metrics_tls,
            },
        .lease_namespace =
            flags.lease_namespace && *flags.lease_namespace ? flags.lease_namespace : NULL,
        .pod_name = flags.pod_name,
        .agent_namespace = *flags.agent_namespace ? flags.agent_namespace : POLICY_NAMESPACE,
        .agent_lost_after_ms = (uint64_t) flags.agent_lost_after * 1000,
        .promotable_after_ms = (uint64_t) flags.promotable_after * 1000,
        .labels_lost_after_ms =
            flags.labels_lost_after > 0 ? (uint64_t) flags.labels_lost_after * 1000 : UINT64_MAX,
        .parser = flags.parser,
        .includes = flags.includes,
        .features = flags.features,
    };
    r = endpoints_check(&ret->endpoints, NULL, err);
    if (r == 0)
        r = read_webhook_flags(&ret->webhooks, ret_address, err);
    if (r < 0)
        return r;
    return log_configure(flags.log_level, flags.log_format, err);
}

struct run {
    uv_loop_t loop;
    struct controller *controller;
    bool ending;
};

static void on_stopped(void *userdata)
{
    struct run *run = userdata;

    uv_stop(&run->loop);
}

/* The second signal does not wait for the API server. */
static void on_signal(void *userdata, int number)
{
    struct run *run = userdata;

    log_info("ending", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
    if (run->ending)
        uv_stop(&run->loop);
    else
        controller_stop(run->controller, on_stopped, run);
    run->ending = true;
}

static int run_controller(const struct controller_options *controller_options)
{
    _cleanup_error_ struct error err = {0};
    struct run run = {.ending = false};
    struct loop_signals *signals;
    int status = EXIT_SUCCESS;

    uv_loop_init(&run.loop);
    signals = loop_signals_new(&run.loop, on_signal, &run);
    if (controller_new(&run.loop, controller_options, &run.controller, &err) < 0) {
        log_error("cannot run", "err", error_message(&err));
        status = EXIT_FAILURE;
    } else {
        uv_run(&run.loop, UV_RUN_DEFAULT);
    }
    controller_free(run.controller);
    loop_signals_free(signals);
    loop_drain(&run.loop);
    uv_loop_close(&run.loop);
    return status;
}

int main(int argc, char **argv)
{
    struct controller_options controller_options;
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *webhook_address = NULL;
    enum options_outcome outcome;
    int status = EXIT_SUCCESS;

    alloc_init();
    if (options_parse(&options, argc, argv, NULL, &outcome, &err) < 0 ||
        (outcome == OPTIONS_RUN && read_flags(&controller_options, &webhook_address, &err) < 0)) {
        fprintf(stderr, "apparmor-controller: %s\n", error_message(&err));
        status = EXIT_USAGE;
    } else if (outcome == OPTIONS_HELP) {
        options_print_help(&options, stdout);
    } else if (outcome == OPTIONS_VERSION) {
        options_print_version(&options, stdout);
    } else {
        status = run_controller(&controller_options);
    }
    flags_done();
    return status;
}
