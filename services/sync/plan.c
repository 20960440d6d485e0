#include "services/sync/plan.h"

#include <string.h>
#include <strings.h>
#include <xxhash.h>

enum { JOB_TEXT_MAX = 4 << 20 };

static enum err hash_question(const struct config_job *job, const char *url, uint64_t *ret,
                              struct fault *fault)
{
    struct buffer text;
    buffer_init(&text, JOB_TEXT_MAX);
    enum err err = buffer_print(&text, "%s", url);
    err = err ? err : config_job_text(job, &text);
    if (err == ERR_OK)
        *ret = XXH3_64bits(text.data, text.size);
    else
        (void)fault_set(fault, err, "the options of %s: %s", job->name, err_text(err));
    buffer_free(&text);
    return err;
}

// True when so much time has passed since the last fetch of all, or when the clock was set back before it.
static bool full_is_due(const struct config_source *source, const struct validator *known, int64_t now_ms)
{
    return known->full_ms == 0 || now_ms < known->full_ms || now_ms - known->full_ms >= source->full_every_ms;
}

enum err plan_fetch(const struct config_job *job, const char *url, const struct validator *known,
                    int64_t now_ms, struct plan *ret, struct fault *fault)
{
    const struct config_source *source = &job->source;
    const bool due = full_is_due(source, known, now_ms);
    const bool whole = url == NULL && source->full_url != NULL && due; // of an export of changes
    struct plan plan = {.url = url != NULL ? url : whole ? source->full_url : source->url};
    plan.paged = source->page_parameter != NULL && strncasecmp(plan.url, "http", 4) == 0;
    plan.full = source->complete || whole;
    enum err err = hash_question(job, plan.url, &plan.asked, fault);
    if (err != ERR_OK)
        return err;
    const bool conditional = !due && !plan.paged && known->asked == plan.asked;
    plan.counts = whole || source->full_url == NULL;
    if (conditional) {
        memcpy(plan.etag, known->etag, sizeof plan.etag);
        memcpy(plan.last_modified, known->last_modified, sizeof plan.last_modified);
    }
    *ret = plan;
    return ERR_OK;
}

struct validator plan_remember(const struct plan *self, const struct validator *known, int64_t start_ms,
                               const struct answer *answer)
{
    struct validator validator = {.asked = self->asked, .full_ms = known->full_ms};
    if (self->counts)
        validator.full_ms = start_ms;
    if (answer != NULL) {
        memcpy(validator.etag, answer->etag, sizeof validator.etag);
        if (answer_dates_tell(answer))
            memcpy(validator.last_modified, answer->last_modified, sizeof validator.last_modified);
    }
    return validator;
}
