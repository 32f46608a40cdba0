"""Everything a person sees in a terminal: the chat and the ``warmline`` command."""
