#include "services/sync/fetch.h"

#include "services/headers.h"
#include "services/sync/answer.h"

#include "proto/base/buffer.h"
#include "proto/base/duration.h"
#include "proto/io/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_LINE_MAX = 16 * 1024, HEADERS_SIZE_MAX = 256 * 1024 };

struct fetch {
    const struct config_source *source; // limits and deadlines; the caller's
    char *url;                          // own
    char *spool;                        // path of the spool file, own
    int file;                           // its descriptor
    CURLM *multi;                       // the loop's; the caller's
    fetch_may_send_fn *may_send;        // asked before a request's first byte; NULL: it may
    void *may_send_arg;                 // for that
    CURL *easy;                         // made once, so that connections and DNS answers are kept
    struct curl_slist *headers;         // of the config, own
    struct curl_slist *request_headers; // `headers` and conditions, own; made for each transfer
    char known_etag[ANSWER_ETAG_MAX];   // what is asked for unless it is still this; ""
    char known_date[ANSWER_DATE_MAX];   // the same by its time, where there is no tag; ""
    bool active;                        // a transfer is in the multi
    bool dispatched;                    // the first byte of this transfer's body was looked at
    uint64_t base;                      // where in the spool this download begins
    uint64_t size;                      // bytes of it so far
    uint64_t total;                     // bytes of the whole of it; 0: not known
    uint64_t asked_from;                // where this transfer was asked to begin
    uint64_t header_bytes;              // of this transfer: headers have a limit too
    int64_t spent_ms;                   // of `timeout`, before this download
    char etag[ANSWER_ETAG_MAX];  // strong validator of what is in the spool, if its rest can be asked for; ""
    struct answer answer;        // what the headers of this transfer say
    struct answer kept;          // of the answer that the spool holds the beginning of
    bool not_modified;           // this transfer's answer: what was asked for is still the same
    int64_t start_ms;            // of this transfer
    int64_t byte_ms;             // when the last byte of it came
    struct fault fault;          // why a callback ended the transfer
    char error[CURL_ERROR_SIZE]; // curl's own words
};

