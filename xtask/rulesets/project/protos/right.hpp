#pragma once
#include "protos/right.pb.h"
int right(const Right& of);
