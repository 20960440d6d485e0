// syncbus-sync JOB: copies one entity out of the ERP, run after run, or --once without a broker.
#include "proto/io/log.h"
#include "proto/io/program.h"
#include "proto/io/say.h"
#include "services/sync/once.h"
#include "services/sync/sync.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_ONCE = 256, OPTION_SOURCE, OPTION_STANDBY };

static const struct option options[] = {{"once", no_argument, NULL, OPTION_ONCE},
                                        {"source", required_argument, NULL, OPTION_SOURCE},
                                        {"standby", no_argument, NULL, OPTION_STANDBY},
                                        {NULL, 0, NULL, 0}};

static const struct program program = {
    .name = "syncbus-sync",
    .usage =
        "syncbus-sync JOB [--standby | --once [--source FILE|URL]]\n"
        "Syncs one job: fetches its export when it is due, stores the difference and publishes it.\n"
        "  --once                 one sync without a broker; prints its result as one JSON line\n"
        "  --source FILE|URL      with --once: fetch this in place of the configured export\n"
        "  --standby              while another process serves the job, wait for its end and take over;\n"
        "                         a service manager hears \"ready\" as soon as it stands by, and its status\n"
        "                         says whom it waits for; without this flag a second process is refused\n"
        "SIGHUP: reads the configuration again and begins anew with it between two runs.\n",
    .options = options,
    .needs_config = true,
};

// What the command line said.
struct arguments {
    const char *job;    // name
    bool once;          // --once
    const char *source; // --source, or NULL
    bool standby;       // --standby
};

static bool take(void *arg, int option, const char *value)
{
    struct arguments *arguments = arg;
    switch (option) {
    case OPTION_ONCE: arguments->once = true; return true;
    case OPTION_SOURCE: arguments->source = value; return true;
    case OPTION_STANDBY: arguments->standby = true; return true;
    default:
        if (arguments->job != NULL) {
            say(stderr, "syncbus-sync: one job only, not %s and %s\n", arguments->job, value);
            return false;
        }
        arguments->job = value;
        return true;
    }
}

// Serves the job until a signal ends it; `life` has what an earlier life left, and then what this one does.
static enum err live(const struct config *config, const struct config_job *job, bool standby,
                     struct service_life *life, struct fault *fault)
{
    struct sync *sync = NULL;
    enum err err = sync_new(config, job, standby, life, &sync, fault);
    if (err == ERR_STOPPED)
        return ERR_OK; // a standby that was not needed
    if (err == ERR_OK)
        err = service_run(sync_service(sync), &sync_handler, sync, fault);
    if (err == ERR_OK)
        err = sync_broken(sync, fault);
    if (err == ERR_OK)
        service_leave(sync_service(sync), life);
    sync_destroy(&sync);
    return err;
}

// Serves the job, life after life: each SIGHUP begins one with the config as it is then.
static int serve(struct config **config_p, const struct arguments *arguments)
{
    struct fault fault = {.err = ERR_OK};
    struct service_life life = {.directory = {.lock = -1}};
    const struct config_job *job = config_job(*config_p, arguments->job, &fault);
    int code = -1;
    while (code < 0) {
        life.next = NULL;
        if (live(*config_p, job, arguments->standby, &life, &fault) != ERR_OK) {
            log_write(LOG_LEVEL_ERROR, "ended", "job=%s error=%s", arguments->job, fault.text);
            code = EXIT_CODE_FAILED;
        } else if (life.next == NULL) {
            code = EXIT_CODE_OK;
        } else {
            const struct config_job *next = config_job(life.next, arguments->job, &fault);
            if (next == NULL) {
                log_write(LOG_LEVEL_INFO, "ended", "job=%s why=it is not configured any more",
                          arguments->job);
                code = EXIT_CODE_OK;
            }
            if (next == NULL || strcmp(next->data, job->data) != 0)
                directory_unlock(&life.directory);
            config_destroy(config_p);
            *config_p = life.next;
            job = next;
        }
    }
    directory_unlock(&life.directory);
    return code;
}

static int run(struct config **config_p, const struct arguments *arguments)
{
    struct fault fault = {.err = ERR_OK};
    if (arguments->job == NULL) {
        say(stderr, "syncbus-sync: which job? See --help.\n");
        return EXIT_CODE_USAGE;
    }
    if (arguments->source != NULL && !arguments->once) {
        say(stderr, "syncbus-sync: --source goes with --once\n");
        return EXIT_CODE_USAGE;
    }
    if (arguments->standby && arguments->once) {
        say(stderr, "syncbus-sync: --standby does not go with --once\n");
        return EXIT_CODE_USAGE;
    }
    const struct config_job *job = config_job(*config_p, arguments->job, &fault);
    if (job == NULL) {
        say(stderr, "syncbus-sync: %s\n", fault.text);
        return EXIT_CODE_USAGE;
    }
    char name[80];
    snprintf(name, sizeof name, "sync-%s", job->name);
    log_open(name);
    return arguments->once ? sync_once(job, arguments->source) : serve(config_p, arguments);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.job = NULL};
    struct config *config = NULL;
    int code = program_start(&program, argc, argv, take, &arguments, &config);
    if (code < 0)
        code = run(&config, &arguments);
    config_destroy(&config);
    return code;
}
