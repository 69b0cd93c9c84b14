#include "protos/right.hpp"

int right(const Right& of) { return of.base().number(); }
