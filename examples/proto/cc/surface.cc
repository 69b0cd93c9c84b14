#include "cc/surface.h"

#include <cmath>

double surface(const geometry::Area& area) {
  double twice = 0;
  for (int i = 0; i < area.corners_size(); ++i) {
    const geometry::Point& from = area.corners(i);
    const geometry::Point& to = area.corners((i + 1) % area.corners_size());
    twice += from.east() * to.north() - to.east() * from.north();
  }
  return std::abs(twice) / 2;
}
