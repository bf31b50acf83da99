#include "cassets.h"

static const unsigned char browser_module[] = {
#embed "files/carillon.js"
};
static const unsigned char demo_page[] = {
#embed "files/demo.html"
};

cassets_file cassets_browser_module(void) { return (cassets_file){browser_module, sizeof browser_module}; }
cassets_file cassets_demo_page(void) { return (cassets_file){demo_page, sizeof demo_page}; }
