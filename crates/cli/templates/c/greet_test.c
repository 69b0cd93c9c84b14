#include <greet.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  char text[80];
  greet(text, sizeof text, "test");
  if (strcmp(text, "Hello, test!") == 0) return 0;
  printf("got: %s\n", text);
  return 1;
}
