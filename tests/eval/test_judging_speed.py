import pytest

from warmline.eval.judging_speed import measure


@pytest.mark.timeout(300)
def test_memory_does_not_grow_with_the_judgements() -> None:
    """Ten times as many hold ten times as many questions in memory, some 4 kB each, and nothing else."""
    few, many = measure(40, 400)
    assert many.peak_mb - few.peak_mb < 6
    assert (few.answers, many.answers) == (40, 400)
