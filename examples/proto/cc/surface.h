#pragma once
#include "geometry/area.pb.h"

// In square metres.
double surface(const geometry::Area& area);
