#include <cstdio>
#include <cstdlib>

#include "calc/sum.hpp"

int main(int, char** argv) {
  std::printf("%d\n", sum(1, 1));
  return sum(1, 1) == std::atoi(argv[1]) ? 0 : 1;
}
