"""Measures: benches, judges with rubrics, statistics, reports; the speed of the parts and the protocol's self-check."""
