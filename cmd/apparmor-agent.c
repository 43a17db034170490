// SPDX-License-Identifier: Apache-2.0

/*
 * apparmor-agent: keeps one node's AppArmor policy equal to the AppArmorProfiles that select it.
 *
 * Exit status: 0 after SIGTERM or SIGINT, and with --once when everything is loaded; 1 with --once
 * when something is not, and when the agent cannot run; 2 for flags that are not valid.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/self.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/policy/names.h"
#include "lib/serve/endpoints.h"

#define DEFAULT_LISTEN "127.0.0.1:9781"

enum { EXIT_USAGE = 2 };

struct flags {
    char *kubeconfig, *node_name, *ns, *host_root, *apparmorfs, *includes, *parser, *proc,
        *manifests;
    char *listen, *metrics_listen, *metrics_auth, *metrics_tls, *log_level, *log_format,
        *self_confinement;
    bool once, purge;
    struct strv node_labels;
};

static struct flags flags;

static const struct option table[] = {
    {.name = "kubeconfig",
     .type = OPTION_STRING,
     .target = &flags.kubeconfig,
     .argument = "FILE",
     .help = "How to reach the API server. Without it: $KUBECONFIG, the pod's service account, "
             "~/.kube/config."},
    {.name = "node-name",
     .type = OPTION_STRING,
     .target = &flags.node_name,
     .argument = "NAME",
     .env = "NODE_NAME",
     .help = "The Node that this machine is. With --manifests: for logs and the label "
             "kubernetes.io/hostname; the host's name when absent."},
    {.name = "namespace",
     .type = OPTION_STRING,
     .target = &flags.ns,
     .argument = "NAMESPACE",
     .env = "POD_NAMESPACE",
     .default_text = POLICY_NAMESPACE,
     .help = "The operator's, where ConfigMaps have the features of the nodes' kernels."},
    {.name = "manifests",
     .type = OPTION_STRING,
     .target = &flags.manifests,
     .argument = "DIR",
     .help = "Without a cluster: takes AppArmorProfiles from the .yaml, .yml and .json files of "
             "this folder, follows its changes and prints a table of what is loaded."},
    {.name = "once",
     .type = OPTION_BOOL,
     .target = &flags.once,
     .help = "With --manifests: ends after the first table, with 0 when everything is loaded, "
             "else 1."},
    {.name = "purge",
     .type = OPTION_BOOL,
     .target = &flags.purge,
     .help = "With --manifests: what no file declares is unloaded also where a cluster has put it "
             "on this node, once no process has it. With an empty folder that takes everything."},
    {.name = "node-label",
     .type = OPTION_STRINGS,
     .target = &flags.node_labels,
     .argument = "KEY=VALUE",
     .help = "With --manifests: a label for nodeSelector to select, besides the host's name, "
             "os and arch."},
    {.name = "host-root",
     .type = OPTION_STRING,
     .target = &flags.host_root,
     .argument = "DIR",
     .default_text = "/",
     .help = "Where the host's file system is: its etc/apparmor.d holds the agent's files."},
    {.name = "apparmorfs",
     .type = OPTION_STRING,
     .target = &flags.apparmorfs,
     .argument = "DIR",
     .default_text = "/sys/kernel/security/apparmor",
     .help = "The kernel's AppArmor interface."},
    {.name = "includes",
     .type = OPTION_STRING,
     .target = &flags.includes,
     .argument = "DIR",
     .default_text = "/etc/apparmor.d",
     .help = "Folder with abstractions, tunables and abi, all that policy may include."},
    {.name = "parser",
     .type = OPTION_STRING,
     .target = &flags.parser,
     .argument = "FILE",
     .help =
         "apparmor_parser; looked for in /sbin and /usr/sbin when absent. One in PREFIX/sbin may "
         "have its libraries in PREFIX/lib."},
    {.name = "proc",
     .type = OPTION_STRING,
     .target = &flags.proc,
     .argument = "DIR",
     .default_text = "/proc",
     .help = "The host's proc: what a task of it runs under is not removed."},
    {.name = "listen",
     .type = OPTION_STRING,
     .target = &flags.listen,
     .argument = "ADDRESS:PORT",
     .help = ENDPOINTS_LISTEN_HELP " When absent: " DEFAULT_LISTEN ", and off with --manifests."},
    ENDPOINTS_METRICS_OPTIONS(flags),
    {.name = "self-confinement",
     .type = OPTION_STRING,
     .target = &flags.self_confinement,
     .argument = "WHEN",
     .default_text = "auto",
     .help = "The agent filters its own system calls and runs under its own AppArmor profile, "
             "apparmor.io.agent, where the kernel has AppArmor. auto: goes on without what of it "
             "fails, and says so; required: ends then; off: neither."},
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
    .program = "apparmor-agent",
    .summary = "Keeps this node's AppArmor policy equal to the AppArmorProfiles that select it.",
    .table = table,
    .count = ARRAY_SIZE(table),
};

static void flags_done(void)
{
    char **strings[] = {
        &flags.ns,          &flags.kubeconfig, &flags.node_name,      &flags.host_root,
        &flags.apparmorfs,  &flags.includes,   &flags.parser,         &flags.proc,
        &flags.manifests,   &flags.listen,     &flags.metrics_listen, &flags.metrics_auth,
        &flags.metrics_tls, &flags.log_level,  &flags.log_format,     &flags.self_confinement};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        free(*strings[i]);
    strv_done(&flags.node_labels);
}

static struct endpoints_flags endpoints(void)
{
    return (struct endpoints_flags){
        .listen = flags.listen      ? flags.listen
                  : flags.manifests ? NULL
                                    : DEFAULT_LISTEN,
        .metrics_listen = flags.metrics_listen,
        .metrics_auth = flags.metrics_auth,
        .metrics_tls = flags.metrics_tls,
    };
}

static int check_endpoints(struct error *err)
{
    const struct endpoints_flags from = endpoints();
    bool authorises;
    int r = endpoints_check(&from, &authorises, err);

    if (r == 0 && authorises && flags.manifests)
        return error_set(err, -EINVAL,
                         "without a cluster nobody can say who may read the metrics: bind "
                         "--metrics-listen to 127.0.0.1, or let everybody by --metrics-auth=none");
    return r;
}

static bool self_confinement_is(const char *value)
{
    return strcmp(flags.self_confinement, value) == 0;
}

static int check_self_confinement(struct error *err)
{
    if (self_confinement_is("auto") || self_confinement_is("required") ||
        self_confinement_is("off"))
        return 0;
    return error_set(err, -EINVAL, "--self-confinement takes auto, required or off, not \"%s\"",
                     flags.self_confinement);
}

static int check_flags(struct error *err)
{
    int r = check_endpoints(err);

    if (r == 0)
        r = check_self_confinement(err);
    if (r < 0)
        return r;
    if (!flags.manifests && (!flags.node_name || !*flags.node_name))
        return error_set(err, -EINVAL,
                         "which Node is this? Set --node-name or NODE_NAME (in a pod from "
                         "spec.nodeName), or --manifests to run without a cluster");
    if (!flags.manifests && flags.once)
        return error_set(err, -EINVAL, "--once goes with --manifests");
    if (!flags.manifests && flags.purge)
        return error_set(err, -EINVAL, "--purge goes with --manifests");
    if (!flags.manifests && flags.node_labels.len > 0)
        return error_set(err, -EINVAL, "--node-label goes with --manifests");
    return log_configure(flags.log_level, flags.log_format, err);
}

struct run {
    uv_loop_t loop;
    int status;
};

static void on_signal(void *userdata, int number)
{
    struct run *run = userdata;

    log_info("ending; profiles stay loaded", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
    uv_stop(&run->loop);
}

static void on_finished(void *userdata, int status)
{
    struct run *run = userdata;

    run->status = status;
    uv_stop(&run->loop);
}

static int run_agent(const struct agent_options *agent_options)
{
    struct run run = {.status = EXIT_SUCCESS};
    _cleanup_error_ struct error err = {0};
    struct loop_signals *signals;
    struct agent *agent;
    bool clean;

    uv_loop_init(&run.loop);
    signals = loop_signals_new(&run.loop, on_signal, &run);
    if (agent_new(&run.loop, agent_options, on_finished, &run, &agent, &err) < 0) {
        log_error("cannot run", "err", error_message(&err));
        run.status = EXIT_FAILURE;
        clean = true;
    } else {
        uv_run(&run.loop, UV_RUN_DEFAULT);
        clean = agent_free(agent);
    }
    loop_signals_free(signals);
    if (!clean)
        _exit(run.status); /* a thread that the kernel does not let go */
    loop_drain(&run.loop);
    uv_loop_close(&run.loop);
    return run.status;
}

