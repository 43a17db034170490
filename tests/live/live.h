// SPDX-License-Identifier: Apache-2.0
#pragma once

/*
 * What the live tests share: a loop, a client of the API server that KUBECONFIG names, a namespace
 * for each test alone, and ways to wait for what happens, each with a deadline.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/loop.h"
#include "lib/kube/client.h"
#include "lib/kube/config.h"

#define LIVE_WAIT_MS 60000

static const struct kube_resource live_namespaces = {"", "v1", "namespaces", "Namespace", false};
static const struct kube_resource live_configmaps _unused_ = {"", "v1", "configmaps", "ConfigMap",
                                                              true};
static const struct kube_write_options live_writer = {.field_manager = "live-test"};

static uv_loop_t loop;
static struct kube_client *client;
static char *ns;

/* --- waiting ------------------------------------------------------------------------------------
 */

static inline void live_tick(uv_timer_t *tick)
{
    (void) tick;
}

static inline void live_free_tick(uv_handle_t *tick)
{
    free(tick);
}

/* The tick makes the loop look at the condition again where no event of its own would. */
static inline uv_timer_t *live_start_tick(void)
{
    uv_timer_t *tick = xcalloc(1, sizeof(*tick));

    uv_timer_init(&loop, tick);
    uv_timer_start(tick, live_tick, 5, 5);
    return tick;
}

/* Turns the loop until the condition holds; fails the test when that takes longer than `ms`. */
#define LIVE_UNTIL(condition, ms)                                                           \
    do {                                                                                    \
        uint64_t begin_ = uv_hrtime();                                                      \
        uv_timer_t *tick_ = live_start_tick();                                              \
        while (!(condition) && uv_hrtime() - begin_ < (uint64_t) (ms) *UINT64_C(1000000))   \
            uv_run(&loop, UV_RUN_ONCE);                                                     \
        uv_close((uv_handle_t *) tick_, live_free_tick);                                    \
        cr_assert((condition), "waited %llu ms in vain for: %s", (unsigned long long) (ms), \
                  #condition);                                                              \
    } while (0)

/* --- answers ------------------------------------------------------------------------------------
 */

struct answer {
    bool done;
    struct kube_object *object;
    struct error err;
};

static inline void answer_done(struct answer *answer)
{
    kube_object_unref(answer->object);
    error_done(&answer->err);
    *answer = (struct answer){0};
}
#define _cleanup_answer_ _cleanup_(answer_done)

static inline void on_answer(void *userdata, struct kube_object *object, const struct error *err)
{
    struct answer *answer = userdata;

    answer->done = true;
    answer->object = kube_object_ref(object);
    error_copy(&answer->err, err);
}

static inline void expect_success(struct answer *answer, const char *what)
{
    LIVE_UNTIL(answer->done, LIVE_WAIT_MS);
    cr_assert_eq(answer->err.code, 0, "%s: %s", what, error_message(&answer->err));
}

/* --- objects ------------------------------------------------------------------------------------
 */

static inline cJSON *live_object(const char *api_version, const char *kind, const char *name)
{
    cJSON *json = cJSON_CreateObject();

    json_add_string(json, "apiVersion", api_version);
    json_add_string(json, "kind", kind);
    json_add_string(json_add_object(json, "metadata"), "name", name);
    return json;
}

/* --- commands -----------------------------------------------------------------------------------
 */

struct command {
    bool done;
    int status;
    char *out;
};

static inline void command_done(struct command *command)
{
    free(command->out);
    *command = (struct command){0};
}
#define _cleanup_command_ _cleanup_(command_done)

static inline void on_command(void *userdata, struct child_result *result)
{
    struct command *command = userdata;

    command->done = true;
    command->status = result->exit_status;
    if (result->exit_status != 0)
        fprintf(stderr, "%s\n", buf_string(&result->err));
    command->out = xstrdup(buf_string(&result->out));
}

/* Starts a shell command with the environment of the test. */
static inline struct child *command_start(struct command *command, const char *text)
{
    const char *const argv[] = {"/bin/bash", "-c", text, NULL};
    const struct child_options options = {
        .argv = argv,
        .env = (const char *const *) environ,
        .stdout_max = 1024 * 1024,
        .stderr_max = 1024 * 1024,
        .deadline_ms = 120000,
    };
    struct child *child;
    _cleanup_error_ struct error err = {0};

    *command = (struct command){0};
    cr_assert_eq(child_start(&loop, &options, on_command, command, &child, &err), 0, "%s",
                 error_message(&err));
    return child;
}

/* Runs it to its end, while the loop turns. */
static inline void command_run(struct command *command, const char *text)
{
    command_start(command, text);
    LIVE_UNTIL(command->done, 120000);
    cr_assert_eq(command->status, 0, "%s", text);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static inline struct kube_client *live_client(void)
{
    const struct kube_config_source source = {0};
    const struct kube_client_options options = {.user_agent = "live-test/1"};
    struct kube_config *config;
    struct kube_client *ret;
    _cleanup_error_ struct error err = {0};

    cr_assert_eq(kube_config_load(&source, &config, &err), 0, "%s", error_message(&err));
    cr_assert_eq(kube_client_new(&loop, config, &options, &ret, &err), 0, "%s",
                 error_message(&err));
    return ret;
}

static inline void live_open(void)
{
    _cleanup_json_ cJSON *body = NULL;
    _cleanup_answer_ struct answer answer = {0};

    if (!getenv("KUBECONFIG"))
        cr_skip_test("KUBECONFIG is not set");
    alloc_init();
    uv_loop_init(&loop);
    client = live_client();
    ns = xasprintf("live-%llx", (unsigned long long) clock_random());
    body = live_object("v1", "Namespace", ns);
    kube_create(client, &live_namespaces, NULL, body, &live_writer, on_answer, &answer);
    expect_success(&answer, "create the namespace");
}

static inline void live_close(void)
{
    _cleanup_answer_ struct answer answer = {0};

    if (!client)
        return;
    kube_delete(client, &live_namespaces, NULL, ns, NULL, on_answer, &answer);
    expect_success(&answer, "delete the namespace");
    kube_client_free(TAKE_PTR(client));
    loop_drain(&loop);
    cr_assert_eq(uv_loop_close(&loop), 0);
    free(TAKE_PTR(ns));
}
