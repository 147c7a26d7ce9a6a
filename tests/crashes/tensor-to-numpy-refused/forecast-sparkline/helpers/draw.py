"""Curves as SVG files, for machines without a plotting library."""

import numpy as np

COLOURS = ("#1f6f8b", "#d1495b", "#66a182", "#edae49")


def _points(values, low, high, width, height):
    x = np.linspace(0, width, len(values))
    y = height - (values - low) / max(high - low, 1e-9) * height
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y))


def curves_to_svg(curves, path, width=480, height=160):
    arrays = list(map(lambda c: c.flatten().numpy(), curves.values()))
    low = min(a.min() for a in arrays)
    high = max(a.max() for a in arrays)
    lines = []
    for array, name, colour in zip(arrays, curves, COLOURS):
        points = _points(array, low, high, width, height)
        lines.append(
            f'<polyline fill="none" stroke="{colour}" points="{points}"><title>{name}</title>'
            "</polyline>"
        )
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">')
        f.write("\n".join(lines) + "</svg>\n")
    return path
