#pragma once
#include "protos/left.pb.h"
int left(const Left& of);
