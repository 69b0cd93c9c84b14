#include <greet.h>
#include <stdio.h>
#include "words.h"

void greet(char *text, size_t size, const char *name) { snprintf(text, size, HELLO ", %s!", name); }
