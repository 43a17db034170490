// SPDX-License-Identifier: Apache-2.0
/*
 * Informers on bad networks between them and a real API server. Whatever happens: in the end the
 * store is the server's collection, and no handler has heard of anything that cannot be. Takes
 * KUBECONFIG; for HTTP/1.1 CONTROLPLANE, the command that controls the API server.
 */
#include "tests/live/follower.h"
#include "tests/live/tcp_proxy.h"

static struct tcp_proxy proxy;
static struct kube_client *through; /* the proxy */

static void open_proxy(void)
{
    live_open();
    through = proxy_connect(&proxy);
}

static void close_proxy(void)
{
    clock_set_source(NULL);
    kube_client_free(TAKE_PTR(through));
    if (proxy.loop)
        proxy_stop(&proxy);
    live_close();
}

TestSuite(network, .init = open_proxy, .fini = close_proxy, .timeout = 300);

/* --- silence ----------------------------------------------------------------------------------
 */

Test(network, a_peer_that_goes_silent_is_noticed_within_30_s_and_a_quiet_one_is_left_alone)
{
    static struct tcp_proxy other;
    struct follower silent, quiet;
    struct kube_client *through_other = proxy_connect(&other);
    struct tally tally = {0};
    uint64_t begin;

    make_maps(5);
    follow(&silent, through);
    follow(&quiet, through_other);
    LIVE_UNTIL(silent.synced && quiet.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_SILENT);
    begin = clock_monotonic_ms();
    LIVE_UNTIL(silent.failures > 0, 30000);
    printf("# silence was noticed after %.1f s\n", (double) (clock_monotonic_ms() - begin) / 1000);
    cr_assert_eq(quiet.failures, 0, "%s", error_message(&quiet.last));
    cr_assert_eq(other.accepted, 1);
    proxy_set_mode(&proxy, PROXY_FORWARD);
    change_maps(&tally, 5, 1);
    expect_all(&tally);
    expect_convergence(&silent);
    expect_convergence(&quiet);
    cr_assert_eq(quiet.failures, 0, "%s", error_message(&quiet.last));
    follower_stop(&silent);
    follower_stop(&quiet);
    kube_client_free(through_other);
    proxy_stop(&other);
}

/* The kernel hears something now and then, but nothing that one could use ever arrives. */
Test(network, a_peer_that_says_nothing_whole_is_noticed_within_30_s)
{
    struct follower follower;
    struct tally tally = {0};

    make_maps(5);
    follow(&follower, through);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_TRICKLE);
    LIVE_UNTIL(follower.failures > 0, 32000);
    proxy_set_mode(&proxy, PROXY_FORWARD);
    change_maps(&tally, 5, 1);
    expect_all(&tally);
    expect_convergence(&follower);
    follower_stop(&follower);
}

/* --- storms -----------------------------------------------------------------------------------
 */

/* Back-off has its own tests; here it would only keep clients out of the rain. */
static uint64_t hasty_random(void *userdata)
{
    uint64_t bits;

    (void) userdata;
    cr_assert_eq(uv_random(NULL, NULL, &bits, sizeof(bits), 0, NULL), 0);
    return bits >> 5;
}

static uint64_t monotonic(void *userdata)
{
    (void) userdata;
    return uv_hrtime() / 1000000;
}

