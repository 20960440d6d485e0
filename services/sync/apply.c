#include "services/sync/apply.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

// How much the thread gives way to the loops of this host: an order in flight matters more than a record.
enum { APPLY_NICENESS = 10 };

struct apply {
    pthread_t thread;     // decodes, compares, commits
    struct delta *store;  // the caller's
    const char *spool;    // the caller's
    struct delta_run run; // what it applies
    CURLM *wake;          // the loop to wake at the end
    atomic_bool cancel;   // end early
    atomic_bool done;     // set last: everything below is then the loop's
    enum err err;         // the store failed, or it was cancelled
    bool ok;              // the run succeeded
    struct fault fault;   // why not
};

static void *apply_main(void *arg)
{
    struct apply *self = arg;
    Sb__Result result = SB__RESULT__INIT;
    // For this thread alone; where it is not allowed the thread runs as it is.
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), APPLY_NICENESS);
    self->err = delta_apply(self->store, self->spool, &self->run, &self->cancel, &result, &self->fault);
    self->ok = result.ok;
    atomic_store(&self->done, true);
    curl_multi_wakeup(self->wake);
    return NULL;
}

enum err apply_start(struct delta *store, const char *spool, const struct delta_run *run, CURLM *wake,
                     struct apply **ret, struct fault *fault)
{
    assert(store != NULL);
    assert(wake != NULL);
    struct apply *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct apply){.store = store, .spool = spool, .run = *run, .wake = wake};
    if (pthread_create(&self->thread, NULL, apply_main, self) != 0) {
        free(self);
        return fault_set(fault, ERR_NO_MEMORY, "no thread to apply the export in");
    }
    *ret = self;
    return ERR_OK;
}

void apply_cancel(struct apply *self)
{
    atomic_store(&self->cancel, true);
}

bool apply_is_done(const struct apply *self)
{
    return atomic_load(&self->done);
}

enum err apply_end(struct apply **self_p, bool *ret_ok, struct fault *fault)
{
    struct apply *self = *self_p;
    assert(self != NULL);
    pthread_join(self->thread, NULL);
    enum err err = self->err;
    *ret_ok = self->ok;
    if (fault != NULL && self->fault.err != ERR_OK)
        *fault = self->fault;
    free(self);
    *self_p = NULL;
    return err;
}
