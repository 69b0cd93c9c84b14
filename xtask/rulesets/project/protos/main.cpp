#include <cstdio>

#include "protos/left.hpp"
#include "protos/right.hpp"

int main() {
  Left l;
  Right r;
  l.mutable_base()->set_number(40);
  r.mutable_base()->set_number(2);
  std::printf("%d\n", left(l) + right(r));
}
