"""town new FILE: writes a town; town show FILE: tells about one. The same as town.cc."""
import sys

from geometry import area_pb2, path_pb2, point_pb2, town_pb2
from py import length, surface


def build() -> town_pb2.Town:
    points = [point_pb2.Point(east=e, north=n) for e, n in ((0, 0), (3, 4), (3, 16))]
    corners = [point_pb2.Point(east=e, north=n) for e, n in ((0, 0), (6, 0), (6, 4), (0, 4))]
    return town_pb2.Town(
        streets=[path_pb2.Path(name="Mill Lane", points=points)],
        squares=[area_pb2.Area(name="Corn Market", corners=corners)],
    )


def tell(town: town_pb2.Town) -> None:
    for street in town.streets:
        print(f"{street.name}: {length.length(street):.1f} m")
    for square in town.squares:
        print(f"{square.name}: {surface.surface(square):.1f} m2")


def main(args: list[str]) -> int:
    match args:
        case ["new", name]:
            with open(name, "wb") as file:
                file.write(build().SerializeToString())
            return 0
        case ["show", name]:
            with open(name, "rb") as file:
                tell(town_pb2.Town.FromString(file.read()))
            return 0
    print("usage: town new|show FILE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
