// Any bytes are a configuration or an error, never a crash.
#include "proto/io/config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_line(void *arg, const char *line)
{
    size_t *lines = arg;
    (*lines)++;
    assert(strlen(line) < 1024);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct fault fault = {0};
    size_t lines = 0;
    enum err err = config_parse((const char *)data, size, "fuzz.yaml", 1, take_line, &lines, &config, &fault);
    if (err == ERR_OK) {
        assert(config->job_count > 0);
        assert(config->jobs[0].data != NULL);
    } else {
        assert(config == NULL);
        assert(fault.text[0] != '\0');
        assert(err != ERR_INVALID || lines > 0);
    }
    config_destroy(&config);
    return 0;
}
