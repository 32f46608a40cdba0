"""Benches and measurements. So far ``speed``, behind ``warmline bench``; rubrics and judges have their own issue."""
