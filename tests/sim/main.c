// syncbus-sim: the bus in simulated worlds, each from one seed, with every invariant checked as it goes.
#include "tests/sim/world.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "syncbus-sim [--seed S | --fresh] [--seeds N] [--hours H | --days D] [--faults LIST] [--trace]\n"
    "Runs N worlds (1) from the seeds S (1), S + 1 …, each for H hours (1.5) with faults and then half an "
    "hour\n"
    "without, and checks the invariants all the while. The same seed gives the same world.\n"
    "  --faults LIST   of: delay loss duplicate partition publications crash freeze drift jump disk erp "
    "reload\n"
    "                  people; separated by commas; all of them if not given, none with \"none\"\n"
    "  --fresh         begins at a seed that nobody has chosen, and prints it\n"
    "  --trace         writes down what happens\n"
    "A broken invariant ends it with exit code 1, after the shortest and simplest world found that breaks "
    "the same.\n";

static const char *const fault_names[] = {"delay", "loss",   "duplicate", "partition", "publications",
                                          "crash", "freeze", "drift",     "jump",      "disk",
                                          "erp",   "reload", "people"};
enum { FAULT_COUNT = sizeof fault_names / sizeof *fault_names };

struct arguments {
    struct world_options first; // the first world
    uint64_t seeds;             // how many
};

static bool read_faults(const char *list, unsigned *ret)
{
    char text[256];
    char *rest = NULL;
    *ret = 0;
    (void)snprintf(text, sizeof text, "%s", list);
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        int fault = 0;
        while (fault < FAULT_COUNT && strcmp(word, fault_names[fault]) != 0)
            fault++;
        if (fault == FAULT_COUNT && strcmp(word, "none") != 0) {
            fprintf(stderr, "syncbus-sim: no fault is called %s; see --help\n", word);
            return false;
        }
        if (fault < FAULT_COUNT)
            *ret |= 1U << fault;
    }
    return true;
}

static uint64_t fresh_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)time(NULL);
    seed >>= 20; // short enough to be read out
    printf("seeds from %" PRIu64 "\n", seed);
    (void)fflush(stdout);
    return seed;
}

static void print_faults(unsigned faults)
{
    const char *comma = "";
    for (int i = 0; i < FAULT_COUNT; i++) {
        if ((faults & 1U << i) != 0) {
            printf("%s%s", comma, fault_names[i]);
            comma = ",";
        }
    }
    printf("%s", faults == 0 ? "none" : "");
}

static bool read_number(const char *text, double *ret)
{
    char *end = NULL;
    *ret = strtod(text, &end);
    if (end != text && *end == '\0' && *ret >= 0)
        return true;
    fprintf(stderr, "syncbus-sim: %s is no number\n", text);
    return false;
}

// The exit code, or -1 to go on.
static int read_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"seeds", required_argument, NULL, 'n'},
                                            {"hours", required_argument, NULL, 'h'},
                                            {"days", required_argument, NULL, 'd'},
                                            {"faults", required_argument, NULL, 'f'},
                                            {"trace", no_argument, NULL, 't'},
                                            {"fresh", no_argument, NULL, 'F'},
                                            {"help", no_argument, NULL, '?'},
                                            {NULL, 0, NULL, 0}};
    int option;
    double number = 0;
    bool ok = true;
    while (ok && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's': ret->first.seed = strtoull(optarg, NULL, 0); break;
        case 'n': ret->seeds = strtoull(optarg, NULL, 0); break;
        case 'h':
            ok = read_number(optarg, &number);
            ret->first.duration_us = (int64_t)(number * 3600 * SIM_SECOND_US);
            break;
        case 'd':
            ok = read_number(optarg, &number);
            ret->first.duration_us = (int64_t)(number * 24 * 3600 * SIM_SECOND_US);
            break;
        case 'f': ok = read_faults(optarg, &ret->first.faults); break;
        case 't': ret->first.trace = TRACE_ALL; break;
        case 'F': ret->first.seed = fresh_seed(); break;
        default: fputs(usage, stdout); return optopt == 0 ? 0 : 2;
        }
    }
    if (ok && optind < argc)
        fputs(usage, stderr);
    return ok && optind == argc ? -1 : 2;
}

// ---------------------------------------------------------------- the simplest world that breaks the same

static bool breaks_the_same(const struct world_options *options, const char *broken)
{
    struct world_result result;
    world_run(options, &result);
    return result.failed && strcmp(result.broken, broken) == 0;
}

static void shrink(const struct world_options *failed, const struct world_result *result)
{
    struct world_options best = *failed;
    best.trace = TRACE_NONE;
    for (int i = 0; i < FAULT_COUNT; i++) {
        struct world_options simpler = best;
        simpler.faults &= ~(1U << i);
        if (simpler.faults != best.faults && breaks_the_same(&simpler, result->broken))
            best = simpler;
    }
    while (best.duration_us > 60 * SIM_SECOND_US) {
        struct world_options shorter = best;
        shorter.duration_us /= 2;
        if (!breaks_the_same(&shorter, result->broken))
            break;
        best = shorter;
    }
    printf("the simplest that was found: syncbus-sim --seed %" PRIu64 " --hours %.6f --trace --faults ",
           best.seed, (double)best.duration_us / 3600 / SIM_SECOND_US);
    print_faults(best.faults);
    (void)putchar('\n');
    struct world_result last;
    best.trace = TRACE_LAST;
    world_run(&best, &last);
}

// ---------------------------------------------------------------- main

static uint64_t running_seed;

// An assertion of the core is an invariant, too.
static void on_abort(int signal_number)
{
    char line[96];
    (void)signal_number;
    (void)fflush(stdout); // an assertion broke off between two calls: nobody is in the midst of a line
    const int size =
        snprintf(line, sizeof line, "the core broke off with seed %" PRIu64 "; see --trace\n", running_seed);
    (void)!write(STDOUT_FILENO, line, (size_t)size);
    _exit(1);
}

static double seconds(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {
        .first = {.seed = 1, .faults = SIM_FAULTS_ALL, .duration_us = (int64_t)5400 * SIM_SECOND_US},
        .seeds = 1};
    const int code = read_arguments(argc, argv, &arguments);
    if (code >= 0)
        return code;
    (void)signal(SIGABRT, on_abort);
    const double start = seconds();
    double simulated = 0;
    uint64_t violations = 0;
    uint64_t done = 0;
    for (; done < arguments.seeds && violations == 0; done++) {
        struct world_options options = arguments.first;
        struct world_result result;
        running_seed = options.seed += done;
        world_run(&options, &result);
        simulated += (double)result.us / SIM_SECOND_US;
        if (result.failed) {
            violations++;
            if (options.trace == TRACE_NONE)
                shrink(&options, &result);
        }
    }
    printf("%" PRIu64 " seeds, %.4f simulated years, %" PRIu64 " violations, %.0f x real time\n", done,
           simulated / (365.25 * 24 * 3600), violations, simulated / (seconds() - start));
    return violations == 0 ? 0 : 1;
}
