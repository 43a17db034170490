// SPDX-License-Identifier: Apache-2.0
#include "agent/cgroup.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/cleanup.h"

#define ID_DIGITS (CGROUP_CONTAINER_SIZE - 1)
#define UID_LENGTH (CGROUP_POD_SIZE - 1)
#define HASH_DIGITS 32

/* A part of the text. */
struct piece {
    const char *at;
    size_t len;
};

static struct piece piece_from(struct piece piece, size_t skip)
{
    return (struct piece){piece.at + skip, piece.len - skip};
}

/* Cuts off what `piece` ends in, if it does. */
static bool cut_end(struct piece *piece, const char *end)
{
    size_t len = strlen(end);

    if (piece->len < len || memcmp(piece->at + piece->len - len, end, len) != 0)
        return false;
    piece->len -= len;
    return true;
}

static bool cut_start(struct piece *piece, const char *start)
{
    size_t len = strlen(start);

    if (piece->len < len || memcmp(piece->at, start, len) != 0)
        return false;
    *piece = piece_from(*piece, len);
    return true;
}

/* Takes the part up to `separator` off; false when nothing is left. */
static bool next_piece(struct piece *rest, char separator, struct piece *ret)
{
    if (!rest->at)
        return false;
    const char *end = memchr(rest->at, separator, rest->len);

    *ret = (struct piece){rest->at, end ? (size_t) (end - rest->at) : rest->len};
    *rest = end ? piece_from(*rest, ret->len + 1) : (struct piece){0};
    return true;
}

static bool is_digits(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

/* --- the pod --- */

/* 8-4-4-4-12 digits, or 32. systemd takes a hyphen for the separator of levels: there it is "_". */
static bool parse_uid(struct piece text, char ret[static CGROUP_POD_SIZE])
{
    static const struct {
        size_t start, len;
    } groups[] = {{0, 8}, {9, 4}, {14, 4}, {19, 4}, {24, 12}};

    if (text.len == HASH_DIGITS && is_digits(text.at, text.len)) {
        memcpy(ret, text.at, text.len);
        ret[text.len] = '\0';
        return true;
    }
    if (text.len != UID_LENGTH || (text.at[8] != '-' && text.at[8] != '_'))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
        if (!is_digits(text.at + groups[i].start, groups[i].len) ||
            (i > 0 && text.at[groups[i].start - 1] != text.at[8]))
            return false;
    memcpy(ret, text.at, text.len);
    ret[text.len] = '\0';
    for (size_t i = 1; i < ARRAY_SIZE(groups); i++)
        ret[groups[i].start - 1] = '-';
    return true;
}

/* "kubepods-burstable-pod<uid>" */
static bool parse_slice(struct piece name, char ret[static CGROUP_POD_SIZE])
{
    static const size_t lengths[] = {UID_LENGTH, HASH_DIGITS};

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct piece before = name;

        if (name.len < lengths[i])
            continue;
        before.len -= lengths[i];
        if (cut_end(&before, "-pod") && parse_uid(piece_from(name, name.len - lengths[i]), ret))
            return true;
    }
    return false;
}

static bool parse_pod(struct piece name, char ret[static CGROUP_POD_SIZE])
{
    if (cut_end(&name, ".slice"))
        return parse_slice(name, ret);
    return cut_start(&name, "pod") && parse_uid(name, ret);
}

/* --- the container --- */

static bool parse_container(struct piece name, char ret[static CGROUP_CONTAINER_SIZE])
{
    static const char *const runtimes[] = {"cri-containerd-", "crio-", "docker-"};

    (void) cut_end(&name, ".scope");
    for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++)
        if (cut_start(&name, runtimes[i]))
            break;
    if (name.len != ID_DIGITS || !is_digits(name.at, name.len))
        return false;
    memcpy(ret, name.at, name.len);
    ret[name.len] = '\0';
    return true;
}

/* containerd's cgroupfs names under a kubelet that uses systemd: "<slice>:cri-containerd:<id>". */
static bool parse_both(struct piece name, struct cgroup_place *ret)
{
    struct piece slice, runtime, id;

    return next_piece(&name, ':', &slice) && next_piece(&name, ':', &runtime) &&
           next_piece(&name, ':', &id) && !name.at && cut_start(&runtime, "cri-containerd") &&
           runtime.len == 0 && parse_pod(slice, ret->pod) && parse_container(id, ret->container);
}

/* --- all --- */

/* The outermost pod: what is below a container is the container's own choice. */
static bool parse_path(struct piece path, struct cgroup_place *ret)
{
    struct piece name;

    /* Of a process that has ended, whose container has gone; cgroups(7). */
    (void) cut_end(&path, " (deleted)");
    while (next_piece(&path, '/', &name)) {
        if (parse_both(name, ret))
            return true;
        if (parse_pod(name, ret->pod))
            return next_piece(&path, '/', &name) && parse_container(name, ret->container);
    }
    return false;
}

bool cgroup_parse(const char *text, struct cgroup_place *ret)
{
    struct piece rest = {text, strlen(text)}, line, field;
    struct cgroup_place place;

    while (next_piece(&rest, '\n', &line)) {
        /* hierarchy:controllers:path, which may hold colons */
        if (!next_piece(&line, ':', &field) || !next_piece(&line, ':', &field) || !line.at)
            continue;
        if (parse_path(line, &place)) {
            *ret = place;
            return true;
        }
    }
    return false;
}
