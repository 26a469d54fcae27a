"""A model as one module of PyTorch: transformers' encoder, our pooling without the instruction, and what follows it.

It is what PyTorch exports to other runtimes, so it has no step that depends on values, and takes any batch and length.
"""

from typing import Any

import numpy as np

from instructor_jax.backbones.weight_names import dense_name
from instructor_jax.config import ModelConfig
from instructor_jax.io.settings.vector_modules import activation_class

from .torch_encoder import torch_encoder


def pooled_encoder(config: ModelConfig, params: dict[str, Any]) -> Any:
    """Returns a PyTorch module from padded token ids, their mask and instruction lengths to vectors [batch, dim].

    Args:
        config: of the model.
        params: our nested parameters, of any dtype; the module computes in float32.

    Raises:
        ImportError: torch or transformers is not installed.
        ValueError: transformers' class does not take these weights.
    """
    import torch

    class PooledEncoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            # "eager" is plain products and a softmax, which every runtime has and fuses by itself.
            self.encoder = torch_encoder(config, params, attn_implementation="eager")
            self.pooling = pooling(config, params)

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, instruction_tokens: torch.Tensor
        ) -> torch.Tensor:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return self.pooling(hidden, attention_mask, instruction_tokens)

    return PooledEncoder().eval()


def pooling(config: ModelConfig, params: dict[str, Any]) -> Any:
    """Returns a PyTorch module from hidden states [batch, length, embed], mask and instruction lengths to vectors.

    Args:
        config: of the model.
        params: our nested parameters, of any dtype; the module computes in float32.

    Raises:
        ImportError: torch is not installed.
    """
    import torch

    def tensor(array: Any) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.tensor(np.asarray(array, np.float32)), requires_grad=False)

    class Pooling(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
            self.functions = torch.nn.ModuleList()
            for index, shape in enumerate(config.dense):
                layer = params["dense"][dense_name(index)]
                self.weights.append(tensor(layer["weight"]))
                self.biases.append(tensor(layer["bias"] if shape.bias else np.zeros(shape.size)))
                self.functions.append(getattr(torch.nn, activation_class(shape.activation).rpartition(".")[2])())
            self.projection = None if config.projection is None else tensor(params["projection"])

        def forward(
            self, hidden: torch.Tensor, attention_mask: torch.Tensor, instruction_tokens: torch.Tensor
        ) -> torch.Tensor:
            place = torch.arange(hidden.shape[1])[None]
            pooled = (attention_mask != 0) & (place >= instruction_tokens[:, None])
            if config.pooling != "mean":  # the first or the last pooled token alone
                seen = pooled.long().cumsum(1)
                pooled = pooled & (seen == (1 if config.pooling == "cls" else seen[:, -1:]))
            counted = pooled[..., None]
            vectors = hidden.masked_fill(~counted, 0.0).sum(1) / counted.sum(1).clamp(min=1)
            for weight, bias, function in zip(self.weights, self.biases, self.functions, strict=True):
                vectors = function(vectors @ weight + bias)
            if self.projection is not None:
                vectors = vectors @ self.projection
            return torch.nn.functional.normalize(vectors) if config.normalize else vectors

    return Pooling().eval()
