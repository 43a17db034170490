// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/yaml_print.h"

void output_yaml(FILE *stream, const cJSON *json)
{
    _cleanup_buf_ struct buf text = BUF_INIT(SIZE_MAX / 2);

    yaml_print(json, &text);
    fwrite(buf_string(&text), 1, text.len, stream);
}

static void output_json(FILE *stream, const cJSON *json)
{
    char *text = cJSON_Print(json);

    if (!text)
        abort();
    fprintf(stream, "%s\n", text);
    free(text);
}

bool output_print(const struct cli *cli, const cJSON *result)
{
    if (cli->output == CLI_JSON)
        output_json(cli->out, result);
    else if (cli->output == CLI_YAML)
        output_yaml(cli->out, result);
    else
        return false;
    return true;
}
