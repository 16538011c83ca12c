"""Benchmark: systems over a grid of channels, rates and SNRs, with tables, figures and a report."""
