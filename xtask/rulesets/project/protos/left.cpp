#include "protos/left.hpp"

int left(const Left& of) { return of.base().number(); }
