/* What bindings and drivers need of a C library's memory. A driver's instance lives for one call, so nothing is
   ever given back: free() does nothing. */
#pragma once
#include <stddef.h>

void *malloc(size_t size);
void *realloc(void *block, size_t size);
void free(void *block);
_Noreturn void abort(void);
