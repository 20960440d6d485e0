#include "proto/wire.h"

#include "proto/base/utf8.h"
#include "proto/wire_scan.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNPACKED_MAX = 8 * 1024 * 1024, // bytes that one message from outside may take in memory
};

// ---------------------------------------------------------------- memory

// Memory for one message: many empty items in a small frame would otherwise take a hundred times its size.
struct budget {
    size_t left; // bytes that may still be taken
};

static void *budget_take(void *data, size_t size)
{
    struct budget *budget = data;
    if (size > budget->left)
        return NULL;
    budget->left -= size;
    return malloc(size);
}

static void budget_give(void *data, void *memory)
{
    (void)data;
    free(memory);
}

// ---------------------------------------------------------------- checks

// What a checked message must keep to.
struct rules {
    bool names;      // strings are names and lines for people, of limited length
    size_t list_max; // items of a list
};

// Fields that hold a line for people or another's key; every other string is a name.
static bool is_text(const char *field)
{
    static const char *const texts[] = {"text", "error", "reason", "detail", "why",
                                        "what", "key",   "erp_id", "note",   "after"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(field, texts[i]) == 0)
            return true;
    }
    return false;
}

// Fields in which a service says what its ERP said; whoever shows them takes care. All others were given by
// somebody who can be told that a control character is none of a name or a reason.
static bool is_foreign(const char *field)
{
    static const char *const foreign[] = {"text", "error", "why", "what", "erp_id"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (strcmp(field, foreign[i]) == 0)
            return true;
    }
    return false;
}

static enum err check_string(const ProtobufCFieldDescriptor *field, const char *text,
                             const struct rules *rules, struct fault *fault)
{
    const size_t size = strlen(text);
    const size_t max = !rules->names          ? (size_t)WIRE_BODY_MAX
                       : is_text(field->name) ? WIRE_TEXT_MAX
                                              : WIRE_NAME_MAX;
    if (size > max)
        return fault_set(fault, ERR_INVALID, "field %s has %zu bytes; at most %zu are allowed", field->name,
                         size, max);
    if (size > 0 && !utf8_valid(text, size))
        return fault_set(fault, ERR_INVALID, "field %s is not UTF-8", field->name);
    if (rules->names && !is_foreign(field->name) && !utf8_plain(text, size))
        return fault_set(fault, ERR_INVALID,
                         "field %s holds a control character or one that turns the direction of writing",
                         field->name);
    return ERR_OK;
}

static enum err check_bytes(const ProtobufCFieldDescriptor *field, const ProtobufCBinaryData *data,
                            struct fault *fault)
{
    if (data->len > WIRE_BODY_MAX)
        return fault_set(fault, ERR_INVALID, "field %s has %zu bytes; at most %d are allowed", field->name,
                         data->len, WIRE_BODY_MAX);
    return ERR_OK;
}

// The messages still to be walked: a field of one of them at a time.
struct place {
    const ProtobufCMessage *message; // under way
    unsigned field;                  // the next one
    size_t item;                     // the next one of a list in that field
};

struct walk {
    struct place places[WIRE_DEPTH_MAX]; // from the outermost message inwards
    size_t depth;                        // of them that are in use
};

static const void *member(const ProtobufCMessage *message, size_t offset)
{
    return (const char *)message + offset;
}

// How many items a field has: 0 or 1, or those of a list.
static size_t item_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return *(const size_t *)member(message, field->quantifier_offset);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        return *(const uint32_t *)member(message, field->quantifier_offset) == field->id ? 1 : 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(const void *const *)member(message, field->offset) != NULL ? 1 : 0;
    return 1;
}

// The place of one item; only strings, bytes and messages are asked for.
static const void *item_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                           size_t item)
{
    const void *place = member(message, field->offset);
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return place;
    // The schema has lists of strings and of messages only.
    assert(field->type != PROTOBUF_C_TYPE_BYTES);
    return *(const char *const *)place + item * sizeof(void *);
}

// Fields of a later version are kept and passed on. No version can have a field 0: protobuf-c takes one that
// is written in two bytes, and then packs what nobody can read.
static enum err check_unknown(const ProtobufCMessage *message, struct fault *fault)
{
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        if (message->unknown_fields[i].tag == 0)
            return fault_set(fault, ERR_INVALID, "a field of %s has the number 0",
                             message->descriptor->short_name);
    }
    return ERR_OK;
}

