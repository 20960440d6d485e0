// Below /admin/: the judge's counts, the next versions, mischief.
#ifndef SYNCBUS_ERP_ADMIN_H
#define SYNCBUS_ERP_ADMIN_H

#include "tools/erp/server.h"

// Answers a request below /admin/.
enum MHD_Result admin_answer(struct request *request);

#endif
