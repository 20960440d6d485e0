#include "proto/base/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const int64_t DURATION_MAX_MS = INT64_C(100) * 365 * 24 * 3600 * 1000;

// A unit and how much it is of the smallest one.
struct unit {
    const char *name;
    uint64_t worth;
};

static const struct unit times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {{"B", 1},
                                    {"KiB", UINT64_C(1) << 10},
                                    {"MiB", UINT64_C(1) << 20},
                                    {"GiB", UINT64_C(1) << 30},
                                    {"KB", 1000},
                                    {"MB", 1000000},
                                    {"GB", 1000000000}};

enum { TIME_COUNT = sizeof times / sizeof times[0], SIZE_COUNT = sizeof sizes / sizeof sizes[0] };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Reads digits with at most six places after a point, as millionths; false if there are none or too many.
static bool read_millionths(const char **text, uint64_t *ret)
{
    const char *at = *text;
    uint64_t number = 0;
    unsigned places = 0;
    unsigned digits = 0;
    bool point = false;
    for (; is_digit(*at) || (*at == '.' && !point); at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        if (++digits > 13 || (point && ++places > 6))
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (digits == 0 || at[-1] == '.')
        return false;
    for (; places < 6; places++)
        number *= 10;
    *text = at;
    *ret = number;
    return true;
}

// The unit at the start of the text, as a whole word of letters; NULL if there is none.
static const struct unit *read_unit(const char **text, const struct unit *units, size_t count)
{
    const size_t size = strcspn(*text, "0123456789. ");
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) == size && strncmp(*text, units[i].name, size) == 0) {
            *text += size;
            return &units[i];
        }
    }
    return NULL;
}

// Millionths of a unit, in the smallest one; false if that is past `max`.
static bool scale(uint64_t millionths, uint64_t worth, uint64_t max, uint64_t *ret)
{
    const uint64_t whole = millionths / 1000000;
    const uint64_t rest = millionths % 1000000;
    if (whole > max / worth)
        return false;
    const uint64_t value = whole * worth + rest * worth / 1000000;
    if (value > max)
        return false;
    *ret = value;
    return true;
}

enum err duration_parse(const char *text, int64_t *ret_ms, struct fault *fault)
{
    const char *at = text;
    int64_t total = 0;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return ERR_OK;
    }
    do {
        uint64_t millionths = 0;
        if (!read_millionths(&at, &millionths))
            return fault_set(fault, ERR_INVALID, "\"%s\" is not a duration such as 90s, 250ms or 1h30m",
                             text);
        const struct unit *unit = read_unit(&at, times, TIME_COUNT);
        if (unit == NULL)
            return fault_set(fault, ERR_INVALID, "\"%s\" needs a unit: ms, s, m, h or d", text);
        uint64_t part = 0;
        if (!scale(millionths, unit->worth, (uint64_t)(DURATION_MAX_MS - total), &part))
            return fault_set(fault, ERR_INVALID, "\"%s\" is longer than 100 years", text);
        total += (int64_t)part;
    } while (*at != '\0');
    *ret_ms = total;
    return ERR_OK;
}

enum err size_parse(const char *text, uint64_t *ret_bytes, struct fault *fault)
{
    const char *at = text;
    uint64_t millionths = 0;
    if (!read_millionths(&at, &millionths))
        return fault_set(fault, ERR_INVALID, "\"%s\" is not a size such as 64KiB or 4MiB", text);
    const struct unit *unit = read_unit(&at, sizes, SIZE_COUNT);
    if (unit == NULL || *at != '\0')
        return fault_set(fault, ERR_INVALID, "\"%s\" needs a unit: B, KiB, MiB, GiB, KB, MB or GB", text);
    uint64_t bytes = 0;
    if (!scale(millionths, unit->worth, INT64_MAX, &bytes))
        return fault_set(fault, ERR_INVALID, "\"%s\" is too large", text);
    *ret_bytes = bytes;
    return ERR_OK;
}

enum err share_parse(const char *text, uint32_t *ret_ppm, struct fault *fault)
{
    const char *at = text;
    uint64_t millionths = 0;
    if (!read_millionths(&at, &millionths) || strcmp(at, "%") != 0)
        return fault_set(fault, ERR_INVALID, "\"%s\" is not a share such as 1%%", text);
    if (millionths > UINT64_C(100) * 1000000)
        return fault_set(fault, ERR_INVALID, "\"%s\" is more than 100%%", text);
    *ret_ppm = (uint32_t)(millionths / 100);
    return ERR_OK;
}

const char *duration_format(int64_t ms, char *text, size_t size)
{
    const char *sign = ms < 0 ? "-" : "";
    const uint64_t value = ms < 0 ? (uint64_t) - (ms + 1) + 1 : (uint64_t)ms;
    if (value < 1000) {
        (void)snprintf(text, size, "%s%" PRIu64 "%s", sign, value, value == 0 ? "s" : "ms");
        return text;
    }
    if (value < 60000) {
        const uint64_t tenths = value % 1000 / 100;
        if (tenths != 0)
            (void)snprintf(text, size, "%s%" PRIu64 ".%" PRIu64 "s", sign, value / 1000, tenths);
        else
            (void)snprintf(text, size, "%s%" PRIu64 "s", sign, value / 1000);
        return text;
    }
    // The two greatest units say enough.
    size_t first = 0;
    while (value < times[first].worth)
        first++;
    const uint64_t rest = value % times[first].worth / times[first + 1].worth;
    if (rest != 0)
        (void)snprintf(text, size, "%s%" PRIu64 "%s%" PRIu64 "%s", sign, value / times[first].worth,
                       times[first].name, rest, times[first + 1].name);
    else
        (void)snprintf(text, size, "%s%" PRIu64 "%s", sign, value / times[first].worth, times[first].name);
    return text;
}
