// syncbus-worlds: all that can happen in small worlds, to a stated depth.
#include "tests/worlds/search.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH = 7 };

static int usage(void)
{
    (void)fputs(
        "usage: syncbus-worlds [--depth N] [--syncs N] [--orders N] [--crashes N] [--kills N]\n"
        "                      [--faults N]\n"
        "  All that 2 syncs, 2 orders, 1 crash of the broker, 1 of a client and 1 fault of the net can do\n"
        "  within so many steps. Prints the distinct states of each depth; a broken invariant is told as\n"
        "  the shortest story that leads to it, with exit code 1.\n",
        stderr);
    return 2;
}

static bool number(const char *text, uint32_t max, uint32_t *ret)
{
    char *end = NULL;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"depth", required_argument, NULL, 'd'},
                                            {"syncs", required_argument, NULL, 's'},
                                            {"orders", required_argument, NULL, 'o'},
                                            {"crashes", required_argument, NULL, 'c'},
                                            {"kills", required_argument, NULL, 'k'},
                                            {"faults", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    struct world_options wanted = {.syncs = 2, .orders = 2, .crashes = 1, .kills = 1, .faults = 1};
    uint32_t depth = DEPTH;
    bool good = true;
    int option;
    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'd': good = number(optarg, SEARCH_DEPTH_MAX, &depth); break;
        case 's': good = number(optarg, CLIENTS_MAX, &wanted.syncs); break;
        case 'o': good = number(optarg, CLIENTS_MAX, &wanted.orders); break;
        case 'c': good = number(optarg, 3, &wanted.crashes); break;
        case 'k': good = number(optarg, 3, &wanted.kills); break;
        case 'f': good = number(optarg, 9, &wanted.faults); break;
        default: good = false; break;
        }
    }
    if (!good || optind != argc || wanted.syncs + wanted.orders > CLIENTS_MAX ||
        wanted.syncs + wanted.orders == 0)
        return usage();
    return search_run(&wanted, depth) ? 0 : 1;
}
