// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/violations.h"
#include "lib/base/cleanup.h"
#include "lib/base/json.h"
#include "lib/base/strv.h"

/*
 * What a node says about one profile: an entry of AppArmorNode's status.profiles. Immutable and
 * interned: equal reports of any nodes are one object, so that thousands of nodes that all loaded
 * a profile cost a pointer each, and a change shows by comparing pointers.
 */
enum report_state { REPORT_PENDING, REPORT_LOADED, REPORT_FAILED, REPORT_DRAINING };

struct report {
    char *profile;
    int64_t generation;
    enum report_state state;
    char *revision;         /* that is loaded; "" */
    char *mode;             /* likewise, as status.mode shows it */
    int64_t processes;      /* seen under it in mode Complain; -1: it does not tell */
    struct strv names;      /* likewise, sorted */
    char *reason, *message; /* of one line each; "" when absent */
};

/* What Failed says without giving a reason. */
#define REPORT_REASON_NONE "Unknown"
/* Bytes of each text that are kept: a compiler may be talkative. */
#define REPORT_TEXT_MAX 1024
/* More than any node sees; the sum over all of them stays a number. */
#define REPORT_PROCESSES_MAX 1000000000

struct report_pool;

struct report_pool *report_pool_new(void);
/* All references must be gone. */
void report_pool_free(struct report_pool *pool);
DEFINE_CLEANUP(struct report_pool *, report_pool_free)
size_t report_pool_size(const struct report_pool *pool);

/* Of an entry of status.profiles; NULL when it names no profile or its state is unknown. */
const struct report *report_intern(struct report_pool *pool, const cJSON *entry);
void report_unref(const struct report *report);

/* The reports of one node, sorted by profile; of duplicates the first counts. */
struct report_list {
    const struct report **items;
    size_t len;
};

/* `profiles`: status.profiles or NULL. */
void report_list_init(struct report_list *list, struct report_pool *pool, const cJSON *profiles);
void report_list_done(struct report_list *list);
const struct report *report_list_find(const struct report_list *list, const char *profile);

/* All that a node says. */
struct node_report {
    bool enabled; /* it has AppArmor */
    bool sees_denials;
    char *features; /* id of its kernel's; or NULL */
    struct report_list reports;
    struct violations violations;
};

/* `status`: of the AppArmorNode, or NULL. To be freed before the pool. */
struct node_report *node_report_new(struct report_pool *pool, const cJSON *status);
void node_report_free(struct node_report *report);
DEFINE_CLEANUP(struct node_report *, node_report_free)