// Checks the next item of the innermost message, or goes into it, or leaves the message.
static enum err check_next(struct walk *walk, const struct rules *rules, struct fault *fault)
{
    struct place *place = &walk->places[walk->depth - 1];
    if (place->field == place->message->descriptor->n_fields) {
        walk->depth--;
        return check_unknown(place->message, fault);
    }
    const ProtobufCFieldDescriptor *field = &place->message->descriptor->fields[place->field];
    const size_t count = item_count(place->message, field);
    const bool walked = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
                        field->type == PROTOBUF_C_TYPE_MESSAGE;
    if (count > rules->list_max)
        return fault_set(fault, ERR_INVALID, "field %s has %zu items; at most %zu are allowed", field->name,
                         count, rules->list_max);
    if (!walked || place->item == count) {
        place->field++;
        place->item = 0;
        return ERR_OK;
    }
    const void *item = item_at(place->message, field, place->item++);
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return check_string(field, *(const char *const *)item, rules, fault);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return check_bytes(field, item, fault);
    assert(walk->depth < WIRE_DEPTH_MAX);
    walk->places[walk->depth++] = (struct place){.message = *(const ProtobufCMessage *const *)item};
    return ERR_OK;
}

static enum err check_message(const ProtobufCMessage *message, const struct rules *rules, struct fault *fault)
{
    struct walk walk = {.places[0] = {.message = message}, .depth = 1};
    enum err err = ERR_OK;
    while (err == ERR_OK && walk.depth > 0)
        err = check_next(&walk, rules, fault);
    return err;
}

// ---------------------------------------------------------------- bytes to messages

static enum err unpack(const ProtobufCMessageDescriptor *type, const struct rules *rules, const void *data,
                       size_t size, void *ret, struct fault *fault)
{
    enum err err = wire_scan(type, data, size, fault);
    if (err != ERR_OK)
        return err;
    struct budget budget = {.left = UNPACKED_MAX};
    ProtobufCAllocator memory = {.alloc = budget_take, .free = budget_give, .allocator_data = &budget};
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &memory, size, data);
    if (message == NULL)
        return fault_set(fault, ERR_INVALID, "%zu bytes are not a message of type %s", size,
                         type->short_name);
    err = check_message(message, rules, fault);
    if (err != ERR_OK) {
        protobuf_c_message_free_unpacked(message, NULL);
        return err;
    }
    *(ProtobufCMessage **)ret = message;
    return ERR_OK;
}

enum err wire_request(const void *data, size_t size, Sb__Request **ret, struct fault *fault)
{
    static const struct rules rules = {.names = true, .list_max = WIRE_LIST_MAX};
    Sb__Request *request = NULL;
    enum err err = unpack(&sb__request__descriptor, &rules, data, size, &request, fault);
    if (err != ERR_OK)
        return err;
    if (request->body_case == SB__REQUEST__BODY__NOT_SET) {
        sb__request__free_unpacked(request, NULL);
        return fault_set(fault, ERR_INVALID, "a request says what it wants in one of the fields of its body");
    }
    *ret = request;
    return ERR_OK;
}

uint64_t wire_request_id(const void *data, size_t size)
{
    struct budget budget = {.left = UNPACKED_MAX};
    ProtobufCAllocator memory = {.alloc = budget_take, .free = budget_give, .allocator_data = &budget};
    Sb__Request *request = sb__request__unpack(&memory, size, data);
    const uint64_t id = request != NULL ? request->id : 0;
    sb__request__free_unpacked(request, NULL);
    return id;
}

enum err wire_reply(const void *data, size_t size, Sb__Reply **ret, struct fault *fault)
{
    static const struct rules rules = {.names = false, .list_max = SIZE_MAX};
    return unpack(&sb__reply__descriptor, &rules, data, size, ret, fault);
}

enum err wire_event(const void *data, size_t size, Sb__Event **ret, struct fault *fault)
{
    static const struct rules rules = {.names = false, .list_max = SIZE_MAX};
    return unpack(&sb__event__descriptor, &rules, data, size, ret, fault);
}

enum err wire_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                     ProtobufCMessage **ret, struct fault *fault)
{
    static const struct rules rules = {.names = false, .list_max = SIZE_MAX};
    return unpack(type, &rules, data, size, ret, fault);
}

// ---------------------------------------------------------------- messages to bytes

enum err wire_pack(const ProtobufCMessage *message, struct buffer *ret)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    char *place = NULL;
    enum err err = buffer_reserve(ret, size, &place);
    if (err != ERR_OK)
        return err;
    ret->size += protobuf_c_message_pack(message, (uint8_t *)place);
    return ERR_OK;
}
