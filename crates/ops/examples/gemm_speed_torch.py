"""Prints how fast PyTorch multiplies matrices on the CPU, for comparison with gemm_speed.rs.

Usage: python gemm_speed_torch.py [threads]   (GFLOP/s, best of several runs, f32)
"""

import sys
import time

import torch

SHAPES = [
    (4096, 128, 128), (4096, 512, 128), (4096, 256, 1024), (128, 512, 4096), (1024, 896, 896),
    (1024, 4864, 896), (1024, 896, 4864), (1024, 1024, 1024), (2048, 2048, 2048),
    (1, 4864, 896), (16, 4864, 896), (64, 4864, 896),
]


def best_time(run):
    run()
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < 0.15:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
for m, n, k in SHAPES:
    x, w, c = torch.randn(m, k), torch.randn(n, k), torch.empty(m, n)
    turned_x, turned_w = torch.randn(k, m), torch.randn(k, n)
    cases = {
        "x·Wᵀ": lambda: torch.mm(x, w.t(), out=c),
        "dY·W": lambda: torch.mm(x, turned_w, out=c),
        "dYᵀ·X": lambda: torch.mm(turned_x.t(), turned_w, out=c),
    }
    figures = [f"{name} {2e-9 * m * n * k / best_time(run):7.1f}" for name, run in cases.items()]
    print(f"{m}x{n}x{k}".ljust(18), "  ".join(figures))