// The URL as it may be shown: without user, password and query, which can hold secrets.
static void shown_url(const struct fetch *self, char *text, size_t size)
{
    const char *scheme_end = strstr(self->url, "://");
    size_t scheme = scheme_end ? (size_t)(scheme_end - self->url) + 3 : 0;
    const char *rest = self->url + scheme;
    size_t length = strcspn(rest, "?#");
    size_t host = strcspn(rest, "/?#");
    const char *at = memrchr(rest, '@', host);
    if (at != NULL) {
        length -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    snprintf(text, size, "%.*s%.*s", (int)scheme, self->url, (int)length, rest);
}

static enum err fail(struct fetch *self, enum err err, struct fault *fault, const char *what)
{
    char url[256];
    shown_url(self, url, sizeof url);
    return fault_set(fault, err, "%s: %s", url, what);
}

static enum err spool_failed(const struct fetch *self, struct fault *fault, int error)
{
    enum err err = error == ENOSPC || error == EDQUOT || error == EFBIG ? ERR_NO_SPACE : ERR_IO;
    return fault_set(fault, err, "cannot write the export to %s: %s", self->spool, strerror(error));
}

static bool is_http(const struct fetch *self)
{
    return strncasecmp(self->url, "http", 4) == 0;
}

// ---------------------------------------------------------------- what comes in

static bool empty_spool(struct fetch *self, struct fault *fault)
{
    self->size = 0;
    self->total = 0;
    if (ftruncate(self->file, (off_t)self->base) != 0) {
        (void)spool_failed(self, fault, errno);
        return false;
    }
    return true;
}

// The answer goes on where the spool ends; false: it does not.
static bool goes_on(const struct fetch *self)
{
    const struct answer *answer = &self->answer;
    bool same = answer->etag[0] == '\0' || strcmp(answer->etag, self->etag) == 0;
    return self->asked_from > 0 && answer->ranged && answer->range_from == self->size && same;
}

// Decides, once the headers are there, whether the body goes on from the spool's end or replaces it.
static bool dispatch(struct fetch *self)
{
    if (self->dispatched)
        return true;
    self->dispatched = true;
    long status = 0;
    curl_off_t length = -1;
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(self->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (is_http(self) && status != 200 && status != 206)
        return true; // told by fetch_ended; the body is not for us
    if (status == 206) {
        if (!goes_on(self)) {
            (void)fail(self, ERR_CORRUPT, &self->fault, "the ERP sent another part than the one asked for");
            return false;
        }
        self->total = self->answer.range_total > 0 ? self->answer.range_total : self->total;
    } else {
        if (!empty_spool(self, &self->fault))
            return false;
        self->kept = self->answer;
        bool resumable = self->answer.ranges && answer_is_strong(self->answer.etag);
        snprintf(self->etag, sizeof self->etag, "%s", resumable ? self->answer.etag : "");
    }
    if (self->total == 0 && length > 0)
        self->total = self->size + (uint64_t)length;
    if (self->base + self->total > self->source->size_max) {
        (void)fail(self, ERR_FULL, &self->fault, "the export is longer than source.max_size");
        return false;
    }
    return true;
}

static bool spool_write(struct fetch *self, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = pwrite(self->file, data, size, (off_t)(self->base + self->size));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            (void)spool_failed(self, &self->fault, written < 0 ? errno : ENOSPC);
            return false;
        }
        self->size += (uint64_t)written;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static size_t on_body(char *data, size_t unit, size_t count, void *arg)
{
    struct fetch *self = arg;
    size_t size = unit * count;
    self->byte_ms = clock_boot_ms();
    if (!dispatch(self))
        return CURL_WRITEFUNC_ERROR;
    long status = 0;
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    if (is_http(self) && status != 200 && status != 206)
        return CURL_WRITEFUNC_ERROR; // a page of an error need not be read to its end
    if (self->base + self->size + size > self->source->size_max) {
        (void)fail(self, ERR_FULL, &self->fault, "the export is longer than source.max_size");
        return CURL_WRITEFUNC_ERROR;
    }
    return spool_write(self, data, size) ? size : CURL_WRITEFUNC_ERROR;
}

static size_t on_header(char *line, size_t unit, size_t count, void *arg)
{
    struct fetch *self = arg;
    size_t size = unit * count;
    self->byte_ms = clock_boot_ms();
    self->header_bytes += size;
    if (size > HEADER_LINE_MAX || self->header_bytes > HEADERS_SIZE_MAX) {
        (void)fail(self, ERR_FULL, &self->fault, "the answer's headers are too long");
        return 0;
    }
    answer_line(&self->answer, line, size, self->source->page_total_header);
    return size;
}

// Called when the connection stands and nothing of the request was written to it yet.
static int on_ready(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    const struct fetch *self = arg;
    const bool may = self->may_send == NULL || self->may_send(self->may_send_arg);
    return may ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

// ---------------------------------------------------------------- life

static void set_options(struct fetch *self)
{
    CURL *easy = self->easy;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,file");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // else a cut during a name look-up blocks until that ends
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)self->source->connect_timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, self);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "syncbus-sync/" SYNCBUS_VERSION);
}

enum err fetch_new(const struct config_source *source, const char *url, const char *spool, CURLM *multi,
                   struct fetch **ret, struct fault *fault)
{
    assert(source != NULL);
    assert(multi != NULL);
    struct fetch *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct fetch){.source = source, .multi = multi, .file = -1};
    self->url = strdup(url ? url : source->url);
    self->spool = strdup(spool);
    self->easy = curl_easy_init();
    enum err err = ERR_OK;
    if (self->url == NULL || self->spool == NULL || self->easy == NULL) {
        err = fault_set(fault, ERR_NO_MEMORY, "out of memory");
        goto failed;
    }
    self->file = open(spool, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (self->file < 0) {
        err = spool_failed(self, fault, errno);
        goto failed;
    }
    err = headers_add_configured(&self->headers, &self->source->headers, fault);
    if (err)
        goto failed;
    set_options(self);
    curl_easy_setopt(self->easy, CURLOPT_URL, self->url);
    *ret = self;
    return ERR_OK;
failed:
    fetch_destroy(&self);
    return err;
}

void fetch_guard(struct fetch *self, fetch_may_send_fn *may_send, void *arg)
{
    self->may_send = may_send;
    self->may_send_arg = arg;
}

void fetch_destroy(struct fetch **self_p)
{
    struct fetch *self = *self_p;
    if (self == NULL)
        return;
    fetch_cut(self);
    if (self->easy != NULL)
        curl_easy_cleanup(self->easy);
    curl_slist_free_all(self->request_headers);
    curl_slist_free_all(self->headers);
    if (self->file >= 0) {
        close(self->file);
        unlink(self->spool);
    }
    free(self->spool);
    free(self->url);
    free(self);
    *self_p = NULL;
}

