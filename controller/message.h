// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>

#include "controller/holders.h"
#include "controller/tally.h"
#include "lib/base/buf.h"

/* The sentences of conditions: what is the matter, where, and of how many. */

#define MESSAGE_MAX 4096

/* The first `max` keys by name; the caller frees the array, the strings stay the map's.
 * `*ret_count`: how many. O(size). */
const char **message_first_nodes(const struct map *nodes, size_t max, size_t *ret_count);

/* "2 of 3 nodes loaded" */
void message_add_loaded(struct buf *out, const struct tally *tally);
/* "; node-7: line 12: syntax error; node-8 and 2 others: …", like failures together. */
void message_add_failures(struct buf *out, const struct tally *tally);
/* "; waiting for node-8, node-9 and 3 others" */
void message_add_waiting(struct buf *out, const struct tally *tally);
/* "; 1 node without AppArmor is not counted" */
void message_add_disabled(struct buf *out, const struct tally *tally);
void message_add_lost(struct buf *out, const struct tally *tally);
/* Why nobody is selected. */
void message_add_none(struct buf *out, const struct tally *tally);
/*
 * "; in use on 2 nodes: node-1: pod default/app names it; node-7: …; delete these, or annotate with
 * …". `held_by`: another finalizer, or NULL.
 */
void message_add_holders(struct buf *out, const struct holders *holders, const char *held_by);
/* "; node-1 and 2 others still have it" of those that are not waited for any more, or nothing. */
void message_add_left(struct buf *out, const struct holders *holders);
