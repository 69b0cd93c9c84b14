#include <cstdio>

#include "calc/sum.hpp"
#include "calc/times.h"

int main() { std::printf("%d\n", sum(2, times(3, 4))); }
