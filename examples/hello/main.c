#include "greet/greet.h"

int main(void) {
    return greet_all() > 0 ? 0 : 1;
}
