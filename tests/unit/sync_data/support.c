#include "tests/unit/sync_data/support.h"

#include "proto/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    (void)fprintf(stderr, "the set-up failed: %s\n", what);
    abort();
}

static struct config *config_in(const char *fields, const char *folder)
{
    char text[4096];
    struct config *config = NULL;
    struct fault fault = {.err = ERR_OK};
    (void)snprintf(text, sizeof text, "resources: {erp: {}}\njobs: {things: {every: 30m, data: %s, %s}}\n",
                   folder, fields);
    if (config_parse(text, strlen(text), "test.yaml", 1, NULL, NULL, &config, &fault) != ERR_OK)
        need(false, fault.text);
    return config;
}

struct config *support_config(const char *fields)
{
    return config_in(fields, "/nowhere");
}

// ---------------------------------------------------------------- decoding

static enum err tell_row(void *arg, const struct row *row, struct fault *fault)
{
    struct buffer *told = arg;
    enum err err = buffer_print(told, "%llu%s", (unsigned long long)row->line, row->why == NULL ? ":" : "! ");
    if (err == ERR_OK && row->why != NULL)
        err = buffer_print(told, "%s", row->why);
    for (size_t i = 0; i < row->count && err == ERR_OK; i++) {
        const struct field *field = &row->fields[i];
        err = buffer_print(told, " %.*s=%.*s%s", (int)field->name_size, field->name, (int)field->value_size,
                           field->value, field->raw ? "#" : "");
    }
    if (err == ERR_OK)
        err = buffer_add_byte(told, '\n');
    return err == ERR_OK ? err : fault_set(fault, err, "the transcript: %s", err_text(err));
}

char *support_decode(const struct config_job *job, const char *text, size_t size, size_t part)
{
    struct buffer told;
    struct fault fault = {.err = ERR_OK};
    struct decode *decode = NULL;
    buffer_init(&told, 64 << 20);
    const struct decode_sink sink = {.take = tell_row, .arg = &told};
    enum err err = decode_new(job, &sink, &decode, &fault);
    for (size_t at = 0; at < size && err == ERR_OK; at += part)
        err = decode_feed(decode, text + at, size - at < part ? size - at : part, &fault);
    if (err == ERR_OK)
        err = decode_end(decode, &fault);
    decode_destroy(&decode);
    if (err != ERR_OK)
        need(buffer_print(&told, "= %s\n", fault.text) == ERR_OK, "transcript");
    need(buffer_add_byte(&told, '\0') == ERR_OK, "transcript");
    return told.data;
}

char *support_behind_blanks(const char *text, size_t size, size_t *ret_size)
{
    enum { BLANKS = 300 };
    const size_t mark = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    char *all = malloc(BLANKS + size + 1);
    need(all != NULL, "memory");
    memcpy(all, text, mark);
    memset(all + mark, ' ', BLANKS);
    memcpy(all + mark + BLANKS, text + mark, size - mark);
    all[BLANKS + size] = '\0';
    *ret_size = BLANKS + size;
    return all;
}

// ---------------------------------------------------------------- stores

static void open_store(struct support_store *self)
{
    struct fault fault = {.err = ERR_OK};
    if (delta_open(self->job, &self->delta, &fault) != ERR_OK)
        need(false, fault.text);
}

void support_open(struct support_store *self, const char *fields)
{
    *self = (struct support_store){.folder = "/tmp/syncbus-delta-XXXXXX"};
    need(mkdtemp(self->folder) != NULL, "directory");
    self->config = config_in(fields, self->folder);
    self->job = &self->config->jobs[0];
    open_store(self);
}

void support_reopen(struct support_store *self)
{
    delta_close(&self->delta);
    open_store(self);
}

void support_close(struct support_store *self)
{
    delta_close(&self->delta);
    DIR *folder = opendir(self->folder);
    need(folder != NULL, "directory");
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", self->folder, entry->d_name);
        if (entry->d_name[0] != '.')
            need(unlink(path) == 0, path);
    }
    (void)closedir(folder);
    need(rmdir(self->folder) == 0, self->folder);
    config_destroy(&self->config);
}

enum err support_apply(struct support_store *self, const char *text, uint64_t token)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/spool", self->folder);
    FILE *file = fopen(path, "wb");
    need(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "spool");
    const struct delta_run run = {.run = ++self->run, .attempt = 1, .token = token, .started_ms = 1};
    const atomic_bool cancel = false;
    self->fault = (struct fault){.err = ERR_OK};
    return delta_apply(self->delta, path, &run, &cancel, &self->result, &self->fault);
}

const char *support_counts(const struct support_store *self)
{
    static char text[640];
    const Sb__Result *result = &self->result;
    if (result->ok)
        (void)snprintf(
            text, sizeof text,
            "created %llu changed %llu unchanged %llu deleted %llu rejected %llu withheld %llu seq %llu",
            (unsigned long long)result->created, (unsigned long long)result->changed,
            (unsigned long long)result->unchanged, (unsigned long long)result->deleted,
            (unsigned long long)result->rejected, (unsigned long long)result->withheld,
            (unsigned long long)result->last_seq);
    else
        (void)snprintf(text, sizeof text, "failed: %s", self->fault.text);
    return text;
}

const char *support_call(struct support_store *self, const char *method, const ProtobufCMessage *query,
                         const ProtobufCMessageDescriptor *answer)
{
    static char text[TEXT_MAX];
    uint8_t body[1024];
    struct buffer ret;
    struct buffer json;
    struct fault fault = {.err = ERR_OK};
    need(protobuf_c_message_get_packed_size(query) <= sizeof body, "query");
    buffer_init(&ret, 4 << 20);
    buffer_init(&json, TEXT_MAX - 1);
    const size_t size = protobuf_c_message_pack(query, body);
    if (feed_call(self->delta, method, body, size, &ret, &fault) != ERR_OK) {
        (void)snprintf(text, sizeof text, "failed: %s", fault.text);
    } else {
        ProtobufCMessage *message =
            protobuf_c_message_unpack(answer, NULL, ret.size, ret.size == 0 ? body : (uint8_t *)ret.data);
        need(message != NULL && json_message(message, &json) == ERR_OK, "answer");
        (void)snprintf(text, sizeof text, "%.*s", (int)json.size, json.data);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    buffer_free(&ret);
    buffer_free(&json);
    return text;
}
