// Exports of a catalogue, as large and in such an order as one likes: the same for the same arguments.
#include "tests/bench/delta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_MAX = 100 * 1000 * 1000, OUTPUT_SIZE = 1 << 20 };

static const char *const kinds[] = {"fasteners", "bearings", "seals and gaskets", "drives", "pneumatics",
                                    "tools",     "safety",   "electrical"};

// Spreads a number over all bits; neighbours have nothing in common.
static uint64_t mixed(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

// The numbers below `count`, each once, shuffled or in order.
static uint32_t *numbers_new(uint64_t count, bool shuffled)
{
    uint32_t *numbers = calloc(count, sizeof *numbers);
    if (numbers == NULL)
        delta_fail_bench("memory");
    for (uint64_t i = 0; i < count; i++)
        numbers[i] = (uint32_t)i;
    for (uint64_t i = count - 1; shuffled && i > 0; i--) {
        const uint64_t other = mixed(i) % (i + 1);
        const uint32_t number = numbers[i];
        numbers[i] = numbers[other];
        numbers[other] = number;
    }
    return numbers;
}

static void put_record(FILE *file, bool json, uint32_t number, bool changed)
{
    const uint64_t random = mixed(number);
    const uint64_t price = random % 900000 + 100 + (changed ? 1 : 0);
    // One name in eight has a comma, and so needs quotes in a CSV.
    const char *plating = (random >> 61 & 7) == 0 ? ", galvanised" : " galvanised";
    const char *quote = (random >> 61 & 7) == 0 && !json ? "\"" : "";
    const char *format = json ? "{\"id\":\"P%09u\",\"name\":\"%sArticle %u%s M%u x "
                                "%u%s\",\"category\":\"%s\",\"price\":%u.%02u,"
                                "\"currency\":\"EUR\",\"stock\":%u,\"updated\":\"2024-%02u-%02uT%02u:%02u:"
                                "00Z\",\"place\":\"hall %u "
                                "shelf %u\",\"supplier\":\"Meier and sons works %u\",\"weight\":%u}"
                              : "P%09u,%sArticle %u%s M%u x "
                                "%u%s,%s,%u.%02u,EUR,%u,2024-%02u-%02uT%02u:%02u:00Z,hall %u shelf %u,"
                                "Meier and sons works %u,%u\n";
    const int written =
        fprintf(file, format, number, quote, number, plating, (unsigned)(random >> 24 & 31),
                (unsigned)(random >> 29 & 255), quote, kinds[random >> 20 & 7], (unsigned)(price / 100),
                (unsigned)(price % 100), (unsigned)(random >> 44 & 4095), (unsigned)(random % 12 + 1),
                (unsigned)(random % 28 + 1), (unsigned)(random % 24), (unsigned)(random % 60),
                (unsigned)(random >> 56 & 7), (unsigned)(random >> 59), (unsigned)(random >> 37 & 127),
                (unsigned)(random >> 40 & 65535));
    if (written < 0)
        delta_fail_bench("writing the export");
}

void delta_make_export(const char *format, const char *order, uint64_t count, uint64_t changed_percent,
                       const char *path)
{
    const bool json = strcmp(format, "json") == 0;
    if (count == 0 || count > COUNT_MAX)
        delta_fail_bench("no such number of records");
    uint32_t *numbers = numbers_new(count, strcmp(order, "random") == 0);
    FILE *file = fopen(path, "wb");
    if (file == NULL || setvbuf(file, NULL, _IOFBF, OUTPUT_SIZE) != 0)
        delta_fail_bench(path);
    (void)fputs(json ? "[\n" : "id,name,category,price,currency,stock,updated,place,supplier,weight\n", file);
    for (uint64_t i = 0; i < count; i++) {
        if (json && i > 0)
            (void)fputs(",\n", file);
        put_record(file, json, numbers[i], mixed(numbers[i] ^ 0x5a5a5a5au) % 100 < changed_percent);
    }
    (void)fputs(json ? "\n]\n" : "", file);
    if (ferror(file) != 0 || fclose(file) != 0)
        delta_fail_bench(path);
    free(numbers);
}
