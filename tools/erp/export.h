// GET /export/ENTITY.csv or .json: whole, by ranges or by pages.
#ifndef SYNCBUS_ERP_EXPORT_H
#define SYNCBUS_ERP_EXPORT_H

#include "tools/erp/server.h"

// Answers a request below /export/.
enum MHD_Result export_answer(struct request *request);

#endif
