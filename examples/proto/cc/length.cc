#include "cc/length.h"

#include <cmath>

double length(const geometry::Path& path) {
  double sum = 0;
  for (int i = 1; i < path.points_size(); ++i) {
    const geometry::Point& from = path.points(i - 1);
    const geometry::Point& to = path.points(i);
    sum += std::hypot(to.east() - from.east(), to.north() - from.north());
  }
  return sum;
}
