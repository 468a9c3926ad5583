"""What is counted: labels are bounded, whatever a server says."""

from __future__ import annotations

from netgpt.app.metrics import MOST_OUTCOMES, Metrics


def test_a_servers_own_words_do_not_become_labels_without_end() -> None:
    metrics = Metrics()
    for number in range(500):
        metrics.model_called("cloud", f"made_up_{number}")
    metrics.model_called("cloud", "Ada's secret 12")
    text = metrics.text().decode()
    assert text.count('netgpt_model_calls_total{outcome="made_up_') <= MOST_OUTCOMES
    assert 'outcome="other"' in text and "secret" not in text
