// SPDX-License-Identifier: Apache-2.0
#include "agent/findings.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "lib/base/alloc.h"

#define POD "1f7a8a70-9b0c-4d4e-8a53-0c1d2e3f4a5b"

static struct findings *findings;
static struct containers seen;
static uint64_t now_ms;

static void init(void)
{
    findings = findings_new();
    now_ms = 5000;
}

static void forget_tasks(void)
{
    for (size_t i = 0; i < seen.len; i++)
        free(seen.items[i].label);
    free(seen.items);
    seen = (struct containers){0};
}

static void fini(void)
{
    forget_tasks();
    findings_free(findings);
}

TestSuite(findings, .init = init, .fini = fini);

/* In the order of containers and start, as containers_read() has them. */
static struct container_task *put_task(const char *id, int pid, const char *label)
{
    struct container_task *task;

    seen.items = xreallocarray(seen.items, seen.len + 1, sizeof(*seen.items));
    task = &seen.items[seen.len++];
    *task = (struct container_task){.pid = pid, .start = (uint64_t) pid * 10};
    (void) snprintf(task->place.pod, sizeof(task->place.pod), "%s", POD);
    (void) snprintf(task->place.container, sizeof(task->place.container), "%s", id);
    task->label = xstrdup(label);
    return task;
}

static struct node_container container_of_pod(const char *name, const char *id, const char *asked)
{
    return (struct node_container){
        .ns = "shop",
        .pod = "web-1",
        .uid = POD,
        .cgroup_pod = POD,
        .name = name,
        .id = id,
        .asked = asked,
        .running = true,
    };
}

/* A look at `count` containers; returns what findings_end() does. */
static uint64_t look(const struct node_container *containers, size_t count)
{
    findings_begin(findings, &seen, now_ms);
    for (size_t i = 0; i < count; i++)
        findings_check(findings, &containers[i]);
    return findings_end(findings);
}

static uint64_t look_at_web(void)
{
    struct node_container web = container_of_pod("web", "aa", "Localhost/web");

    return look(&web, 1);
}

static const struct finding *only_finding(void)
{
    size_t position = 0;
    const struct finding *finding = findings_next(findings, &position);

    cr_assert_eq(findings_size(findings), 1);
    cr_assert_not_null(finding);
    cr_assert_null(findings_next(findings, &position));
    return finding;
}

Test(findings, what_is_confined_is_none)
{
    put_task("aa", 10, "web (enforce)");
    cr_assert_eq(look_at_web(), 0);
    cr_assert_eq(findings_size(findings), 0);
}

Test(findings, the_same_process_seen_again_is_one)
{
    put_task("aa", 10, "unconfined");
    cr_assert_eq(look_at_web(), FINDINGS_CONFIRM_MS);
    cr_assert_eq(findings_size(findings), 0, "a suspicion");
    now_ms += FINDINGS_CONFIRM_MS - 1;
    cr_assert_eq(look_at_web(), 1);
    cr_assert_eq(findings_size(findings), 0);
    now_ms++;
    cr_assert_eq(look_at_web(), 0);
    const struct finding *finding = only_finding();

    cr_assert_str_eq(finding->ns, "shop");
    cr_assert_str_eq(finding->pod, "web-1");
    cr_assert_str_eq(finding->uid, POD);
    cr_assert_str_eq(finding->container, "web");
    cr_assert_str_eq(finding->id, "aa");
    cr_assert_str_eq(finding->asked, "Localhost/web");
    cr_assert_str_eq(finding->label, "unconfined");
    cr_assert_not(finding->told);
}

Test(findings, a_container_that_starts_is_none)
{
    put_task("aa", 10, "unconfined");
    cr_assert_eq(look_at_web(), FINDINGS_CONFIRM_MS);
    forget_tasks();
    put_task("aa", 10, "web (enforce)");
    now_ms += FINDINGS_CONFIRM_MS;
    cr_assert_eq(look_at_web(), 0);
    cr_assert_eq(findings_size(findings), 0);
}

