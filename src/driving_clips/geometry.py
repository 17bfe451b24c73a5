"""Rotations and frames, vectorised. Quaternions are scalar-last (x, y, z, w), frames right-handed, z up."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# WGS 84, NIMA TR8350.2
EARTH_RADIUS_M = 6_378_137.0
EARTH_FLATTENING = 1.0 / 298.257223563


def yaw_of(quat: Floats) -> Floats:
    """Return the heading (..., ) in rad of rotations (..., 4): atan2 of the rotated x axis, left positive."""
    x, y, z, w = np.moveaxis(quat, -1, 0)
    yaw: Floats = np.arctan2(2.0 * (x * y + w * z), 1.0 - 2.0 * (y * y + z * z))
    return yaw


def quat_of_yaw(yaw: Floats) -> Floats:
    """Return the rotations (..., 4) about z by ``yaw`` (...,) in rad."""
    zero = np.zeros_like(yaw)
    return np.stack([zero, zero, np.sin(yaw / 2), np.cos(yaw / 2)], axis=-1)


def quat_of_matrix(matrix: Floats) -> Floats:
    """Return the quaternions (N, 4) of rotation matrices (N, 3, 3).

    Of the four equivalent forms the one with the largest divisor is taken for each row
    (S. W. Shepperd, "Quaternion from Rotation Matrix", J. Guidance and Control, 1978).
    """
    trace = np.trace(matrix, axis1=1, axis2=2)
    diagonal = np.diagonal(matrix, axis1=1, axis2=2)
    largest = np.argmax(np.concatenate([diagonal, trace[:, None]], axis=1), axis=1)
    quat = np.empty((len(matrix), 4))
    for i in range(3):
        rows = largest == i
        m = matrix[rows]
        j, k = (i + 1) % 3, (i + 2) % 3
        quat[rows, i] = 1 + m[:, i, i] - m[:, j, j] - m[:, k, k]
        quat[rows, j] = m[:, j, i] + m[:, i, j]
        quat[rows, k] = m[:, k, i] + m[:, i, k]
        quat[rows, 3] = m[:, k, j] - m[:, j, k]
    rows = largest == 3
    m = matrix[rows]
    quat[rows] = np.stack(
        [m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1], 1 + trace[rows]], axis=1
    )
    normalised: Floats = quat / np.linalg.norm(quat, axis=1, keepdims=True)
    return normalised


def multiply(a: Floats, b: Floats) -> Floats:
    """Return the rotations (..., 4) that apply ``b`` first, then ``a``."""
    ax, ay, az, aw = np.moveaxis(a, -1, 0)
    bx, by, bz, bw = np.moveaxis(b, -1, 0)
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def rotate(quat: Floats, vectors: Floats) -> Floats:
    """Rotate vectors (N, 3) by unit quaternions (N, 4)."""
    axis, w = quat[..., :3], quat[..., 3:]
    turned = 2.0 * np.cross(axis, vectors)
    rotated: Floats = vectors + w * turned + np.cross(axis, turned)
    return rotated


def slerp(a: Floats, b: Floats, weight: Floats) -> Floats:
    """Interpolate unit quaternions (N, 4) along the shorter arc; ``weight`` (N,) 0 gives ``a``, 1 gives ``b``.

    K. Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985; straight line where the arc
    is so short that the sine would lose digits.
    """
    dot = np.einsum("ij,ij->i", a, b)
    b = np.where(dot[:, None] < 0.0, -b, b)
    dot = np.minimum(np.abs(dot), 1.0)
    angle = np.arccos(dot)
    sine = np.sin(angle)
    short = sine < 1e-6
    safe = np.where(short, 1.0, sine)
    weight_a = np.where(short, 1.0 - weight, np.sin((1.0 - weight) * angle) / safe)
    weight_b = np.where(short, weight, np.sin(weight * angle) / safe)
    mixed = weight_a[:, None] * a + weight_b[:, None] * b
    unit: Floats = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    unit[weight == 0.0] = a[weight == 0.0]  # the samples themselves, to the last bit
    unit[weight == 1.0] = b[weight == 1.0]
    return unit


def enu_axes(ecef: Floats) -> Floats:
    """Return the matrix (3, 3) whose rows are east, north and up at an earth-centred position (3,) in m.

    Latitude by Bowring's formula (B. R. Bowring, Survey Review 23, 1976), exact to far below a microradian on roads.
    """
    x, y, z = ecef
    e2 = EARTH_FLATTENING * (2 - EARTH_FLATTENING)
    minor = EARTH_RADIUS_M * (1 - EARTH_FLATTENING)
    p = np.hypot(x, y)
    beta = np.arctan2(z * EARTH_RADIUS_M, p * minor)
    latitude = np.arctan2(
        z + e2 / (1 - e2) * minor * np.sin(beta) ** 3,
        p - e2 * EARTH_RADIUS_M * np.cos(beta) ** 3,
    )
    longitude = np.arctan2(y, x)
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(latitude), np.cos(latitude), np.sin(longitude), np.cos(longitude)
    return np.array(
        [
            [-sin_lon, cos_lon, 0.0],
            [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
            [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
        ]
    )