/* Not vital unless it is required: a node's profiles must not wait for the agent's. */
static int failed_to_confine(const struct error *err)
{
    if (self_confinement_is("required")) {
        log_error("the agent cannot confine itself as --self-confinement=required wants", "err",
                  error_message(err));
        return -EPERM;
    }
    log_warn("the agent does not confine itself", "err", error_message(err));
    return 0;
}

/* Before there are threads. */
static int confine_self(void)
{
    const struct self_options self = {
        .host_root = flags.host_root,
        .apparmorfs = flags.apparmorfs,
        .includes = flags.includes,
        .parser = flags.parser,
        .proc = flags.proc,
        .manifests = flags.manifests,
        .kubeconfig = flags.kubeconfig,
        .metrics_tls = flags.metrics_tls,
    };
    _cleanup_error_ struct error calls = {0}, profile = {0};
    int r = 0;

    if (self_confinement_is("off"))
        return 0;
    if (self_restrict_calls(&calls) < 0)
        r = failed_to_confine(&calls);
    if (r == 0 && self_enter_profile(&self, &profile) < 0)
        r = failed_to_confine(&profile);
    return r;
}

static int run_flags(void)
{
    struct agent_options agent_options = {
        .kubeconfig = flags.kubeconfig,
        .node_name = flags.node_name,
        .ns = flags.ns,
        .host_root = flags.host_root,
        .apparmorfs = flags.apparmorfs,
        .includes = flags.includes,
        .parser = flags.parser,
        .proc = flags.proc,
        .manifests = flags.manifests,
        .once = flags.once,
        .purge = flags.purge,
        .endpoints = endpoints(),
        .node_labels = flags.node_labels,
        .must_stay_confined = self_confinement_is("required"),
    };

    if (confine_self() < 0)
        return EXIT_FAILURE;
    return run_agent(&agent_options);
}

int main(int argc, char **argv)
{
    _cleanup_error_ struct error err = {0};
    enum options_outcome outcome;
    int status = EXIT_SUCCESS;

    alloc_init();
    if (options_parse(&options, argc, argv, NULL, &outcome, &err) < 0 ||
        (outcome == OPTIONS_RUN && check_flags(&err) < 0)) {
        fprintf(stderr, "apparmor-agent: %s\n", error_message(&err));
        status = EXIT_USAGE;
    } else if (outcome == OPTIONS_HELP) {
        options_print_help(&options, stdout);
    } else if (outcome == OPTIONS_VERSION) {
        options_print_version(&options, stdout);
    } else {
        status = run_flags();
    }
    flags_done();
    return status;
}
