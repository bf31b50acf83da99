#include "cassets.h"

// One module of several files: what one of them declares the others use. The commas join them.
static const unsigned char browser_module[] = {
#embed "files/carillon/basics.js"
,
#embed "files/carillon/routes.js"
,
#embed "files/carillon/channels.js"
,
#embed "files/carillon/subscription.js"
,
#embed "files/carillon/httpstream.js"
,
#embed "files/carillon/fossil.js"
};
static const unsigned char demo_page[] = {
#embed "files/demo.html"
};
static const unsigned char chat_page[] = {
#embed "files/chat.html"
};

cassets_file cassets_browser_module(void) { return (cassets_file){browser_module, sizeof browser_module}; }
cassets_file cassets_demo_page(void) { return (cassets_file){demo_page, sizeof demo_page}; }
cassets_file cassets_chat_page(void) { return (cassets_file){chat_page, sizeof chat_page}; }
