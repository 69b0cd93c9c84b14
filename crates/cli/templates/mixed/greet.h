#ifndef GREET_H
#define GREET_H
#include <stddef.h>

/* Writes a greeting of at most size bytes, the final 0 included. */
void greet(char *text, size_t size, const char *name);

#endif
