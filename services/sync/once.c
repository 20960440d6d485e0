#include "services/sync/once.h"

#include "proto/io/clock.h"
#include "proto/io/directory.h"
#include "proto/io/log.h"
#include "proto/io/program.h"
#include "proto/io/say.h"
#include "proto/json.h"
#include "services/sync/delta.h"
#include "services/sync/download.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { POLL_MS = 1000, LINE_MAX_BYTES = 64 * 1024 };

// A file's path as a URL; the caller frees it with curl_free. ERR_IO: there is no such file; ERR_NO_MEMORY.
static enum err url_of_path(const char *path, char **ret, struct fault *fault)
{
    struct stat status = {.st_mode = 0};
    if (stat(path, &status) != 0 || S_ISDIR(status.st_mode))
        return fault_set(fault, ERR_IO, "%s: %s", path,
                         S_ISDIR(status.st_mode) ? strerror(EISDIR) : strerror(errno));
    char *whole = realpath(path, NULL);
    CURLU *parts = curl_url();
    const bool ok = whole != NULL && parts != NULL &&
                    curl_url_set(parts, CURLUPART_SCHEME, "file", 0) == CURLUE_OK &&
                    curl_url_set(parts, CURLUPART_PATH, whole, CURLU_URLENCODE) == CURLUE_OK &&
                    curl_url_get(parts, CURLUPART_URL, ret, 0) == CURLUE_OK;
    curl_url_cleanup(parts);
    free(whole);
    return ok ? ERR_OK : fault_set(fault, ERR_NO_MEMORY, "%s: it cannot be written as a URL", path);
}

// Drives the download to its end.
static enum err transfer(struct download *download, CURLM *multi, struct fault *fault)
{
    bool more = true;
    enum err err = download_start(download, clock_boot_ms(), fault);
    while (err == ERR_OK) {
        int running = 0;
        int left = 0;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return fault_set(fault, ERR_IO, "the transfer cannot go on");
        CURLMsg *message = curl_multi_info_read(multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            CURLcode result = message->data.result;
            curl_multi_remove_handle(multi, message->easy_handle);
            err = download_ended(download, result, clock_boot_ms(), &more, fault);
            if (err != ERR_OK || !more)
                return err;
            err = download_start(download, clock_boot_ms(), fault);
            continue;
        }
        int64_t now_ms = clock_boot_ms();
        int64_t wait_ms = download_deadline(download) - now_ms;
        wait_ms = wait_ms < 0 ? 0 : wait_ms < POLL_MS ? wait_ms : POLL_MS;
        if (curl_multi_poll(multi, NULL, 0, (int)wait_ms, NULL) != CURLM_OK)
            return fault_set(fault, ERR_IO, "the transfer cannot go on");
        err = download_time(download, clock_boot_ms(), fault);
    }
    return err;
}

// What a failed run did all the same, and where the untouched store stands.
static void describe_failure(const struct delta_run *run, struct delta *store, Sb__Result *ret)
{
    Sb__Change head = SB__CHANGE__INIT;
    ret->started_ms = run->started_ms;
    ret->ended_ms = clock_wall_ms();
    ret->fetch_ms = run->fetch_ms;
    ret->bytes = run->bytes;
    if (store != NULL && delta_head(store, &head, NULL) == ERR_OK) {
        ret->last_seq = head.last;
        ret->feed = head.feed;
    }
}

// Stores what came.
static enum err apply(const struct config_job *job, const struct download *download, struct delta *store,
                      const struct validator *known, struct delta_run *run, Sb__Result *ret,
                      struct fault *fault)
{
    const atomic_bool never = false;
    if (download_not_modified(download))
        return delta_keep(store, run, ret, fault);
    const struct validator found = download_remember(download, known, run->started_ms);
    run->validator = &found;
    run->page_ends = download_pages(download, &run->page_count);
    run->withhold = download_withheld(download);
    if (run->withhold != NULL)
        log_write(LOG_LEVEL_WARNING, "deletions withheld", "job=%s why=%s", job->name, run->withhold);
    enum err err = delta_apply(store, download_spool(download), run, &never, ret, fault);
    run->validator = NULL;
    return err;
}

