#include "services/sync/delta.h"

#include "proto/io/clock.h"
#include "services/sync/delta_store.h"

#include <inttypes.h>
#include <stdio.h>

static const struct bytes validator_key = {.data = "validator", .size = 9};

// What is remembered, or NULL: one that cannot be read is as good as none, as the next fetch takes everything
// then.
static enum err read_validator(struct store_txn *txn, Sb__StoredValidator **ret)
{
    struct bytes value;
    const enum err err = store_get(txn, TABLE_META, validator_key, &value);
    *ret = err == ERR_OK ? sb__stored_validator__unpack(NULL, value.size, value.data) : NULL;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err delta_validator(struct delta *self, struct validator *ret, struct fault *fault)
{
    struct store_txn *txn = NULL;
    Sb__StoredValidator *stored = NULL;
    enum err err = store_read(self->store, &txn, fault);
    if (err != ERR_OK)
        return err;
    err = read_validator(txn, &stored);
    store_end(&txn);
    if (err != ERR_OK)
        return fault_set(fault, err, "%s: %s", self->job->data, err_text(err));
    struct validator validator = {.full_ms = 0};
    if (stored != NULL) {
        (void)snprintf(validator.etag, sizeof validator.etag, "%s", stored->etag);
        (void)snprintf(validator.last_modified, sizeof validator.last_modified, "%s", stored->last_modified);
        validator.asked = stored->asked;
        validator.full_ms = stored->full_ms;
        sb__stored_validator__free_unpacked(stored, NULL);
    }
    *ret = validator;
    return ERR_OK;
}

enum err delta_put_validator(struct store_txn *txn, const struct validator *validator,
                             const Sb__Result *result)
{
    struct validator copy = *validator; // the message wants text that it could change
    Sb__StoredValidator stored = SB__STORED_VALIDATOR__INIT;
    stored.full_ms = copy.full_ms;
    if (result->withheld == 0) {
        stored.etag = copy.etag;
        stored.last_modified = copy.last_modified;
        stored.asked = copy.asked;
    }
    stored.seen = result->seen;
    stored.records = result->created + result->changed + result->unchanged;
    stored.rejected = result->rejected;
    return delta_put_message(txn, TABLE_META, validator_key, &stored.base);
}

// A result that says that nothing has changed.
struct kept {
    const struct delta *self;    // whose
    const struct delta_run *run; // that found nothing new
    Sb__Result *result;          // of it
};

static enum err put_kept(struct store_txn *txn, void *arg, struct fault *fault)
{
    const struct kept *kept = arg;
    Sb__StoredEntity *entity = NULL;
    Sb__StoredValidator *stored = NULL;
    enum err err = delta_read_entity(txn, &entity, fault);
    if (err == ERR_OK)
        err = read_validator(txn, &stored);
    if (err != ERR_OK)
        goto end;
    if (kept->run->token > entity->token)
        entity->token = kept->run->token;
    if (stored != NULL) { // the same export once more, as if it had been read
        kept->result->seen = stored->seen;
        kept->result->unchanged = stored->records;
        kept->result->rejected = stored->rejected;
    }
    kept->result->last_seq = entity->last_seq;
    err = delta_put_result(txn, kept->self, kept->run, kept->result, entity);
    if (err == ERR_OK)
        err = delta_put_entity(txn, entity);
end:
    if (stored != NULL)
        sb__stored_validator__free_unpacked(stored, NULL);
    if (entity != NULL)
        sb__stored_entity__free_unpacked(entity, NULL);
    return err;
}

enum err delta_keep(struct delta *self, const struct delta_run *run, Sb__Result *ret, struct fault *fault)
{
    Sb__Result result = SB__RESULT__INIT;
    struct kept kept = {.self = self, .run = run, .result = &result};
    result.ok = true;
    result.not_modified = true;
    result.started_ms = run->started_ms;
    result.ended_ms = clock_wall_ms();
    result.fetch_ms = run->fetch_ms;
    result.yields = run->yields;
    result.feed = self->feed;
    enum err err = delta_write(self, put_kept, &kept, fault);
    if (err == ERR_OK)
        *ret = result;
    return err;
}
