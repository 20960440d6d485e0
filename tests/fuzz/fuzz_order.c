// Any bytes are an order or none, and an answer of the ERP or none, never a crash; what is taken as an order
// is still one when its reference was added, and cannot be taken again.
#include "services/order/book.h"
#include "services/order/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_id(enum err err, const char *id)
{
    assert(err != ERR_OK || (strlen(id) > 0 && strlen(id) <= TEXT_ERP_ID_MAX));
}

static void check_order(const char *body)
{
    struct fault fault = {.err = ERR_OK};
    struct buffer text;
    if (text_check_order(body, &fault) != ERR_OK) {
        assert(fault.text[0] != '\0');
        return;
    }
    buffer_init(&text, BOOK_BODY_MAX + 1024);
    enum err err = text_with_reference(body, "K\"1", &text);
    assert(err == ERR_OK);
    err = buffer_add_byte(&text, '\0');
    assert(err == ERR_OK);
    if (text.size - 1 <= BOOK_BODY_MAX) {
        err = text_check_order(text.data, &fault);
        assert(err == ERR_INVALID);
        assert(strstr(fault.text, "reference") != NULL);
    }
    buffer_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char id[TEXT_ERP_ID_MAX + 1] = "";
    char *text = malloc(size + 1);
    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_id(text_placed_id(text, size, id), id);
    check_id(text_found_id(text, size, "K", id), id);
    (void)!text_check_key(text, NULL);
    check_order(text);
    free(text);
    return 0;
}
