#include "services/sync/download.h"

#include "services/sync/decode_pages.h"
#include "services/sync/pages.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// More pages are an ERP that never ends: at this many, its pages are too small.
enum { PAGES_MAX = 1000000 };

struct download {
    const struct config_job *job; // the caller's
    struct fetch *fetch;          // the transfer in hand; owned
    struct plan plan;             // of this download
    struct pages pages;           // where it stands, if it comes in pages
    uint64_t *ends;               // where each page that came ends in the spool; owned
    size_t count;                 // of them
    size_t room;                  // for so many
    uint64_t extra;               // bytes that came only to be compared
    int64_t spent_ms;             // in transfers that have ended
    int64_t start_ms;             // of the transfer under way
    bool aimed;                   // the fetch is on the page in hand
    bool unchanged;               // it ended, as nothing has changed
    XXH3_state_t *hash;           // of a page's rows; owned
    struct buffer scratch;        // a row in its canonical form
};

enum err download_new(const struct config_job *job, const char *spool, CURLM *multi, struct download **ret,
                      struct fault *fault)
{
    struct download *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    self->job = job;
    buffer_init(&self->scratch, 4 * (size_t)RECORD_SIZE_MAX);
    self->hash = XXH3_createState();
    enum err err = self->hash == NULL ? fault_set(fault, ERR_NO_MEMORY, "out of memory") : ERR_OK;
    if (err == ERR_OK)
        err = fetch_new(&job->source, NULL, spool, multi, &self->fetch, fault);
    if (err != ERR_OK)
        download_destroy(&self);
    else
        *ret = self;
    return err;
}

void download_guard(struct download *self, fetch_may_send_fn *may_send, void *arg)
{
    fetch_guard(self->fetch, may_send, arg);
}

void download_destroy(struct download **self_p)
{
    struct download *self = *self_p;
    if (self == NULL)
        return;
    fetch_destroy(&self->fetch);
    buffer_free(&self->scratch);
    XXH3_freeState(self->hash);
    free(self->ends);
    free(self);
    *self_p = NULL;
}

enum err download_begin(struct download *self, const struct plan *plan, struct fault *fault)
{
    self->plan = *plan;
    self->count = 0;
    self->extra = 0;
    self->spent_ms = 0;
    self->aimed = false;
    self->unchanged = false;
    if (plan->paged)
        pages_init(&self->pages, self->job->source.page_size, self->job->source.page_first, plan->full);
    // At once, so that nothing of another download is left in the spool.
    return fetch_aim(self->fetch, &(struct fetch_aim){.url = plan->url}, fault);
}

// ---------------------------------------------------------------- transfers

static uint64_t end_of_pages(const struct download *self)
{
    return self->count > 0 ? self->ends[self->count - 1] : 0;
}

// The address of the page in hand; the caller frees it with curl_free. NULL: no memory, or no URL.
static char *url_of_page(const struct download *self)
{
    const struct config_source *source = &self->job->source;
    char page[160];
    char size[160];
    char *url = NULL;
    CURLU *parts = curl_url();
    snprintf(page, sizeof page, "%s=%" PRIu64, source->page_parameter, pages_number(&self->pages));
    snprintf(size, sizeof size, "%s=%" PRIu32, source->page_size_parameter, source->page_size);
    const unsigned add = CURLU_APPENDQUERY | CURLU_URLENCODE;
    if (parts == NULL || curl_url_set(parts, CURLUPART_URL, self->plan.url, 0) != CURLUE_OK ||
        curl_url_set(parts, CURLUPART_QUERY, page, add) != CURLUE_OK ||
        curl_url_set(parts, CURLUPART_QUERY, size, add) != CURLUE_OK ||
        curl_url_get(parts, CURLUPART_URL, &url, 0) != CURLUE_OK)
        url = NULL;
    curl_url_cleanup(parts);
    return url;
}

static enum err aim(struct download *self, struct fault *fault)
{
    struct fetch_aim aim = {.url = self->plan.url,
                            .etag = self->plan.etag,
                            .last_modified = self->plan.last_modified,
                            .base = end_of_pages(self),
                            .spent_ms = self->spent_ms};
    char *url = NULL;
    if (self->plan.paged) {
        url = url_of_page(self);
        if (url == NULL)
            return fault_set(fault, ERR_INVALID, "source.url: it cannot take the parameters of a page");
        aim.url = url;
    }
    enum err err = fetch_aim(self->fetch, &aim, fault);
    curl_free(url);
    self->aimed = err == ERR_OK;
    return err;
}

enum err download_start(struct download *self, int64_t now_ms, struct fault *fault)
{
    enum err err = self->aimed ? ERR_OK : aim(self, fault);
    self->start_ms = now_ms;
    return err == ERR_OK ? fetch_start(self->fetch, now_ms, fault) : err;
}

void download_cut(struct download *self)
{
    fetch_cut(self->fetch);
}

void download_forget(struct download *self)
{
    fetch_forget(self->fetch);
}

bool download_is(const struct download *self, const CURL *easy)
{
    return fetch_is(self->fetch, easy);
}

enum err download_time(struct download *self, int64_t now_ms, struct fault *fault)
{
    return fetch_time(self->fetch, now_ms, fault);
}

int64_t download_deadline(const struct download *self)
{
    return fetch_deadline(self->fetch);
}

// ---------------------------------------------------------------- pages

// A page's rows as they are counted.
struct look {
    struct download *download;
    struct page page; // so far
};

