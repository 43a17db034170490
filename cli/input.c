// SPDX-License-Identifier: Apache-2.0
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "cli/values.h"
#include "lib/base/alloc.h"
#include "lib/base/fs.h"
#include "lib/base/text.h"
#include "lib/base/yaml.h"

/* Lists in lists; nobody writes them. */
#define DEPTH_MAX 8

/* A line of YAML that begins an object, or JSON; no policy has either. */
static bool looks_like_manifest(const char *text)
{
    static const char *const begins[] = {"apiVersion:", "\"apiVersion\":", "- apiVersion:"};

    text += strspn(text, " \t\r\n");
    if (*text == '{')
        return true;
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
            if (strncmp(text, begins[i], strlen(begins[i])) == 0)
                return true;
    return false;
}

static bool is_manifest(const char *name, const char *text)
{
    return text_ends_with(name, ".yaml") || text_ends_with(name, ".yml") ||
           text_ends_with(name, ".json") || looks_like_manifest(text);
}

int input_parse(const char *name, struct buf *text, struct input *ret, struct error *err)
{
    _cleanup_input_ struct input input = {.name = xstrdup(name), .text = *text};

    *text = BUF_INIT(text->max);
    if (memchr(buf_string(&input.text), '\0', input.text.len))
        return error_set(err, -EINVAL, "it holds a NUL byte, so that it is no text");
    input.yaml = is_manifest(name, buf_string(&input.text));
    if (input.yaml) {
        int r = yaml_parse(buf_string(&input.text), input.text.len, &input.documents, err);
        if (r < 0)
            return r;
    }
    *ret = input;
    input = (struct input){0};
    return 0;
}

int input_read(const char *path, struct input *ret, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(INPUT_SIZE_MAX);
    bool standard = strcmp(path, "-") == 0;
    int r = standard ? fs_read_fd(STDIN_FILENO, "standard input", &text, err)
                     : fs_read(AT_FDCWD, path, &text, err);

    if (r == -EFBIG)
        return error_set(err, r, "%s is larger than %d MiB", path, INPUT_SIZE_MAX >> 20);
    return r < 0 ? r : input_parse(standard ? "<stdin>" : path, &text, ret, err);
}

void input_done(struct input *input)
{
    free(input->name);
    buf_done(&input->text);
    json_free(input->documents);
}

/* --- objects -------------------------------------------------------------------------------- */

typedef void (*object_fn)(void *userdata, const struct input_object *object);

static void enter(const struct input_object *object, unsigned depth, object_fn fn, void *userdata)
{
    const cJSON *items = json_get(object->json, "items"), *item;
    bool list = cJSON_IsArray(items) && text_ends_with(value_text(object->json, "kind"), "List");
    size_t i = 0;

    if (!cJSON_IsObject(object->json))
        return;
    if (!list || depth == DEPTH_MAX) {
        fn(userdata, object);
        return;
    }
    cJSON_ArrayForEach(item, items)
    {
        struct input_object inner = {.input = object->input,
                                     .json = item,
                                     .document = object->document};

        strv_copy(&inner.path, &object->path);
        strv_add(&inner.path, "items");
        strv_take(&inner.path, xasprintf("[%zu]", i++));
        enter(&inner, depth + 1, fn, userdata);
        strv_done(&inner.path);
    }
}

void input_each(const struct input *input, object_fn fn, void *userdata)
{
    const cJSON *document;
    size_t i = 0;

    cJSON_ArrayForEach(document, input->documents)
    {
        const struct input_object object = {.input = input, .json = document, .document = i++};

        enter(&object, 0, fn, userdata);
    }
}

bool input_is(const struct input_object *object, const char *group, const char *kind)
{
    const char *version = value_text(object->json, "apiVersion");
    size_t len = strlen(group);

    if (strcmp(value_text(object->json, "kind"), kind) != 0)
        return false;
    return len == 0 ? !strchr(version, '/')
                    : strncmp(version, group, len) == 0 && version[len] == '/';
}
