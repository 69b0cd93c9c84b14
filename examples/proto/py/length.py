import math

from geometry import path_pb2


def length(path: path_pb2.Path) -> float:
    """In metres, along all the points."""
    legs = zip(path.points, path.points[1:])
    return sum(math.hypot(b.east - a.east, b.north - a.north) for a, b in legs)
