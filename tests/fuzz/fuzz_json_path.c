// Any bytes are a path or an error; what is read of one lies inside it, and names its parents.
#include "proto/base/json_path.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_path path;
    struct json_parent parent;
    struct fault fault = {.err = ERR_OK};
    char *text = malloc(size + 1);
    assert(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (json_path_parse(text, &path, &fault) == ERR_OK) {
        size_t parents = 0;
        assert(path.count <= JSON_PATH_STEPS_MAX);
        for (size_t i = 0; i < path.count; i++) {
            const char *name = json_path_name(&path, i);
            assert(name == NULL || (name[0] != '\0' && strstr(text, name) != NULL));
            parents += i > 0 && name != NULL && json_path_name(&path, i - 1) == NULL;
        }
        assert(parents == path.parents);
        // The path's own text as a parent's field: read, or refused in words.
        if (json_parent_parse(&path, text, &parent, &fault) == ERR_OK)
            assert(parent.parent < path.parents && parent.name[0] != '\0');
        else
            assert(fault.text[0] != '\0');
    } else {
        assert(fault.text[0] != '\0');
    }
    free(text);
    return 0;
}
