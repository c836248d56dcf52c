"""What a config may change about any data set: the key "dataset_options"."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator


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
    classes: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = None
    label_noise: float = Field(0.0, ge=0, le=1, strict=True)
    flat: bool = Field(False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _is_object(cls, value: Any) -> Any:
        if isinstance(value, dict | cls):
            return value
        raise ValueError(f"should be an object with any of {', '.join(cls.model_fields)}")

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is None:
            return None
        if len(classes) < 2:
            raise ValueError("should have at least 2 items")
        if len(set(classes)) < len(classes):
            raise ValueError("should name each class only once")
        return classes
