"""What sentence-transformers' class has as a PyTorch module and there is none of here: each name says what to do."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, TypeAlias

Answer: TypeAlias = Callable[..., NoReturn]

_TRAIN = "train with `instructor-jax train`, or with instructor_jax.train in Python (docs/train.md)"
_WEIGHTS = "the weights are `params`, a nested dictionary of arrays; `with_params` gives the model other ones"
_PURE = "call encode, or instructor_jax.nn.model.embed, a pure function of parameters and token batches"
_MODULES = "this is one JAX model, not a list of PyTorch modules; `config` describes it"
_ADAPTER = "merge the adapter into the weights with peft's merge_and_unload, and load the merged model"


def _answer(name: str, cure: str) -> Any:
    def answer(self: Any, *args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(f"{name} is PyTorch's and not offered here: {cure}.")

    answer.__name__ = answer.__qualname__ = name
    answer.__doc__ = f"Answers in a sentence: {cure}."
    return answer


class Answers:
    """The names that only answer."""

    fit: ClassVar[Answer] = _answer("fit", _TRAIN)
    old_fit: ClassVar[Answer] = _answer("old_fit", _TRAIN)
    smart_batching_collate: ClassVar[Answer] = _answer("smart_batching_collate", _TRAIN)
    get_sentence_features: ClassVar[Answer] = _answer("get_sentence_features", "call tokenize(texts) for ids and masks")
    gradient_checkpointing_enable: ClassVar[Answer] = _answer("gradient_checkpointing_enable", _TRAIN)
    requires_grad_: ClassVar[Answer] = _answer("requires_grad_", _TRAIN)
    zero_grad: ClassVar[Answer] = _answer("zero_grad", _TRAIN)
    parameters: ClassVar[Answer] = _answer("parameters", _WEIGHTS)
    named_parameters: ClassVar[Answer] = _answer("named_parameters", _WEIGHTS)
    buffers: ClassVar[Answer] = _answer("buffers", _WEIGHTS)
    named_buffers: ClassVar[Answer] = _answer("named_buffers", _WEIGHTS)
    state_dict: ClassVar[Answer] = _answer("state_dict", f"{_WEIGHTS}; save_pretrained writes PyTorch's names")
    load_state_dict: ClassVar[Answer] = _answer("load_state_dict", f"{_WEIGHTS}; from_pretrained reads PyTorch's files")
    share_memory: ClassVar[Answer] = _answer("share_memory", "a pickled model brings its weights to the other process")
    modules: ClassVar[Answer] = _answer("modules", _MODULES)
    children: ClassVar[Answer] = _answer("children", _MODULES)
    named_modules: ClassVar[Answer] = _answer("named_modules", _MODULES)
    named_children: ClassVar[Answer] = _answer(  # what torch.quantization.quantize_dynamic asks first
        "named_children", f"{_MODULES}. To quantise, load it with dtype='auto', or encode with precision='int8'"
    )
    add_module: ClassVar[Answer] = _answer("add_module", _MODULES)
    append: ClassVar[Answer] = _answer("append", _MODULES)
    apply: ClassVar[Answer] = _answer("apply", _MODULES)
    _first_module: ClassVar[Answer] = _answer("_first_module", _MODULES)
    _last_module: ClassVar[Answer] = _answer("_last_module", _MODULES)
    __getitem__: ClassVar[Answer] = _answer("model[index]", _MODULES)
    __len__: ClassVar[Answer] = _answer("len(model)", _MODULES)
    __iter__: ClassVar[Answer] = _answer("iteration over the model", _MODULES)
    forward: ClassVar[Answer] = _answer("forward", _PURE)
    __call__: ClassVar[Answer] = _answer("calling the model", _PURE)
    add_adapter: ClassVar[Answer] = _answer("add_adapter", _ADAPTER)
    load_adapter: ClassVar[Answer] = _answer("load_adapter", _ADAPTER)
    register_forward_hook: ClassVar[Answer] = _answer("register_forward_hook", _PURE)
    merge: ClassVar[Answer] = _answer("merge", f"average the `params` of several models; {_WEIGHTS}")

    def __bool__(self) -> bool:  # `if model:` would otherwise ask for its length
        return True
