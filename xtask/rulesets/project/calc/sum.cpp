#include "calc/sum.hpp"

#ifndef START
#define START 0
#endif

int sum(int a, int b) { return START + a + b; }
