#include <stdio.h>

#include "found.h"
#include "given.h"

int main(void) {
#ifdef HAVE_IT
  printf("%s %d %d\n", name, SIZEOF_SHORT, HAVE_STDIO_H);
#endif
  return 0;
}
