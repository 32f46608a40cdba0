"""Measurements. So far ``speed`` and the self-check of the ``protocol``; benches and judges have their own issue."""
