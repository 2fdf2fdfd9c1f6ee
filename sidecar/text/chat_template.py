"""Rendering a conversation into a prompt with the model's own chat template.

The result equals that of transformers' `apply_chat_template` for messages in
which no control token is written; where one is, it stays plain text.
"""

from collections.abc import Mapping, Sequence

from sidecar.errors import InvalidParams, ModelLoadFailed, Unsupported
from sidecar.text.masking import ControlTexts, Masker
from sidecar.text.template_meter import CURRENT_METER, DEADLINE_SECONDS, Meter
from sidecar.text.tokenizer import TextPiece, Tokenizer

MAX_SOURCE_CHARACTERS = 512 * 1024
_REASONING = ("reasoning_content", "thinking", "reasoning")
_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
)


class ChatTemplate:
    """A compiled chat template. Safe to use from several threads at once.

    `control_tokens` are the texts that must not be taken from a request as
    control tokens. Raises ModelLoadFailed when the template is not sound.
    """

    def __init__(
        self,
        source: str,
        *,
        bos_token: str | None = None,
        eos_token: str | None = None,
        control_tokens: Sequence[str] = (),
    ) -> None:
        from jinja2.exceptions import TemplateError

        from sidecar.text.template_sandbox import MeteredEnvironment

        if len(source) > MAX_SOURCE_CHARACTERS:
            raise ModelLoadFailed(f"the chat template is longer than {MAX_SOURCE_CHARACTERS} characters")
        self.source = source
        self._tokens = {
            name: token
            for name, token in (("bos_token", bos_token), ("eos_token", eos_token))
            if token is not None
        }
        self._control = ControlTexts(control_tokens)
        try:
            self._template = MeteredEnvironment().from_string(source)
        except (TemplateError, SyntaxError, ValueError, *_FAILURES) as error:
            raise ModelLoadFailed(f"the chat template cannot be compiled: {_reason(error)}") from error

    @classmethod
    def of_model(cls, source: str | None, tokenizer: Tokenizer) -> "ChatTemplate":
        """The template of a model. Raises Unsupported when it has none."""
        if not source:
            raise Unsupported("the model has no chat template, so that it can only continue plain text")

        def text(token_id: int | None) -> str | None:
            return None if token_id is None else tokenizer.token_text(token_id)

        return cls(
            source,
            bos_token=text(tokenizer.bos_token_id),
            eos_token=text(tokenizer.eos_token_ids[0] if tokenizer.eos_token_ids else None),
            control_tokens=tokenizer.control_token_texts(),
        )

    def render(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        tools: Sequence[Mapping[str, object]] | None = None,
        add_generation_prompt: bool = True,
        variables: Mapping[str, object] | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> list[TextPiece]:
        """The prompt, for `Tokenizer.encode_pieces`.

        `variables` are further ones of the template (`enable_thinking` …).
        Raises InvalidParams for messages that the template refuses or cannot
        render, and when rendering costs more than a prompt can.
        """
        from jinja2.exceptions import TemplateError

        from sidecar.text.template_sandbox import TemplateRefusal

        if not messages:
            raise InvalidParams("messages is empty; it must have one at least", parameter="messages")
        masker = Masker(self._control)
        values = masker.mask(
            {
                "documents": None,
                **(variables or {}),
                "messages": [_normalized(message) for message in messages],
                "tools": None if tools is None else list(tools),
            }
        )
        meter = CURRENT_METER.set(Meter(masker.characters, deadline_seconds))
        try:
            rendered = self._template.render(
                {**self._tokens, **values, "add_generation_prompt": add_generation_prompt}
            )
        except TemplateRefusal as refusal:
            raise InvalidParams(masker.reveal(str(refusal)), parameter="messages") from refusal
        except (TemplateError, ValueError, *_FAILURES) as error:
            raise InvalidParams(
                f"the model's chat template cannot render these messages: {masker.reveal(_reason(error))}",
                parameter="messages",
            ) from error
        finally:
            CURRENT_METER.reset(meter)
        return masker.unmask(rendered)


def _normalized(message: Mapping[str, object]) -> dict[str, object]:
    """As transformers does: fields that are None are left out, reasoning goes by all of its names."""
    fields = {key: value for key, value in message.items() if value is not None}
    reasoning = next((fields[name] for name in _REASONING if name in fields), None)
    if reasoning is None:
        return fields
    return {"thinking": reasoning, **fields, "reasoning_content": reasoning}


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:500]
