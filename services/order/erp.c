#include "services/order/erp.h"

#include "services/headers.h"

#include "proto/base/buffer.h"
#include "proto/io/clock.h"
#include "services/order/book.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL_SIZE_MAX = 16 * 1024, CONNECT_TIMEOUT_MS = 10 * 1000, ASK_TIMEOUT_MS = 30 * 1000 };

struct erp {
    const struct config_orders *config; // the caller's
    CURLM *multi;                       // the loop's
    struct curl_slist *config_headers;  // of the config, own
    CURL *easy;                         // the request under way, or NULL; own
    struct curl_slist *headers;         // its headers, own
    struct buffer body;                 // what it sends
    struct buffer answer;               // what came back
    char key[BOOK_KEY_MAX + 1];         // of the order in hand
    bool asks;                          // it is a question
    bool sent;                          // its first byte may have left
    int64_t sent_ms;                    // BOOTTIME of that
    erp_may_send *may_send;             // asked just before
    void *arg;                          // for may_send
    char error[CURL_ERROR_SIZE];        // curl's own words
};

// ---------------------------------------------------------------- headers

static enum err add_request_headers(struct erp *self, uint64_t token)
{
    enum err err = ERR_OK;
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, token);
    for (const struct curl_slist *item = self->config_headers; item != NULL && err == ERR_OK;
         item = item->next) {
        struct curl_slist *longer = curl_slist_append(self->headers, item->data);
        err = longer == NULL ? ERR_NO_MEMORY : ERR_OK;
        self->headers = longer == NULL ? self->headers : longer;
    }
    err = err ? err : headers_add(&self->headers, "X-Fencing-Token", number);
    if (self->asks || err != ERR_OK)
        return err;
    err = headers_add(&self->headers, "Idempotency-Key", self->key);
    err = err ? err : headers_add(&self->headers, "Content-Type", "application/json");
    // Without this, libcurl asks first for larger bodies and waits a second for ERPs that do not know that.
    return err ? err : headers_add(&self->headers, "Expect", "");
}

// ---------------------------------------------------------------- what libcurl tells

// Called when the connection stands and nothing was written to it yet.
static int on_ready(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    struct erp *self = arg;
    if (!self->may_send(self->arg))
        return CURL_PREREQFUNC_ABORT;
    self->sent = true;
    self->sent_ms = clock_boot_ms();
    return CURL_PREREQFUNC_OK;
}

static size_t on_body(char *data, size_t unit, size_t count, void *arg)
{
    struct erp *self = arg;
    return buffer_add(&self->answer, data, unit * count) == ERR_OK ? unit * count : CURL_WRITEFUNC_ERROR;
}

// ---------------------------------------------------------------- requests

static void forget(struct erp *self)
{
    if (self->easy != NULL)
        curl_easy_cleanup(self->easy);
    self->easy = NULL;
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    buffer_clear(&self->body);
    buffer_clear(&self->answer);
}

static void set_options(struct erp *self)
{
    CURL *easy = self->easy;
    long timeout_ms = (long)self->config->timeout_ms;
    if (self->asks && timeout_ms > ASK_TIMEOUT_MS)
        timeout_ms = ASK_TIMEOUT_MS;
    self->error[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // else a cut during a name look-up blocks until that ends
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, self);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "syncbus-order/" SYNCBUS_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, self->headers);
}

static enum err begin(struct erp *self, const char *key, uint64_t token, bool asks)
{
    assert(self->easy == NULL);
    assert(strlen(key) <= BOOK_KEY_MAX);
    snprintf(self->key, sizeof self->key, "%s", key);
    self->asks = asks;
    self->sent = false;
    self->sent_ms = 0;
    self->easy = curl_easy_init();
    enum err err = self->easy == NULL ? ERR_NO_MEMORY : add_request_headers(self, token);
    if (err == ERR_OK)
        set_options(self);
    return err;
}

static enum err start(struct erp *self, enum err err)
{
    if (err == ERR_OK && curl_multi_add_handle(self->multi, self->easy) != CURLM_OK)
        err = ERR_NO_MEMORY;
    if (err != ERR_OK)
        forget(self);
    return err;
}

enum err erp_place(struct erp *self, const char *key, const char *body, uint64_t token,
                   erp_may_send *may_send, void *arg)
{
    self->may_send = may_send;
    self->arg = arg;
    enum err err = begin(self, key, token, false);
    err = err ? err : text_with_reference(body, key, &self->body);
    if (err == ERR_OK) {
        curl_easy_setopt(self->easy, CURLOPT_URL, self->config->url);
        curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)self->body.size);
        curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, self->body.data);
    }
    return start(self, err);
}