static enum err look_at_row(void *arg, const struct row *row, struct fault *fault)
{
    struct look *look = arg;
    struct download *self = look->download;
    uint8_t hash[RECORD_HASH_SIZE];
    enum err err = ERR_OK;
    look->page.records++;
    // A bad row is compared by its bytes; one that is too large to be a record is left to the store.
    if (row->why != NULL && row->raw != NULL) {
        XXH3_128bits_update(self->hash, row->raw, row->raw_size);
        return ERR_OK;
    }
    err = record_hash(row, &self->scratch, hash);
    if (err == ERR_OK)
        XXH3_128bits_update(self->hash, hash, sizeof hash);
    return err == ERR_NO_MEMORY ? fault_set(fault, err, "out of memory") : ERR_OK;
}

static enum err look_at_page(struct download *self, struct page *ret, struct fault *fault)
{
    const atomic_bool never = false;
    const uint64_t from = end_of_pages(self);
    struct look look = {.download = self};
    const struct decode_sink sink = {.take = look_at_row, .arg = &look};
    struct fault found = {.err = ERR_OK};
    XXH3_128bits_reset(self->hash);
    enum err err = decode_part(self->job, fetch_file(self->fetch), from, from + fetch_done(self->fetch),
                               &sink, &never, &found);
    if (err != ERR_OK)
        return fault_set(fault, err, "page %" PRIu64 ": %s", pages_number(&self->pages), found.text);
    const XXH128_hash_t hash = XXH3_128bits_digest(self->hash);
    const struct answer *answer = fetch_answer(self->fetch);
    look.page.hash[0] = hash.low64;
    look.page.hash[1] = hash.high64;
    look.page.counted = answer->counted;
    look.page.total = answer->records;
    *ret = look.page;
    return ERR_OK;
}

static enum err keep_page(struct download *self, struct fault *fault)
{
    if (self->count == PAGES_MAX)
        return fault_set(fault, ERR_FULL, "more than %d pages: source.page.size is too small", PAGES_MAX);
    if (self->count == self->room) {
        const size_t room = self->room == 0 ? 64 : 2 * self->room;
        uint64_t *longer = realloc(self->ends, room * sizeof *longer);
        if (longer == NULL)
            return fault_set(fault, ERR_NO_MEMORY, "out of memory");
        self->ends = longer;
        self->room = room;
    }
    const uint64_t end = end_of_pages(self) + fetch_done(self->fetch);
    self->ends[self->count++] = end;
    return ERR_OK;
}

static enum err end_page(struct download *self, bool *ret_more, struct fault *fault)
{
    struct page page = {.records = 0};
    enum pages_step step = PAGES_DONE;
    const bool compared_only = self->pages.checking;
    enum err err = look_at_page(self, &page, fault);
    if (err == ERR_OK)
        err = pages_take(&self->pages, &page, &step, fault);
    if (err == ERR_OK && compared_only)
        self->extra += fetch_done(self->fetch);
    else if (err == ERR_OK)
        err = keep_page(self, fault);
    if (err == ERR_OK)
        *ret_more = step != PAGES_DONE;
    return err;
}

// "Not modified" for something else than was asked about is no answer: the export is asked for without
// conditions.
static enum err end_unchanged(struct download *self, bool *ret_more, struct fault *fault)
{
    const struct answer *answer = fetch_answer(self->fetch);
    const struct plan *plan = &self->plan;
    const bool same = plan->etag[0] != '\0' ? answer->etag[0] == '\0' || answer_same(answer->etag, plan->etag)
                                            : answer->last_modified[0] == '\0' ||
                                                  strcmp(answer->last_modified, plan->last_modified) == 0;
    self->unchanged = same;
    *ret_more = !same;
    if (same)
        return ERR_OK;
    self->plan.etag[0] = '\0';
    self->plan.last_modified[0] = '\0';
    return aim(self, fault);
}

enum err download_ended(struct download *self, CURLcode result, int64_t now_ms, bool *ret_more,
                        struct fault *fault)
{
    enum err err = fetch_ended(self->fetch, result, fault);
    if (err != ERR_OK)
        return err;
    self->spent_ms += now_ms - self->start_ms;
    self->aimed = false;
    if (fetch_not_modified(self->fetch))
        return end_unchanged(self, ret_more, fault);
    if (self->plan.paged)
        return end_page(self, ret_more, fault);
    *ret_more = false;
    return ERR_OK;
}

// ---------------------------------------------------------------- what came

uint64_t download_done(const struct download *self)
{
    const bool aimed = !self->plan.paged || self->aimed;
    return end_of_pages(self) + self->extra + (aimed ? fetch_done(self->fetch) : 0);
}

uint64_t download_total(const struct download *self)
{
    const uint64_t done = download_done(self);
    if (!self->plan.paged)
        return fetch_total(self->fetch);
    const uint64_t records = pages_total(&self->pages);
    if (self->pages.records == 0 || records == 0)
        return 0;
    // As many bytes a record as so far, and the first page once more.
    const double width = (double)end_of_pages(self) / (double)self->pages.records;
    const uint64_t more = self->pages.check && self->pages.count > 0 ? self->ends[0] : 0;
    const uint64_t total = (uint64_t)(width * (double)records) + more;
    return total > done ? total : done;
}

const char *download_spool(const struct download *self)
{
    return fetch_spool(self->fetch);
}

bool download_not_modified(const struct download *self)
{
    return self->unchanged;
}

const uint64_t *download_pages(const struct download *self, size_t *ret_count)
{
    *ret_count = self->count;
    return self->count > 0 ? self->ends : NULL;
}

const char *download_withheld(const struct download *self)
{
    return self->plan.paged ? self->pages.withheld : NULL;
}

struct validator download_remember(const struct download *self, const struct validator *known,
                                   int64_t start_ms)
{
    return plan_remember(&self->plan, known, start_ms, self->plan.paged ? NULL : fetch_answer(self->fetch));
}
