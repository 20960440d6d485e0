// syncbus-erp: a simulated ERP for demo and tests, and the judge of who used it when.
#include "proto/base/duration.h"
#include "tools/erp/server.h"

#include <assert.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, HOST_MAX = 256 };

enum flag {
    FLAG_LISTEN = 256,
    FLAG_DATA,
    FLAG_GENERATE,
    FLAG_SEED,
    FLAG_HEAD,
    FLAG_LATENCY,
    FLAG_RATE,
    FLAG_CAPACITY,
    FLAG_LAG,
    FLAG_NO_KEYS,
    FLAG_NO_TOKENS,
    FLAG_HELP,
    FLAG_VERSION,
};

static const struct option flags[] = {
    {"listen", required_argument, NULL, FLAG_LISTEN},
    {"data", required_argument, NULL, FLAG_DATA},
    {"generate", required_argument, NULL, FLAG_GENERATE},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"head", required_argument, NULL, FLAG_HEAD},
    {"latency", required_argument, NULL, FLAG_LATENCY},
    {"rate", required_argument, NULL, FLAG_RATE},
    {"capacity", required_argument, NULL, FLAG_CAPACITY},
    {"lag", required_argument, NULL, FLAG_LAG},
    {"no-keys", no_argument, NULL, FLAG_NO_KEYS},
    {"no-tokens", no_argument, NULL, FLAG_NO_TOKENS},
    {"help", no_argument, NULL, FLAG_HELP},
    {"version", no_argument, NULL, FLAG_VERSION},
    {0},
};

static const char usage[] =
    "syncbus-erp --listen HOST:PORT (--data DIR | --generate N [--seed S])\n"
    "A simulated ERP: serves exports, takes orders, misbehaves when told to, and judges who overlapped.\n"
    "\n"
    "  --listen HOST:PORT  where; port 0 is any, and the first line printed says which\n"
    "  --data DIR          exports: DIR/ENTITY/* are its versions in the order of their names; .gz is "
    "unpacked\n"
    "  --generate N        made-up exports of N records for orders, customers, products, prices, ddt, "
    "invoices\n"
    "  --seed S            what they are made from (1)\n"
    "  --head N            lines above the first record of a CSV export, which each page begins with (1)\n"
    "  --latency TIME      before each answer, as in 200ms\n"
    "  --rate N            bytes a second of each export, or a size as in 64KiB\n"
    "  --capacity N        exports that may run at once (1)\n"
    "  --lag TIME          until GET /orders finds a new order\n"
    "  --no-keys           the same Idempotency-Key twice makes two orders\n"
    "  --no-tokens         stale fencing tokens are counted but not refused\n";

static bool read_number(const char *text, uint64_t *ret)
{
    char *end;
    *ret = strtoull(text, &end, 10);
    return end != text && *end == '\0' && *text != '-';
}

// Splits HOST:PORT, where HOST may be an address in brackets. The host is static.
static bool read_listen(char *text, struct options *options)
{
    static char host[HOST_MAX];
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof host)
        return false;
    bool brackets = text[0] == '[' && colon[-1] == ']';
    size_t size = (size_t)(colon - text) - (brackets ? 2 : 0);
    memcpy(host, text + (brackets ? 1 : 0), size);
    host[size] = '\0';
    options->host = host;
    options->port = colon + 1;
    return true;
}

static bool read_flag(int flag, struct options *options, struct fault *fault)
{
    uint64_t number = 0;
    switch (flag) {
    case FLAG_LISTEN: return read_listen(optarg, options);
    case FLAG_DATA: options->folder = optarg; return true;
    case FLAG_GENERATE: return read_number(optarg, &options->rows) && options->rows > 0;
    case FLAG_SEED: return read_number(optarg, &options->seed);
    case FLAG_HEAD: return read_number(optarg, &options->head);
    case FLAG_LATENCY: return duration_parse(optarg, &options->latency_ms, fault) == ERR_OK;
    case FLAG_RATE:
        return read_number(optarg, &options->rate) || size_parse(optarg, &options->rate, fault) == ERR_OK;
    case FLAG_CAPACITY:
        if (!read_number(optarg, &number) || number == 0 || number > UINT32_MAX)
            return false;
        options->capacity = (uint32_t)number;
        return true;
    case FLAG_LAG: return duration_parse(optarg, &options->lag_ms, fault) == ERR_OK;
    case FLAG_NO_KEYS: options->honours_keys = false; return true;
    case FLAG_NO_TOKENS: options->honours_tokens = false; return true;
    default: return false;
    }
}

// Reads the command line; -1 to go on, else the exit code.
static int read_options(int argc, char **argv, struct options *options)
{
    int flag, index = 0;
    while ((flag = getopt_long(argc, argv, "", flags, &index)) != -1) {
        struct fault fault = {0};
        if (flag == FLAG_HELP || flag == FLAG_VERSION) {
            printf("%s", flag == FLAG_HELP ? usage : "syncbus-erp " SYNCBUS_VERSION "\n");
            return EXIT_SUCCESS;
        }
        if (flag != '?' && read_flag(flag, options, &fault))
            continue;
        if (flag != '?')
            fprintf(stderr, "syncbus-erp: --%s %s: %s\n", flags[index].name, optarg != NULL ? optarg : "",
                    fault.err != ERR_OK ? fault.text : "not valid; see --help");
        return EXIT_USAGE;
    }
    if (optind == argc && options->host != NULL && (options->folder == NULL) != (options->rows == 0))
        return -1;
    fprintf(stderr, "syncbus-erp: --listen and one of --data and --generate are needed; see --help\n");
    return EXIT_USAGE;
}

static int run(struct erp *erp)
{
    struct fault fault = {0};
    sigset_t ends;
    int number;
    uint16_t port;
    // Blocked before any thread starts, so that only sigwait sees them.
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (server_start(erp, &port, &fault) != ERR_OK) {
        fprintf(stderr, "syncbus-erp: %s\n", fault.text);
        return EXIT_FAILURE;
    }
    bool v6 = strchr(erp->options.host, ':') != NULL;
    printf("listening on http://%s%s%s:%u\n", v6 ? "[" : "", erp->options.host, v6 ? "]" : "", port);
    fflush(stdout);
    sigwait(&ends, &number);
    server_stop(erp);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct erp erp = {
        .options = {.seed = 1, .head = 1, .capacity = 1, .honours_keys = true, .honours_tokens = true}};
    struct fault fault = {0};
    int code = read_options(argc, argv, &erp.options);
    if (code != -1)
        return code;
    if (erp.options.folder == NULL) {
        catalogue_generate(&erp.catalogue, erp.options.rows, erp.options.seed);
    } else if (catalogue_open(&erp.catalogue, erp.options.folder, &fault) != ERR_OK) {
        fprintf(stderr, "syncbus-erp: --data %s\n", fault.text);
        return EXIT_USAGE;
    }
    judge_init(&erp.judge, erp.options.capacity, erp.options.honours_tokens);
    mischiefs_init(&erp.mischiefs);
    int failed = pthread_mutex_init(&erp.sales_lock, NULL);
    assert(failed == 0);
    code = run(&erp);
    pthread_mutex_destroy(&erp.sales_lock);
    free(erp.sales);
    mischiefs_free(&erp.mischiefs);
    judge_free(&erp.judge);
    catalogue_free(&erp.catalogue);
    return code;
}
