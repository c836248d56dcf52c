import pytest
from torch import nn

from deep_bottleneck.state_space.matching import LayerMatcher, Method

LAYERS = {"conv_1": nn.Conv2d, "elu_1": nn.ELU, "conv_2": nn.Conv2d, "pred": nn.Linear}


@pytest.mark.parametrize(
    ("attach_to", "exclude", "expected"),
    [
        (["Conv2d"], [], ["conv_1", "conv_2"]),
        ("Conv2d", [], ["conv_1", "conv_2"]),
        (nn.Conv2d, [], ["conv_1", "conv_2"]),
        (["pred", "Conv2d"], "conv_1", ["conv_2", "pred"]),
        (["conv_2", nn.Linear], [], ["conv_2", "pred"]),
        ((nn.Module,), ["Conv2d", nn.ELU], ["pred"]),
    ],
)
def test_layers_are_picked_by_type_and_name_in_the_order_of_the_network(
    attach_to, exclude, expected
):
    assert LayerMatcher(attach_to, exclude).select(LAYERS) == expected


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("Conv2D", "did you mean 'Conv2d'"),
        ("conv1", "did you mean 'conv_1' or 'conv_2'"),
        ("transformer", "its layers are of the types Conv2d, ELU, Linear"),
        (nn.Conv3d, "did you mean 'Conv2d'"),
    ],
)
def test_a_misspelt_layer_gets_a_hint(wrong, hint):
    with pytest.raises(
        ValueError, match=f"attach_to names .* no layer of that name or type; {hint}"
    ):
        LayerMatcher(["pred", wrong]).select(LAYERS)
    with pytest.raises(ValueError, match=f"exclude names .*{hint}"):
        LayerMatcher(["pred"], [wrong]).select(LAYERS)


def test_no_layer_at_all_is_an_error():
    with pytest.raises(ValueError, match="attach_to names no layer"):
        LayerMatcher([])
    with pytest.raises(ValueError, match="exclude leaves none"):
        LayerMatcher(["pred"], ["Linear"]).select(LAYERS)


def test_an_entry_of_another_type_is_named():
    with pytest.raises(TypeError, match="attach_to takes types or names of layers, got 3"):
        LayerMatcher(["pred", 3])


def test_a_method_that_does_not_exist_lists_those_that_do():
    with pytest.raises(ValueError, match=r"one of \['before', 'after', 'both'\], got 'around'"):
        Method.parse("around")