static int64_t realtime(void *userdata)
{
    uv_timeval64_t now;

    (void) userdata;
    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static const struct clock_source hasty = {monotonic, realtime, hasty_random, NULL};

#define FOLLOWERS 4
#define MAPS 200

static void follow_in_all_ways(struct follower followers[static FOLLOWERS])
{
    const struct kube_informer_options ways[FOLLOWERS] = {
        {.resource = &live_configmaps, .ns = ns, .field_selector = NOT_THE_ROOT_CA},
        {.resource = &live_configmaps,
         .ns = ns,
         .field_selector = NOT_THE_ROOT_CA,
         .metadata_only = true},
        {.resource = &live_configmaps, .ns = ns, .field_selector = "metadata.name=map-00003"},
        {.resource = &live_configmaps, .ns = ns, .label_selector = "no=such"},
    };

    for (unsigned i = 0; i < FOLLOWERS; i++)
        follower_start(&followers[i], through, &ways[i]);
}

/* Rounds of changes while the network misbehaves, then peace. */
static void weather(unsigned mischief, unsigned odds, unsigned rounds)
{
    struct follower followers[FOLLOWERS];
    size_t harm = 0;

    make_maps(MAPS);
    clock_set_source(&hasty);
    proxy.seed = (unsigned) uv_hrtime();
    printf("# seed %u\n", proxy.seed);
    proxy.mischief = mischief;
    proxy.odds = odds;
    /* The first lists have it no better. */
    follow_in_all_ways(followers);
    LIVE_UNTIL(followers[0].synced && followers[1].synced, LIVE_WAIT_MS);
    for (unsigned round = 1; round <= rounds; round++) {
        struct tally tally = {0};

        change_maps(&tally, MAPS, round);
        TALLY_UNTIL_DONE(&tally);
        error_done(&tally.first);
    }
    proxy.odds = 0;
    clock_set_source(NULL);
    for (unsigned i = 0; i < PROXY_MISCHIEFS; i++)
        harm += proxy.done[i];
    for (unsigned i = 0; i < FOLLOWERS; i++)
        expect_convergence(&followers[i]);
    printf("# cut %zu, reset %zu, halved %zu, flipped %zu, swapped %zu, dripped %zu; %zu "
           "connections, %zu "
           "failures, %zu added, %zu updated, %zu deleted and %zu gone meanwhile\n",
           proxy.done[PROXY_CUT], proxy.done[PROXY_RESET], proxy.done[PROXY_HALF],
           proxy.done[PROXY_FLIP], proxy.done[PROXY_SWAP], proxy.done[PROXY_DRIP], proxy.accepted,
           followers[0].failures, followers[0].added, followers[0].updated,
           followers[0].deleted[KUBE_DELETED], followers[0].deleted[KUBE_DELETED_MISSED]);
    cr_assert_gt(harm, 0, "the weather was fine");
    for (unsigned i = 0; i < FOLLOWERS; i++)
        follower_stop(&followers[i]);
}

Test(network, connections_that_are_cut_lose_no_change)
{
    weather(1 << PROXY_CUT | 1 << PROXY_RESET, 5, 8);
}

Test(network, connections_that_are_cut_mid_frame_lose_no_change)
{
    weather(1 << PROXY_HALF | 1 << PROXY_DRIP, 5, 8);
}

Test(network, bytes_that_are_wrong_or_out_of_order_are_noticed)
{
    weather(1 << PROXY_FLIP | 1 << PROXY_SWAP, 5, 8);
}

Test(network, all_of_it_at_once)
{
    weather((1 << PROXY_MISCHIEFS) - 1, 4, 10);
}

/* A single request cannot be told apart from its successor: it fails, with a word on the transport,
 * and is not made again, as it may have had its effect. */
Test(network, a_request_whose_answer_is_spoilt_fails_cleanly)
{
    static const enum proxy_mischief kinds[] = {PROXY_CUT, PROXY_HALF, PROXY_FLIP, PROXY_SWAP,
                                                PROXY_RESET};

    make_maps(1);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        _cleanup_answer_ struct answer fine = {0}, spoilt = {0};
        _cleanup_json_ cJSON *body = live_configmap("map-00000", "x");
        size_t before = proxy.done[kinds[i]];

        kube_get(through, &live_configmaps, ns, "map-00000", NULL, on_answer, &fine);
        expect_success(&fine, "before");
        proxy.mischief = 1U << kinds[i];
        proxy.odds = 1;
        kube_patch(through, &live_configmaps, ns, "map-00000", NULL, KUBE_PATCH_MERGE, body, NULL,
                   on_answer, &spoilt);
        LIVE_UNTIL(proxy.done[kinds[i]] > before, LIVE_WAIT_MS);
        /* Another attempt would succeed. */
        proxy.odds = 0;
        LIVE_UNTIL(spoilt.done, LIVE_WAIT_MS);
        cr_assert(kube_error_is_transport(&spoilt.err), "kind %u: %s", i,
                  error_message(&spoilt.err));
        cr_assert_eq(spoilt.err.http_status, 0);
    }
}

/* --- held up ----------------------------------------------------------------------------------
 */

/* What is written meanwhile, and what goes, is told when the line is back: 20 s are not yet death.
 */
Test(network, a_line_that_is_held_up_for_a_while_is_waited_for)
{
    struct follower follower;
    struct tally tally = {0};

    make_maps(50);
    follow(&follower, through);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_HOLD);
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    cr_assert_eq(follower.updated, 0);
    proxy_set_mode(&proxy, PROXY_FORWARD);
    expect_convergence(&follower);
    cr_assert_eq(follower.failures, 0, "%s", error_message(&follower.last));
    cr_assert_eq(follower.deleted[KUBE_DELETED], 10);
    follower_stop(&follower);
}

Test(network, what_happens_while_nobody_is_connected_is_told_afterwards)
{
    struct follower follower;
    struct tally tally = {0};

    make_maps(50);
    follow(&follower, through);
    LIVE_UNTIL(follower.synced, LIVE_WAIT_MS);
    proxy_set_mode(&proxy, PROXY_REFUSE);
    LIVE_UNTIL(follower.failures > 0, LIVE_WAIT_MS);
    cr_assert_not(kube_informer_connected(follower.informer));
    change_maps(&tally, 50, 1);
    expect_all(&tally);
    proxy_set_mode(&proxy, PROXY_FORWARD);
    expect_convergence(&follower);
    cr_assert(kube_informer_connected(follower.informer));
    /* The version is still known: the watch tells each of them. */
    cr_assert_eq(follower.deleted[KUBE_DELETED], 10);
    cr_assert_eq(follower.deleted[KUBE_DELETED_MISSED], 0);
    follower_stop(&follower);
}

/* --- HTTP/1.1 ---------------------------------------------------------------------------------
 */

static void speak_http2(void)
{
    if (getenv("CONTROLPLANE"))
        rig_run("restart-apiserver --now");
}

Test(network, it_works_over_http_1_1_as_well, .fini = speak_http2)
{
    rig_run("restart-apiserver --now --disable-http2-serving");
    weather((1 << PROXY_MISCHIEFS) - 1, 5, 6);
    /* Each of the watches has its own. */
    cr_assert_geq(proxy.accepted, FOLLOWERS);
}
