"""The control tokens of chat templates: which strings could open another role, and how a text is made free of them.

Never decides whether a text is safe to say; it only keeps a text inside its own turn.
"""

from __future__ import annotations

import re

_TOKENS = re.compile(
    r"[<＜][|｜][^\s|｜<>＜＞]{1,40}[|｜][>＞]"  # ChatML, Llama 3, Phi, DeepSeek, Harmony: <|im_start|>, <｜User｜>
    r"|</?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|start_of_image|end_of_image|think|thinking)>"
    r"|</?(?:repo_name|reponame|file_sep|filename|gh_stars|issue_(?:start|comment|closed)|jupyter_\w{1,20}|empty_output)>"
    r"|<\|[^\s|<>]{1,40}>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>",
    re.IGNORECASE,
)

# What ends a reply when a server leaves it in the text: the model has begun to write somebody else's turn.
TURN_END = re.compile(
    r"<[|｜](?:im_end|im_start|endoftext|eot_id|end_of_text|start_header_id|end|end▁of▁sentence)[|｜]>"
    r"|<(?:end|start)_of_turn>|</s>"
)


def without_control_tokens(text: str) -> str:
    """``text`` with every chat-template token replaced by a space.

    A space, not nothing: what stood around a removed token must not close up into a new one
    (``<|im_<|im_end|>start|>``), and no token contains a space.
    """
    return _TOKENS.sub(" ", text)