enum err fetch_aim(struct fetch *self, const struct fetch_aim *aim, struct fault *fault)
{
    assert(!self->active);
    char *url = strdup(aim->url);
    if (url == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    free(self->url);
    self->url = url;
    curl_easy_setopt(self->easy, CURLOPT_URL, self->url);
    self->base = aim->base;
    self->spent_ms = aim->spent_ms;
    snprintf(self->known_etag, sizeof self->known_etag, "%s", aim->etag ? aim->etag : "");
    snprintf(self->known_date, sizeof self->known_date, "%s", aim->last_modified ? aim->last_modified : "");
    fetch_forget(self);
    return ERR_OK;
}

static enum err add_header(struct fetch *self, const char *name, const char *value, struct fault *fault)
{
    enum err err = headers_add(&self->request_headers, name, value);
    return err ? fault_set(fault, err, "%s: %s", name, err_text(err)) : ERR_OK;
}

// Asks for the rest when the spool holds a beginning that the ERP can vouch for, else for what is not known.
static enum err set_conditions(struct fetch *self, struct fault *fault)
{
    enum err err = ERR_OK;
    curl_slist_free_all(self->request_headers);
    self->request_headers = NULL;
    for (const struct curl_slist *item = self->headers; item != NULL; item = item->next) {
        struct curl_slist *longer = curl_slist_append(self->request_headers, item->data);
        if (longer == NULL)
            return fault_set(fault, ERR_NO_MEMORY, "out of memory");
        self->request_headers = longer;
    }
    self->asked_from = 0;
    curl_easy_setopt(self->easy, CURLOPT_RANGE, NULL);
    bool part = self->size > 0 && (self->total == 0 || self->size < self->total);
    if (part && self->etag[0] != '\0') {
        char range[32];
        snprintf(range, sizeof range, "%" PRIu64 "-", self->size);
        self->asked_from = self->size;
        curl_easy_setopt(self->easy, CURLOPT_RANGE, range);
        err = add_header(self, "If-Range", self->etag, fault);
    } else if (self->known_etag[0] != '\0') {
        err = add_header(self, "If-None-Match", self->known_etag, fault);
    } else if (self->known_date[0] != '\0') {
        err = add_header(self, "If-Modified-Since", self->known_date, fault);
    }
    curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->request_headers);
    return err;
}

enum err fetch_start(struct fetch *self, int64_t now_ms, struct fault *fault)
{
    assert(!self->active);
    enum err err = set_conditions(self, fault);
    if (err)
        return err;
    if (self->asked_from == 0 && !empty_spool(self, fault))
        return ERR_IO;
    self->dispatched = false;
    self->not_modified = false;
    self->header_bytes = 0;
    self->answer = (struct answer){.counted = false};
    self->error[0] = '\0';
    self->fault = (struct fault){.err = ERR_OK};
    self->start_ms = now_ms;
    self->byte_ms = now_ms;
    if (curl_multi_add_handle(self->multi, self->easy) != CURLM_OK)
        return fault_set(fault, ERR_NO_MEMORY, "the transfer cannot be started");
    self->active = true;
    return ERR_OK;
}

void fetch_cut(struct fetch *self)
{
    if (!self->active)
        return;
    self->active = false;
    curl_multi_remove_handle(self->multi, self->easy);
}

void fetch_forget(struct fetch *self)
{
    assert(!self->active);
    self->size = 0;
    self->total = 0;
    self->etag[0] = '\0';
    self->kept = (struct answer){.counted = false};
}

bool fetch_is(const struct fetch *self, const CURL *easy)
{
    return self->active && self->easy == easy;
}

// ---------------------------------------------------------------- how it ended

// "Not modified": believed only where it answers what was asked.
static enum err judge_unchanged(struct fetch *self, struct fault *fault)
{
    bool asked = self->known_etag[0] != '\0' || self->known_date[0] != '\0';
    if (!asked || self->asked_from > 0)
        return fail(self, ERR_CORRUPT, fault, "the ERP answered 304 (not modified), which was not asked");
    self->not_modified = true;
    return ERR_OK;
}

