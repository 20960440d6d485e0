// Takes the exclusive lease of a resource, shows its token, and gives it back.
#include <stdio.h>
#include <syncbus.h>

static void work(syncbus_client_t *bus, uint64_t claim, uint64_t token)
{
    struct syncbus_notice notice;
    printf("granted %llu\n", (unsigned long long)token);
    // A step of work, as long as the lease lives; syncbus_wait renews it meanwhile.
    for (int step = 0; step < 3 && syncbus_left_ms(bus, claim) > 0; step++)
        (void)syncbus_wait(bus, 100, &notice);
    printf("left %s\n", syncbus_left_ms(bus, claim) > 0 ? "some" : "none");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const struct syncbus_options options = {.requests = argv[1], .name = "lease.c"};
    syncbus_client_t *bus = syncbus_new(&options);
    if (bus == NULL)
        return 1;
    uint64_t claim = 0, token = 0;
    enum syncbus_code code = syncbus_lease(bus, argv[2], "an example in C", 10000, &claim, &token);
    if (code == SYNCBUS_OK) {
        work(bus, claim, token);
        syncbus_release(bus, claim, false);
        printf("released\n");
    } else {
        fprintf(stderr, "not granted: %s\n", syncbus_last_text(bus));
    }
    syncbus_destroy(&bus);
    return code == SYNCBUS_OK ? 0 : 1;
}
