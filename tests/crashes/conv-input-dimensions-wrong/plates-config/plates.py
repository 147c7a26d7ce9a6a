import torch

# 5x5 크기의 기호 여섯 개
GLYPHS = [
    "#####" "#...#" "#...#" "#...#" "#####",
    "..#.." ".##.." "..#.." "..#.." ".###.",
    "#...#" ".#.#." "..#.." ".#.#." "#...#",
    "..#.." "..#.." "#####" "..#.." "..#..",
    "####." "#...#" "####." "#...#" "####.",
    "#...." "#...." "#...." "#...." "#####",
]


def scan_plates(n_plates, noise):
    """Grey scans (N, 1, 20, 20): a symbol, scaled up, at a random place."""
    masks = torch.stack(
        [torch.tensor([float(c == "#") for c in g]).view(5, 5) for g in GLYPHS]
    ).repeat_interleave(3, dim=1)
    masks = masks.repeat_interleave(3, dim=2)
    symbols = torch.randint(len(GLYPHS), (n_plates,))
    scans = torch.zeros(n_plates, 1, 20, 20)
    for n, symbol in enumerate(symbols.tolist()):
        top, left = torch.randint(0, 6, (2,)).tolist()
        scans[n, 0, top : top + 15, left : left + 15] = masks[symbol]
    return scans + noise * torch.randn_like(scans), symbols
