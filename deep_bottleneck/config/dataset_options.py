"""What a config may change about any data set: the key "dataset_options"."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator


class DatasetOptions(BaseModel):
    """The config key "dataset_options"; what is left out changes nothing.

    Attributes:
        n_train: how many of the training examples to keep, drawn at random.
        n_test: how many of the test examples to keep.
        classes: the classes to keep; they become 0, 1, ... in this order.
        label_noise: the share of training labels that are replaced by a random class, which may be
            the right one: at 1 there is nothing left to learn but to memorise (Zhang et al. 2017,
            "Understanding deep learning requires rethinking generalization", section 2.1).
        flat: whether an example is a vector, where it would be an image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_train: PositiveInt | None = Field(None, strict=True)
    n_test: PositiveInt | None = Field(None, strict=True)
    classes: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = Field(None, min_length=2)
    label_noise: float = Field(0.0, ge=0, le=1, strict=True)
    flat: bool = Field(False, strict=True)

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("should name each class only once")
        return classes