enum err erp_ask(struct erp *self, const char *key, uint64_t token, erp_may_send *may_send, void *arg)
{
    self->may_send = may_send;
    self->arg = arg;
    enum err err = begin(self, key, token, true);
    char *escaped = err ? NULL : curl_easy_escape(self->easy, key, 0);
    if (err == ERR_OK && escaped == NULL)
        err = ERR_NO_MEMORY;
    struct buffer url;
    buffer_init(&url, URL_SIZE_MAX);
    const char *mark = strchr(self->config->url, '?') == NULL ? "?" : "&";
    err = err ? err : buffer_print(&url, "%s%skey=%s", self->config->url, mark, escaped);
    err = err ? err : buffer_add_byte(&url, '\0');
    if (err == ERR_OK)
        curl_easy_setopt(self->easy, CURLOPT_URL, url.data); // copied by libcurl
    buffer_free(&url);
    curl_free(escaped);
    return start(self, err);
}

bool erp_is(const struct erp *self, const CURL *easy)
{
    return self->easy != NULL && self->easy == easy;
}

// ---------------------------------------------------------------- results

static void describe(const struct erp *self, CURLcode result, struct erp_result *ret)
{
    if (result != CURLE_OK || ret->status == 0) {
        const char *words = self->error[0] != '\0' ? self->error : curl_easy_strerror(result);
        snprintf(ret->what, sizeof ret->what, "%s%s",
                 ret->sent ? "no whole answer from the ERP: " : "not sent: ", words);
        return;
    }
    // The ERP's own words help whoever must mend the order; control characters would garble a table.
    size_t size = ret->has_id || self->answer.size == 0 ? 0 : self->answer.size;
    size = size < 160 ? size : 160;
    while (size > 0 && strchr(" \t\r\n", self->answer.data[size - 1]) != NULL)
        size--;
    snprintf(ret->what, sizeof ret->what, "the ERP answered %d%s%.*s", ret->status, size > 0 ? ": " : "",
             (int)size, size > 0 ? self->answer.data : "");
    for (char *byte = ret->what; *byte != '\0'; byte++) {
        if (*byte < 0x20 || *byte > 0x7e)
            *byte = *byte == '\n' || *byte == '\r' || *byte == '\t' ? ' ' : '?';
    }
}

static void read_answer(const struct erp *self, struct erp_result *ret)
{
    const char *data = self->answer.size > 0 ? self->answer.data : "";
    bool good = ret->status >= 200 && ret->status <= 299 && ret->answered;
    if (!good)
        return;
    if (!self->asks) {
        ret->has_id = text_placed_id(data, self->answer.size, ret->id) == ERR_OK;
        return;
    }
    enum err err = text_found_id(data, self->answer.size, self->key, ret->id);
    ret->has_id = err == ERR_OK;
    ret->told = ret->status == 200 && (err == ERR_OK || err == ERR_NOT_FOUND);
}

void erp_ended(struct erp *self, CURLcode result, struct erp_result *ret)
{
    assert(self->easy != NULL);
    *ret = (struct erp_result){.sent = self->sent, .sent_ms = self->sent_ms};
    long status = 0;
    curl_off_t retry_after_s = 0;
    if (self->sent)
        curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(self->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    ret->status = (int)status;
    ret->answered = result == CURLE_OK && status != 0;
    if (retry_after_s > 0)
        ret->retry_after_ms = retry_after_s < INT32_MAX ? (int64_t)retry_after_s * 1000 : INT32_MAX;
    read_answer(self, ret);
    describe(self, result, ret);
    forget(self);
}

void erp_cut(struct erp *self, struct erp_result *ret)
{
    *ret = (struct erp_result){.sent = self->easy != NULL && self->sent, .sent_ms = self->sent_ms};
    snprintf(ret->what, sizeof ret->what, "cut %s",
             ret->sent ? "after its first byte" : "before its first byte");
    if (self->easy == NULL)
        return;
    curl_multi_remove_handle(self->multi, self->easy);
    forget(self);
}

// ---------------------------------------------------------------- life

enum err erp_new(const struct config_orders *config, CURLM *multi, struct erp **ret, struct fault *fault)
{
    assert(config != NULL);
    assert(multi != NULL);
    struct erp *self = calloc(1, sizeof *self);
    if (self == NULL)
        return fault_set(fault, ERR_NO_MEMORY, "out of memory");
    *self = (struct erp){.config = config, .multi = multi};
    buffer_init(&self->body, BOOK_BODY_MAX + 1024);
    buffer_init(&self->answer, TEXT_ANSWER_MAX);
    enum err err = headers_add_configured(&self->config_headers, &self->config->headers, fault);
    if (err != ERR_OK) {
        erp_destroy(&self);
        return err;
    }
    *ret = self;
    return ERR_OK;
}

void erp_destroy(struct erp **self_p)
{
    struct erp *self = *self_p;
    if (self == NULL)
        return;
    struct erp_result result;
    erp_cut(self, &result);
    curl_slist_free_all(self->config_headers);
    buffer_free(&self->body);
    buffer_free(&self->answer);
    free(self);
    *self_p = NULL;
}
