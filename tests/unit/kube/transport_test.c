// SPDX-License-Identifier: Apache-2.0
#include "lib/kube/transport.h"

#include <dlfcn.h>
#include <errno.h>

#include "tests/unit/kube/scripted_server.h"

static struct transport *transport;

struct outcome {
    unsigned done;
    int status;
    size_t received;
    struct error err;
};

static int on_data(void *userdata, int http_status, const char *data, size_t len, struct error *err)
{
    (void) http_status;
    (void) data;
    (void) err;
    ((struct outcome *) userdata)->received += len;
    return 0;
}

static void on_done(void *userdata, const struct transfer_result *result)
{
    struct outcome *outcome = userdata;

    outcome->done++;
    outcome->status = result->http_status;
    error_copy(&outcome->err, result->err);
}

static void open_transport(const char *user)
{
    _cleanup_error_ struct error err = {0};

    server_start();
    cr_assert_eq(transport_new(&server.loop, server_config(user), "test", &transport, &err), 0,
                 "%s", error_message(&err));
}

static void close_transport(void)
{
    clock_set_source(NULL);
    transport_free(TAKE_PTR(transport));
    server_stop();
}

TestSuite(transport, .fini = close_transport, .timeout = 60);

static struct transfer *start(struct outcome *outcome, const char *target, uint64_t silence_ms,
                              bool renewable)
{
    const struct transfer_options options = {
        .method = "GET",
        .target = target,
        .accept = "application/json",
        .timeout_ms = 30000,
        .silence_ms = silence_ms,
        .renewable = renewable,
        .data = on_data,
        .done = on_done,
        .userdata = outcome,
    };

    return transfer_start(transport, &options);
}

/* --- silence ------------------------------------------------------------------------------------
 */

int _gnutls_global_init_skip(void);

Test(transport_libraries, gnutls_is_told_that_nobody_needs_it)
{
    void *asked = dlsym(RTLD_DEFAULT, "_gnutls_global_init_skip");

    if (!asked)
        cr_skip_test("libcurl does not bring GnuTLS");
    cr_assert_eq(asked, (void *) _gnutls_global_init_skip);
}

Test(transport, a_silent_peer_is_given_up_after_the_limit)
{
    struct outcome never = {0}, once = {0};
    struct exchange *exchange;
    uint64_t begin;

    open_transport("token: x");
    begin = clock_monotonic_ms();
    start(&never, "/never", 300, false);
    server_wait();
    RUN_UNTIL(never.done == 1);
    cr_assert_geq(clock_monotonic_ms() - begin, 300);
    cr_assert_leq(clock_monotonic_ms() - begin, 3000);
    cr_assert_eq(never.err.code, -ETIMEDOUT);
    cr_assert(kube_error_is_transport(&never.err));

    start(&once, "/once", 300, false);
    exchange = server_wait();
    server_begin(exchange);
    server_chunk_text(exchange, "{}");
    RUN_UNTIL(once.received == 2);
    begin = clock_monotonic_ms();
    RUN_UNTIL(once.done == 1);
    cr_assert_geq(clock_monotonic_ms() - begin, 290);
    cr_assert_eq(once.err.code, -ETIMEDOUT);
    cr_assert_eq(once.status, 200);
    error_done(&never.err);
    error_done(&once.err);
}

Test(transport, a_peer_that_says_something_now_and_then_is_not)
{
    struct outcome talking = {0}, unlimited = {0};
    struct exchange *exchange;

    open_transport("token: x");
    start(&talking, "/talking", 400, false);
    exchange = server_wait();
    start(&unlimited, "/unlimited", 0, false);
    server_wait();
    server_begin(exchange);
    for (unsigned i = 0; i < 10; i++) {
        uint64_t begin = clock_monotonic_ms();

        server_chunk_text(exchange, " ");
        RUN_UNTIL(clock_monotonic_ms() - begin > 100);
    }
    cr_assert_eq(talking.done + unlimited.done, 0);
    server_end(exchange);
    RUN_UNTIL(talking.done == 1);
    cr_assert_eq(talking.err.code, 0, "%s", error_message(&talking.err));
    cr_assert_eq(talking.received, 10);
}

/* --- rotation ----------------------------------------------------------------------------------
 */

static uint64_t skipped_ms;

static uint64_t later(void *userdata)
{
    return server_monotonic(userdata) + skipped_ms;
}

static const struct clock_source skipping = {later, server_realtime, server_random, NULL};

static char *make_file(const char *content)
{
    char *path = xasprintf("%s/transport-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : P_tmpdir);
    _cleanup_close_ int fd = mkostemp(path, O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(fs_write_all(fd, content, strlen(content)), 0);
    return path;
}

/* The certificate means nothing to a server without TLS; that it was replaced does. */
Test(transport, what_may_be_renewed_ends_in_order_when_the_certificate_was_replaced)
{
    _cleanup_free_ char *certificate = make_file("old"), *key = make_file("key");
    _cleanup_free_ char *user =
        xasprintf("client-certificate: '%s', client-key: '%s'", certificate, key);
    struct outcome watch = {0}, request = {0}, unopened = {0}, next = {0};
    struct exchange *watched, *requested;

    clock_set_source(&skipping);
    open_transport(user);
    start(&watch, "/watch", 0, true);
    watched = server_wait();
    start(&request, "/request", 0, false);
    requested = server_wait();
    start(&unopened, "/unopened", 0, true);
    server_wait();
    server_begin(watched);
    server_begin(requested);
    server_chunk_text(watched, "{}");
    server_chunk_text(requested, "{}");
    RUN_UNTIL(watch.received == 2 && request.received == 2);
    cr_assert_eq(fs_write_atomic(AT_FDCWD, certificate, "new", 3, 0600, NULL), 0);
    start(&next, "/before-a-minute", 0, false);
    server_reply(server_wait(), 200, "{}");
    RUN_UNTIL(next.done == 1);
    cr_assert_eq(watch.done, 0);

    skipped_ms = 61000;
    start(&next, "/after-a-minute", 0, false);
    server_reply(server_wait(), 200, "{}");
    RUN_UNTIL(next.done == 2 && watch.done == 1);
    cr_assert_eq(watch.err.code, 0, "%s", error_message(&watch.err));
    cr_assert_eq(watch.status, 200);
    cr_assert_eq(unopened.done, 0, "it has no answer that could end");
    server_end(requested);
    RUN_UNTIL(request.done == 1);
    cr_assert_eq(request.err.code, 0, "%s", error_message(&request.err));
    unlink(certificate);
    unlink(key);
}
