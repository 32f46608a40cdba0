"""Benches and measurements. So far: ``speed``, behind ``warmline bench``; rubrics and judges come in their own issue."""
