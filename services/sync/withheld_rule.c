#include "services/sync/withheld_rule.h"

bool withheld_by_guard(const struct config_job *job, uint64_t deletions, uint64_t count)
{
    return deletions > job->delete_min_count &&
           (double)deletions * 1e6 > (double)count * job->delete_max_share_ppm;
}

bool withheld_still(const struct changes *changes, struct bytes store_key, size_t *next)
{
    for (; *next < changes->withheld_count; (*next)++) {
        const struct bytes *kept = &changes->withheld[*next];
        const int order = record_compare_names(kept->data, kept->size, store_key.data, store_key.size);
        if (order >= 0)
            return order == 0;
    }
    return false;
}