// `url`: in place of the configured one, or NULL.
static enum err fetch_and_apply(const struct config_job *job, const char *url, CURLM *multi,
                                struct delta *store, Sb__Result *ret, struct fault *fault)
{
    struct download *download = NULL;
    struct validator known;
    struct plan plan;
    struct delta_run run = {.started_ms = clock_wall_ms()};
    char spool[4096];
    const int64_t start_ms = clock_boot_ms();
    snprintf(spool, sizeof spool, "%s/spool", job->data);
    enum err err = delta_validator(store, &known, fault);
    if (err == ERR_OK)
        err = plan_fetch(job, url, &known, run.started_ms, &plan, fault);
    if (err == ERR_OK)
        err = download_new(job, spool, multi, &download, fault);
    if (err == ERR_OK)
        err = download_begin(download, &plan, fault);
    if (err == ERR_OK)
        err = transfer(download, multi, fault);
    run.fetch_ms = (uint64_t)(clock_boot_ms() - start_ms);
    run.bytes = download != NULL ? download_done(download) : 0;
    if (err == ERR_OK) {
        run.full = plan.full;
        err = apply(job, download, store, &known, &run, ret, fault);
    }
    if (err != ERR_OK || !ret->ok)
        describe_failure(&run, store, ret);
    download_destroy(&download);
    return err;
}

// `source`: a path or a URL in place of the configured one, or NULL.
static enum err sync_from(const struct config_job *job, const char *source, CURLM *multi, Sb__Result *ret,
                          struct fault *fault)
{
    char *url = NULL;
    struct delta *store = NULL;
    enum err err = delta_open(job, &store, fault);
    if (err == ERR_OK && source != NULL && strstr(source, "://") == NULL)
        err = url_of_path(source, &url, fault);
    if (err == ERR_OK)
        err = fetch_and_apply(job, url != NULL ? url : source, multi, store, ret, fault);
    else
        describe_failure(&(struct delta_run){.started_ms = clock_wall_ms()}, store, ret);
    curl_free(url);
    delta_close(&store);
    return err;
}

// {"entity":"prices", and then the result's own fields}: one line.
static enum err print_result(const struct config_job *job, const Sb__Result *result)
{
    struct buffer line;
    struct buffer fields;
    buffer_init(&line, LINE_MAX_BYTES);
    buffer_init(&fields, LINE_MAX_BYTES);
    enum err err = buffer_print(&line, "{\"entity\":");
    err = err ? err : json_string(job->name, strlen(job->name), &line);
    err = err ? err : buffer_add_byte(&line, ',');
    err = err ? err : json_message(&result->base, &fields);
    err = err ? err : buffer_add(&line, fields.data + 1, fields.size - 1);
    if (err == ERR_OK)
        say_json(stdout, line.data, line.size);
    if (err == ERR_OK && (ferror(stdout) != 0 || fflush(stdout) != 0))
        err = ERR_IO;
    buffer_free(&fields);
    buffer_free(&line);
    return err;
}

int sync_once(const struct config_job *job, const char *source)
{
    struct fault fault = {.err = ERR_OK};
    struct directory directory;
    Sb__Result result = SB__RESULT__INIT;
    (void)signal(SIGPIPE, SIG_IGN);
    if (directory_lock(job->data, &directory, &fault) != ERR_OK) {
        say(stderr, "syncbus-sync: %s\n", fault.text);
        return fault.err == ERR_BUSY ? EXIT_CODE_REFUSED : EXIT_CODE_FAILED;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    enum err err = multi == NULL ? fault_set(&fault, ERR_NO_MEMORY, "out of memory")
                                 : sync_from(job, source, multi, &result, &fault);
    result.ok = err == ERR_OK && result.ok;
    if (!result.ok)
        result.error = fault.text;
    bool printed = print_result(job, &result) == ERR_OK;
    curl_multi_cleanup(multi);
    curl_global_cleanup();
    directory_unlock(&directory);
    return result.ok && printed ? EXIT_CODE_OK : EXIT_CODE_FAILED;
}
