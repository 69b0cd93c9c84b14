#include "greet/greet.h"

#include <stdio.h>

#include "names.h"

int greet_all(void) {
    int count = 0;
    printf("hello %s\n", VERSION);
    for (; names[count]; count++) {
        printf("Hello, %s!\n", names[count]);
    }
    return count;
}
