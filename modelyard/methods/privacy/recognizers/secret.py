"""Secrets: passwords and tokens in URLs, keys of known services, private keys, and `password: …`.

Only the secret part of a URL is marked. The forms of service keys are those that the services document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

TYPES = ("url_secret", "api_key")
USER = re.compile(r"://([^\s/?#@:\"'<>]{0,128}:[^\s/?#@\"'<>\[]{1,256})@")
QUERY = re.compile(
    r"[?&#;](?:[a-z0-9_.\-]{0,24}(?:token|password|passwd|secret|signature|apikey|api_key|api-key|credential|session_?id)|pwd|"
    r"pass|key|sig|auth|sid|jwt|access_?key|x-amz-security-token|code)=([^\s&#\"'<>\[\]]{4,2048})",
    re.IGNORECASE,
)
MARKS = ("AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-", "sk_", "rk_", "xox",
         "AIza", "SG.", "LTAI", "AKID", "eyJ", "PRIVATE KEY", "npm_", "pypi-", "hf_", "dop_v1_", "AccountKey=",
         "ya29.", "whsec_", "shpat_")  # fmt: skip
KEYS = re.compile(
    r"(?<![0-9A-Za-z_\-])(?:"
    r"A[KS]IA[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{22,255}|glpat-[0-9A-Za-z_\-]{20,64}|"
    r"sk-(?:ant-|proj-|or-)?[0-9A-Za-z_\-]{20,255}|[sr]k_(?:live|test)_[0-9A-Za-z]{16,255}|xox[abeprs]-[0-9A-Za-z\-]{10,255}|"
    r"AIza[0-9A-Za-z_\-]{35}|SG\.[0-9A-Za-z_\-]{16,64}\.[0-9A-Za-z_\-]{16,64}|LTAI[0-9A-Za-z]{12,30}|AKID[0-9A-Za-z]{32,64}|"
    r"eyJ[0-9A-Za-z_\-]{8,4096}\.[0-9A-Za-z_\-]{8,8192}\.[0-9A-Za-z_\-]{8,4096}|npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_\-]{50,255}|"
    r"hf_[0-9A-Za-z]{30,64}|dop_v1_[0-9a-f]{64}|ya29\.[0-9A-Za-z_\-]{20,1024}|whsec_[0-9A-Za-z+/=]{24,128}|"
    r"shpat_[0-9a-f]{32})(?![0-9A-Za-z_])"
)
ACCOUNT = re.compile(r"AccountKey=([0-9A-Za-z+/=]{40,100})")
PRIVATE_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
PRIVATE_END = re.compile(r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
NAMED = re.compile(
    r"(?:password|passwd|pwd|passphrase|secret[_ -]?(?:access[_ -]?)?key|client[_ -]?secret|api[_ -]?key|"
    r"access[_ -]?key|"
    r"access[_ -]?token|auth[_ -]?token|bearer|密码|口令|密钥|秘钥)[\"'）)]{0,2} {0,2}(?:is|[:=是为]|"
    r"(?<=bearer) ) {0,2}[\"'“]?"
    r"(?=[^\s\"'”，。；、,;]{0,63}[0-9!@#$%^&*_+\-])([!-Z^-~]{6,256}?)(?=[\s\"'”，。；、,;\[\]]|$|[^!-~])",
    re.IGNORECASE,
)
NAMES = ("passw", "pwd", "passphrase", "secret", "key", "token", "bearer", "密码", "口令", "密钥", "秘钥")


def find(view: View) -> Iterator[Span]:
    """Secrets of a text."""
    text = view.text
    if "://" in text or "=" in text:
        yield from _urls(text)
    if any(mark in text for mark in MARKS):
        yield from _keys(text)
    if any(name in view.lower for name in NAMES):
        for match in NAMED.finditer(text):
            yield Span(match.start(1), match.end(1), "api_key", 0.7, "context")


def _urls(text: str) -> Iterator[Span]:
    if "://" in text and "@" in text:
        for match in USER.finditer(text):
            yield Span(match.start(1), match.end(1), "url_secret", 0.995, "user and password of a URL")
    if "=" in text and ("?" in text or "&" in text or "#" in text):
        for match in QUERY.finditer(text):
            yield Span(match.start(1), match.end(1), "url_secret", 0.9, "parameter of a URL")


def _keys(text: str) -> Iterator[Span]:
    for match in KEYS.finditer(text):
        yield Span(match.start(), match.end(), "api_key", 0.99, "form of a service's key")
    for match in ACCOUNT.finditer(text):
        yield Span(match.start(1), match.end(1), "api_key", 0.99, "form of a service's key")
    begin = PRIVATE_BEGIN.search(text)
    while begin:
        end = PRIVATE_END.search(text, begin.end())
        stop = end.end() if end else len(text)
        yield Span(begin.start(), stop, "api_key", 0.99, "private key")
        begin = PRIVATE_BEGIN.search(text, stop)
