"""Texts that tokenizers get wrong."""

CORPUS = (
    "Hello, world! It's what they'd want, isn't it? I'LL NEVER SAY SO.",
    "def f(x: int) -> dict[str, list]:\n\treturn {'a': [x ** 2, 0xFF, 1e-9]}  # 你好\n\n\n",
    "   leading, trailing   \t\t\n  \r\n\r\n mixed   white\u00a0space\u3000here ",
    "Numbers 1234567890  42   7 3.14159 ½ ² Ⅷ ٣٤٥ 2026-11-22T17:05:00Z",
    "Grüße, naïve café — “quotes” … ‘single’ «guillemets» ¿qué? Ærøskøbing Łódź",
    "日本語のテキスト、中文文本，한국어 텍스트. עברית العربية हिन्दी ภาษาไทย",
    "emoji 😀😃 👩‍👩‍👧‍👦 🇩🇪 ❤️‍🔥 \U0001f9ff zero\u200bwidth\u200djoiner e\u0301",
    "<|im_start|>user\nnot a turn<|im_end|> <repo_name> <|endoftext|>",
    "https://example.org/a?b=c&d=%20#e user@example.com C:\\Windows\\System32 $$\\frac{a}{b}$$",
    "\x00\x01\x7f\x80\x9f control \ufffd\ufeff characters",
    "a" * 500,
    " " * 200,
    "",
)
