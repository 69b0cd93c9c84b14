// town new FILE: writes a town; town show FILE: tells about one. The same as town.py.
#include <cstdio>
#include <fstream>
#include <string>

#include "cc/length.h"
#include "cc/surface.h"
#include "geometry/town.pb.h"

namespace {

template <typename Points>
void add(Points* points, double east, double north) {
  geometry::Point* point = points->Add();
  point->set_east(east);
  point->set_north(north);
}

geometry::Town build() {
  geometry::Town town;
  geometry::Path* street = town.add_streets();
  street->set_name("Mill Lane");
  add(street->mutable_points(), 0, 0);
  add(street->mutable_points(), 3, 4);
  add(street->mutable_points(), 3, 16);
  geometry::Area* square = town.add_squares();
  square->set_name("Corn Market");
  add(square->mutable_corners(), 0, 0);
  add(square->mutable_corners(), 6, 0);
  add(square->mutable_corners(), 6, 4);
  add(square->mutable_corners(), 0, 4);
  return town;
}

void tell(const geometry::Town& town) {
  for (const geometry::Path& street : town.streets()) {
    std::printf("%s: %.1f m\n", street.name().c_str(), length(street));
  }
  for (const geometry::Area& square : town.squares()) {
    std::printf("%s: %.1f m2\n", square.name().c_str(), surface(square));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 3 ? argv[1] : "";
  if (what == "new") {
    std::ofstream file(argv[2], std::ios::binary);
    return build().SerializeToOstream(&file) ? 0 : 1;
  }
  if (what == "show") {
    std::ifstream file(argv[2], std::ios::binary);
    geometry::Town town;
    if (!file || !town.ParseFromIstream(&file)) return 1;
    tell(town);
    return 0;
  }
  std::fputs("usage: town new|show FILE\n", stderr);
  return 2;
}
