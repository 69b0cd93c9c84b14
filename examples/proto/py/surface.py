from geometry import area_pb2


def surface(area: area_pb2.Area) -> float:
    """In square metres."""
    sides = zip(area.corners, area.corners[1:] + area.corners[:1])
    return abs(sum(a.east * b.north - b.east * a.north for a, b in sides)) / 2
