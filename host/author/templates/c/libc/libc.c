/* As much of a C library as a driver needs: there is no system below it, and it lives for one call. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where the linker's own data ends. */
extern unsigned char __heap_base;

static const size_t PAGE = 65536;
/* Enough for every type of C. It is also what a block begins with: its size. */
static const size_t ALIGNMENT = 16;

static uintptr_t next;

/* A host gives an instance 64 MiB. Who asks for more gets nothing, as from any malloc(). */
void *malloc(size_t size) {
  if (next == 0) next = ((uintptr_t)&__heap_base + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
  if (size > SIZE_MAX / 2) return NULL;
  size_t taken = ALIGNMENT + ((size + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
  size_t there = (size_t)__builtin_wasm_memory_size(0) * PAGE;
  if (next > there || taken > there - next) {
    size_t pages = (next + taken - there + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
  }
  size_t *block = (size_t *)next;
  *block = size;
  next += taken;
  return (unsigned char *)block + ALIGNMENT;
}

void *realloc(void *block, size_t size) {
  void *moved = malloc(size);
  if (block != NULL && moved != NULL) {
    size_t old = *(size_t *)((unsigned char *)block - ALIGNMENT);
    memcpy(moved, block, old < size ? old : size);
  }
  return moved;
}

void free(void *block) { (void)block; }

_Noreturn void abort(void) { __builtin_trap(); }

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
  unsigned char *target = to;
  const unsigned char *source = from;
  while (size-- > 0) *target++ = *source++;
  return to;
}

int memcmp(const void *left, const void *right, size_t size) {
  const unsigned char *a = left, *b = right;
  for (; size > 0; size--, a++, b++) {
    if (*a != *b) return *a < *b ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}
