// SPDX-License-Identifier: Apache-2.0

/*
 * apparmor-controller: keeps the status of each AppArmorProfile what the nodes report.
 *
 * Exit status: 0 after SIGTERM or SIGINT; 1 when it cannot run; 2 for flags that are not valid.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/controller.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/options.h"
#include "lib/serve/address.h"

#define DEFAULT_LISTEN ":8080"

enum { EXIT_USAGE = 2 };

struct flags {
    char *kubeconfig, *listen, *log_level, *log_format;
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
     .help = "Serves /healthz, /readyz and /metrics; an empty value turns it off."},
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
    char **strings[] = {&flags.kubeconfig, &flags.listen, &flags.log_level, &flags.log_format};

    for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
        free(*strings[i]);
}

static int read_flags(struct controller_options *ret, char **ret_address, struct error *err)
{
    *ret = (struct controller_options){.kubeconfig = flags.kubeconfig};
    if (*flags.listen) {
        if (address_parse(flags.listen, ret_address, &ret->listen_port, err) < 0)
            return error_wrap(err, "--listen");
        ret->listen = true;
        ret->listen_address = *ret_address;
    }
    return log_configure(flags.log_level, flags.log_format, err);
}

static void on_signal(void *userdata, int number)
{
    log_info("ending", "signal", number == SIGINT ? "SIGINT" : "SIGTERM");
    uv_stop(userdata);
}

static int run(const struct controller_options *controller_options)
{
    _cleanup_error_ struct error err = {0};
    struct controller *controller = NULL;
    struct loop_signals *signals;
    int status = EXIT_SUCCESS;
    uv_loop_t loop;

    uv_loop_init(&loop);
    signals = loop_signals_new(&loop, on_signal, &loop);
    if (controller_new(&loop, controller_options, &controller, &err) < 0) {
        log_error("cannot run", "err", error_message(&err));
        status = EXIT_FAILURE;
    } else {
        uv_run(&loop, UV_RUN_DEFAULT);
    }
    controller_free(controller);
    loop_signals_free(signals);
    loop_drain(&loop);
    uv_loop_close(&loop);
    return status;
}

int main(int argc, char **argv)
{
    struct controller_options controller_options;
    _cleanup_error_ struct error err = {0};
    _cleanup_free_ char *address = NULL;
    enum options_outcome outcome;
    int status = EXIT_SUCCESS;

    alloc_init();
    if (options_parse(&options, argc, argv, NULL, &outcome, &err) < 0 ||
        (outcome == OPTIONS_RUN && read_flags(&controller_options, &address, &err) < 0)) {
        fprintf(stderr, "apparmor-controller: %s\n", error_message(&err));
        status = EXIT_USAGE;
    } else if (outcome == OPTIONS_HELP) {
        options_print_help(&options, stdout);
    } else if (outcome == OPTIONS_VERSION) {
        options_print_version(&options, stdout);
    } else {
        status = run(&controller_options);
    }
    flags_done();
    return status;
}
