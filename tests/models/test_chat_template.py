"""Tools for models whose own template ignores them."""

from netgpt.models.engine import with_tools


def test_only_a_chatml_template_without_tools_is_extended() -> None:
    own = "{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}"
    extended = with_tools(own)
    assert extended is not None
    assert own in extended, "without tools the model's own template still speaks"
    assert "<tool_call>" in extended
    assert with_tools(own + "{{ tools }}") is None
    assert with_tools("[INST] {{ messages }} [/INST]") is None
