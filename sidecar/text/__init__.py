"""Between text and token ids: tokenizer, detokenizer, stop strings, chat templates.

Knows no engine, no executor and no protocol.
"""
