#pragma once
#include "geometry/path.pb.h"

// In metres, along all the points.
double length(const geometry::Path& path);
