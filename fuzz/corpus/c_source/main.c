/* int main(void) in a comment */
#ifndef GUARD
#define GUARD "config.h"
#include <stdio.h>
#include GUARD
#if defined(__linux__) && !(A + 1 >= 0x10UL) || __has_include(<x.h>)
#  include "a//b.h" // not a comment
#elif B
extern "C" {
#else
static const char *s = "#include \"no.h\"" 'x' "\
int main() {";
#endif
#endif
int
main(argc, argv)
  int argc;
  char **argv;
{ return 1'000; }
