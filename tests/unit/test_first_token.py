"""A classifier's last layer computed for the first token alone: same answers, same weights, less work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from modelyard.methods import runtimes
from modelyard.methods.networks.first_token import FirstToken, first_token
from modelyard.methods.runtimes.differentiable import open_differentiable
from tests.support.small_models import huggingface, records

SIZES: dict[str, Any] = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip


def classifier(family: str, **more: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SIZES, **more)
    made = getattr(transformers, f"{family}ForSequenceClassification")(config).eval()
    with torch.no_grad():
        for part in made.parameters():
            part.normal_(0, 0.3)
    return made


def batch(lengths: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 60, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return {"input_ids": ids * mask, "attention_mask": mask.long()}


@pytest.mark.parametrize("lengths", [(1, 7, 19), (9, 9), (1,)])
@pytest.mark.parametrize("family", ["Bert", "Camembert", "Electra", "Roberta", "XLMRoberta"])
def test_answers_are_those_of_all_tokens(family: str, lengths: tuple[int, ...]) -> None:
    whole = classifier(family, num_labels=3)
    with torch.inference_mode():
        expected, found = whole(**batch(lengths)).logits, first_token(whole)(**batch(lengths)).logits
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_last_layer_sees_one_token_a_row() -> None:
    whole, seen = classifier("Bert"), []
    for layer in whole.bert.encoder.layer:
        layer.intermediate.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    with torch.inference_mode():
        first_token(whole)(**batch((5, 19)))
        assert seen == [19, 19, 1]
        whole(**batch((5, 19)))
    assert seen[3:] == [19, 19, 19]


def test_weights_are_shared_and_the_first_classifier_is_as_it_was() -> None:
    whole = classifier("Bert")
    fast = first_token(whole)
    assert not any(isinstance(part, FirstToken) for part in whole.modules())
    assert {id(one) for one in fast.parameters()} == {id(one) for one in whole.parameters()}


@pytest.mark.parametrize(
    "other",
    [classifier("Bert", attn_implementation="eager"), classifier("Bert", is_decoder=True), torch.nn.Linear(2, 2),
     transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(vocab_size=9, dim=8, n_layers=1,
                                                                                    n_heads=1, hidden_dim=8))],
)  # fmt: skip
def test_others_are_left_alone(other: Any) -> None:
    assert first_token(other) is other


def test_a_model_folder_answers_by_it_and_its_network_stays_whole() -> None:
    made: Path = huggingface()
    predictor: Any = runtimes.load(made)
    assert any(isinstance(part, FirstToken) for part in predictor.network._answering.modules())
    assert not any(isinstance(part, FirstToken) for part in open_differentiable(made).module.modules())
    encoded = predictor.preprocessor.encode([record["text"] for record in records(9)])
    with torch.inference_mode():
        whole = predictor.network.module(**{name: torch.from_numpy(one) for name, one in encoded.items()}).logits
    found = torch.from_numpy(predictor.network.logits(encoded))
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