Test(findings, each_process_has_its_own_time)
{
    put_task("aa", 10, "unconfined");
    look_at_web();
    now_ms += FINDINGS_CONFIRM_MS;
    /* The pid again, and another process. */
    seen.items[0].start++;
    cr_assert_eq(look_at_web(), FINDINGS_CONFIRM_MS);
    cr_assert_eq(findings_size(findings), 0);
}

Test(findings, what_goes_by_the_name_of_a_runtime_has_longer_but_not_for_ever)
{
    put_task("aa", 10, "unconfined")->starting = true;
    cr_assert_eq(look_at_web(), FINDINGS_CONFIRM_STARTING_MS);
    now_ms += FINDINGS_CONFIRM_STARTING_MS - 1;
    cr_assert_eq(look_at_web(), 1);
    now_ms++;
    cr_assert_eq(look_at_web(), 0);
    cr_assert_eq(findings_size(findings), 1);
}

Test(findings, a_finding_goes_when_it_is_mended)
{
    put_task("aa", 10, "unconfined");
    look_at_web();
    now_ms += FINDINGS_CONFIRM_MS;
    look_at_web();
    cr_assert_eq(findings_size(findings), 1);
    forget_tasks();
    cr_assert_eq(look_at_web(), 0);
    cr_assert_eq(findings_size(findings), 0);
}

Test(findings, a_finding_stays_told_as_long_as_it_stands)
{
    size_t position = 0;

    put_task("aa", 10, "unconfined");
    put_task("aa", 20, "unconfined");
    look_at_web();
    now_ms += FINDINGS_CONFIRM_MS;
    look_at_web();
    findings_next(findings, &position)->told = true;
    /* The first process has ended. */
    forget_tasks();
    put_task("aa", 20, "unconfined");
    cr_assert_eq(look_at_web(), 0);
    cr_assert(only_finding()->told);
}

Test(findings, an_exec_counts_as_the_first_process_does)
{
    put_task("aa", 10, "web (enforce)");
    put_task("aa", 20, "unconfined");
    cr_assert_eq(look_at_web(), FINDINGS_CONFIRM_MS);
}

Test(findings, what_does_not_run_or_asks_for_nothing_is_not_looked_at)
{
    struct node_container containers[] = {
        container_of_pod("created", "aa", "Localhost/web"),
        container_of_pod("free", "aa", NULL),
        container_of_pod("restarted", "bb", "Localhost/web"),
        container_of_pod("impostor", "aa", "Localhost/web"),
    };

    containers[0].running = false;
    containers[3].cgroup_pod = "0123456789abcdef0123456789abcdef";
    put_task("aa", 10, "unconfined");
    cr_assert_eq(look(containers, ARRAY_SIZE(containers)), 0);
}

Test(findings, pods_of_files_are_found_by_their_hash)
{
    struct node_container web = container_of_pod("web", "aa", "RuntimeDefault");

    web.cgroup_pod = "0123456789abcdef0123456789abcdef";
    (void) snprintf(put_task("aa", 10, "unconfined")->place.pod, CGROUP_POD_SIZE, "%s",
                    web.cgroup_pod);
    cr_assert_eq(look(&web, 1), FINDINGS_CONFIRM_MS);
}

Test(findings, they_are_sorted)
{
    struct node_container containers[] = {
        container_of_pod("web", "cc", "Localhost/web"),
        container_of_pod("app", "aa", "Localhost/web"),
        container_of_pod("log", "bb", "RuntimeDefault"),
    };
    size_t position = 0;

    put_task("aa", 10, "unconfined");
    put_task("bb", 20, "runc (unconfined)");
    put_task("cc", 30, "docker-default (enforce)");
    look(containers, ARRAY_SIZE(containers));
    now_ms += FINDINGS_CONFIRM_MS;
    cr_assert_eq(look(containers, ARRAY_SIZE(containers)), 0);
    cr_assert_str_eq(findings_next(findings, &position)->container, "app");
    cr_assert_str_eq(findings_next(findings, &position)->container, "log");
    cr_assert_str_eq(findings_next(findings, &position)->label, "docker-default (enforce)");
    cr_assert_null(findings_next(findings, &position));
}
