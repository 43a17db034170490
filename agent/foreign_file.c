// SPDX-License-Identifier: Apache-2.0
#include "agent/foreign_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/text.h"
#include "lib/policy/blob_name.h"
#include "lib/policy/headers.h"

#define FILE_MAX (1024 * 1024)
#define FILES_MAX 4096

/* As apparmor_parser and the distributions' scripts skip them (is_blacklisted() of its source). */
static bool is_skipped(const char *file)
{
    static const char *const endings[] = {
        ".dpkg-new", ".dpkg-old", ".dpkg-dist", ".dpkg-bak", ".dpkg-remove", ".pacsave",
        ".pacnew",   ".rpmnew",   ".rpmsave",   ".orig",     ".rej",         "~",
    };

    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (text_ends_with(file, endings[i]))
            return true;
    return file[0] == '.' || strcmp(file, "README") == 0 || blob_name_reserved(file);
}

/* By a file or link of its name, wherever that leads. */
static bool is_disabled(int dir, const char *file)
{
    _cleanup_free_ char *path = xasprintf("disable/%s", file);
    struct stat st;

    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_plain(int dir, const char *file)
{
    struct stat st;

    return fstatat(dir, file, &st, 0) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX;
}

struct search {
    const char *text;
    const struct strv *names;
    bool found;
};

static int look_at_header(void *userdata, const struct policy_header *header,
                          _unused_ struct error *err)
{
    struct search *search = userdata;
    _cleanup_free_ char *name = NULL;

    if (!header->top)
        return 0;
    name = policy_header_word(search->text, header->at.name);
    search->found = search->found || strv_contains(search->names, name);
    return 0;
}

/* Most files need not be understood to see that they do not. */
static bool mentions(const char *text, const struct strv *names)
{
    for (size_t i = 0; i < names->len; i++)
        if (strstr(text, names->items[i]))
            return true;
    return false;
}

static bool declares(int dir, const char *file, const struct strv *names)
{
    _cleanup_buf_ struct buf text = BUF_INIT(FILE_MAX);
    struct search search = {.names = names};

    if (!is_plain(dir, file) || fs_read(dir, file, &text, NULL) < 0)
        return false;
    search.text = buf_string(&text);
    if (!mentions(search.text, names))
        return false;
    (void) !policy_headers_each(search.text, text.len, look_at_header, &search, NULL);
    return search.found;
}

char *foreign_file_of(const char *folder, const struct strv *names)
{
    const struct dirent *entry;
    char *first = NULL;
    unsigned count = 0;
    DIR *dir = opendir(folder);

    if (!dir)
        return NULL;
    while (count < FILES_MAX && (entry = readdir(dir))) {
        if (is_skipped(entry->d_name))
            continue;
        count++;
        if ((first && strcmp(entry->d_name, first) > 0) ||
            !declares(dirfd(dir), entry->d_name, names) || is_disabled(dirfd(dir), entry->d_name))
            continue;
        free(first);
        first = xstrdup(entry->d_name);
    }
    closedir(dir);
    return first;
}
