"""The chunked loss against PyTorch's own, in both formats, for hopeless and for nearly certain tokens."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra: pip install 'netgpt[train]'")

from netgpt.training.lora.model import answer_loss  # noqa: E402


@pytest.mark.parametrize("rows", [1, 63, 64, 257, 600])
def test_loss_and_gradient_are_those_of_all_logits_at_once(rows: int) -> None:
    dice = torch.Generator().manual_seed(rows)
    x, head = torch.randn(rows, 16, generator=dice, requires_grad=True), torch.randn(300, 16, generator=dice)
    targets = torch.randint(0, 300, (rows,), generator=dice)
    loss = answer_loss(x, head, targets)
    (loss / rows).backward()
    again = x.detach().clone().requires_grad_(True)
    wanted = torch.nn.functional.cross_entropy(again @ head.T, targets, reduction="sum")
    (wanted / rows).backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(x.grad, again.grad, rtol=1e-4, atol=1e-6)


def test_a_trained_head_gets_its_gradient() -> None:
    x, head = torch.randn(70, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    answer_loss(x, head, torch.zeros(70, dtype=torch.long)).backward()
    assert x.grad is not None
    assert head.grad is not None
    assert float(head.grad.abs().sum()) > 0


@pytest.mark.parametrize("scale", [0.0, 4.0, 8.0, 12.0, -8.0])
def test_bfloat16_keeps_what_is_nearly_known(scale: float) -> None:
    """Chances from 1e-4 to 1 - 1e-4 of the wanted token: loss and gradient within a hundredth."""
    head = torch.eye(64, dtype=torch.bfloat16)
    x = torch.zeros(1, 64, dtype=torch.bfloat16)
    x[0, 5] = scale
    exact = x.float().requires_grad_(True)
    wanted = torch.nn.functional.cross_entropy(exact @ head.float().T, torch.tensor([5]))
    wanted.backward()
    x.requires_grad_(True)
    loss = answer_loss(x, head, torch.tensor([5]))
    loss.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=0.02, abs=1e-3)
    assert x.grad is not None
    torch.testing.assert_close(x.grad.float(), exact.grad, rtol=0.02, atol=1e-4)
