// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/cluster.h"
#include "lib/base/json.h"

/*
 * Parts of descriptions that more than one command shows: read from the cluster into JSON, and
 * printed from it.
 */

/* {type, reason, count, last, message} of the Events about an object; the newest last. */
struct report_events {
    cJSON *items; /* made by report_events_list() */
    struct error err;
};
/* `ns`: where the Events are, "default" for cluster-scoped objects. Waited for by cluster_wait().
 */
void report_events_list(struct cluster *cluster, const char *ns, const char *kind, const char *name,
                        struct report_events *events);

/* A title, when there are rows below it. */
void report_title(const struct cli *cli, const char *title);
void report_print_events(const struct cli *cli, const cJSON *events);
void report_print_denials(const struct cli *cli, const cJSON *denials, size_t max);
/* "  Key:  value" lines; nothing for an empty value. */
void report_print_field(const struct cli *cli, const char *key, const char *value);
/* What could not be read. */
void report_print_gaps(const struct cli *cli, const cJSON *gaps);
