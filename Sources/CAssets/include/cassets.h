// Files that the binary carries, so that `carillon serve` needs nothing beside it. See files/.
#pragma once
#include <stddef.h>

/// One embedded file: where its bytes are and how many. Static memory, never freed.
typedef struct {
    const unsigned char *bytes;
    size_t length;
} cassets_file;

/// `carillon.js`, the browser module served at /channels/carillon.js.
cassets_file cassets_browser_module(void);
/// The demonstration page.
cassets_file cassets_demo_page(void);
/// The page of the demonstration's chat.
cassets_file cassets_chat_page(void);