static enum err judge_status(struct fetch *self, struct fault *fault)
{
    long status = 0;
    char *target = NULL;
    char text[192];
    curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!is_http(self) || status == 0 || status == 200 || status == 206)
        return ERR_OK;
    if (status == 304)
        return judge_unchanged(self, fault);
    curl_easy_getinfo(self->easy, CURLINFO_REDIRECT_URL, &target);
    if (target != NULL)
        snprintf(text, sizeof text,
                 "the ERP answered %ld and points elsewhere: write the final address into source.url",
                 status);
    else
        snprintf(text, sizeof text, "the ERP answered %ld in place of the export", status);
    return fail(self, ERR_REFUSED, fault, text);
}

static enum err judge_curl(struct fetch *self, CURLcode result, struct fault *fault)
{
    char text[320];
    const char *words = self->error[0] ? self->error : curl_easy_strerror(result);
    switch (result) {
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2_STREAM:
        snprintf(text, sizeof text, "the export was cut short after %" PRIu64 " bytes (%s)", self->size,
                 words);
        return fail(self, ERR_CORRUPT, fault, text);
    case CURLE_OPERATION_TIMEDOUT:
        snprintf(text, sizeof text, "no connection in time (%s)", words);
        return fail(self, ERR_TIMED_OUT, fault, text);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: return fail(self, ERR_UNREACHABLE, fault, words);
    case CURLE_ABORTED_BY_CALLBACK: // by on_ready: the other callbacks say themselves why
        return fail(self, ERR_TIMED_OUT, fault, "the connection stood too late to send the request");
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (is_http(self)) // libcurl says so, too, of an answer without a status line
            return fail(self, ERR_CORRUPT, fault, "what answered does not speak HTTP");
        return fail(self, ERR_INVALID, fault, "only http, https and file can be fetched");
    default: return fail(self, ERR_IO, fault, words);
    }
}

enum err fetch_ended(struct fetch *self, CURLcode result, struct fault *fault)
{
    assert(self->active);
    self->active = false;
    if (self->fault.err) {
        if (fault != NULL)
            *fault = self->fault;
        fetch_forget(self);
        return self->fault.err;
    }
    enum err err = judge_status(self, fault);
    if (err == ERR_OK && result != CURLE_OK)
        err = judge_curl(self, result, fault);
    // An answer without a body never came to on_body: it replaces what was in the spool all the same.
    if (err == ERR_OK && !self->not_modified && !dispatch(self)) {
        if (fault != NULL)
            *fault = self->fault;
        err = self->fault.err;
    }
    if (err == ERR_OK && !self->not_modified && self->total != 0 && self->size != self->total)
        err = fail(self, ERR_CORRUPT, fault, "the export has not the length that the ERP announced");
    if (err)
        fetch_forget(self);
    return err;
}

int64_t fetch_deadline(const struct fetch *self)
{
    if (!self->active)
        return INT64_MAX;
    int64_t stall = self->byte_ms + self->source->stall_timeout_ms;
    int64_t whole = self->start_ms + self->source->timeout_ms - self->spent_ms;
    return stall < whole ? stall : whole;
}

enum err fetch_time(struct fetch *self, int64_t now_ms, struct fault *fault)
{
    if (!self->active || now_ms < fetch_deadline(self))
        return ERR_OK;
    char text[160];
    char past[32];
    int64_t spent_ms = now_ms - self->start_ms + self->spent_ms;
    bool whole = spent_ms >= self->source->timeout_ms;
    (void)duration_format(whole ? spent_ms : now_ms - self->byte_ms, past, sizeof past);
    snprintf(text, sizeof text,
             whole ? "not done after %s (%" PRIu64 " bytes)" : "no byte for %s (after %" PRIu64 " bytes)",
             past, self->size);
    fetch_cut(self);
    fetch_forget(self);
    return fail(self, ERR_TIMED_OUT, fault, text);
}

int fetch_file(const struct fetch *self)
{
    return self->file;
}

const char *fetch_spool(const struct fetch *self)
{
    return self->spool;
}

bool fetch_not_modified(const struct fetch *self)
{
    return self->not_modified;
}

const struct answer *fetch_answer(const struct fetch *self)
{
    return self->not_modified ? &self->answer : &self->kept;
}

uint64_t fetch_done(const struct fetch *self)
{
    return self->size;
}

uint64_t fetch_total(const struct fetch *self)
{
    return self->total;
}
