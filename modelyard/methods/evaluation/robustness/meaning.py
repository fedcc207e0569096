"""Changes that touch the meaning: a negation put in or taken out, and names exchanged. Small tables of our own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelyard.methods.evaluation.robustness.perturbation import Draw

Groups = Sequence[tuple[str, ...]]

ENTITIES: Groups = (
    ("北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安", "南京", "重庆"),
    ("张伟", "王芳", "李娜", "刘洋", "陈静", "杨磊", "赵敏", "周杰"),
    ("小王", "小李", "小张", "小刘", "小陈"),
    ("中国", "日本", "法国", "德国", "英国", "美国", "韩国"),
    ("华为", "小米", "苹果", "三星", "联想", "戴尔", "惠普"),
    ("London", "Paris", "Berlin", "Madrid", "Rome", "Tokyo", "Boston", "Chicago"),
    ("John", "Mary", "David", "Anna", "Peter", "Sarah", "Ahmed", "Maria", "Wei"),
    ("France", "Germany", "Italy", "Spain", "Japan", "Canada", "China", "India"),
    ("Apple", "Samsung", "Sony", "Dell", "Lenovo", "Nokia"),
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
)
TURNED = (
    ("不好", "好"),
    ("不错", "不怎么样"),
    ("不喜欢", "喜欢"),
    ("不满意", "满意"),
    ("不推荐", "推荐"),
    ("不值得", "值得"),
    ("不值", "值"),
    ("不方便", "方便"),
    ("不干净", "干净"),
    ("不新鲜", "新鲜"),
    ("不准时", "准时"),
    ("不会", "会"),
    ("没有", "有"),
    ("不是", "是"),
    ("不舒服", "舒服"),
    ("不好吃", "好吃"),
    ("很好", "很不好"),
    ("好", "不好"),
)
"""What a piece turns into; the first that a text has is turned, the other way round too."""
NOT_AFTER = re.compile(
    r"\b(is|are|was|were|am|will|would|can|could|should|must|do|does|did|has|have|had)\b( not|n['’]t)?", re.IGNORECASE
)


def negated(text: str) -> str | None:
    """The text with its first verb (Chinese: first known word) negated, or freed of its negation; None without one."""
    if not text.isascii():
        for before, after in TURNED:
            if before in text:
                return text.replace(before, after, 1)
            if after in text and len(after) > 1:
                return text.replace(after, before, 1)
    match = NOT_AFTER.search(text)
    if match is None:
        return None
    turned = match.group(1) if match.group(2) else f"{match.group(1)} not"
    return text[: match.start()] + turned + text[match.end() :]


def swapped_entities(text: str, draw: Draw, groups: Groups | None = None) -> str | None:
    """Every known name exchanged for another of its group, the same name always for the same; None without one."""
    chosen: dict[str, str] = {}
    for group in ENTITIES if groups is None else groups:
        for name in group:
            if _in(name, text):
                others = [one for one in group if one != name]
                chosen[name] = others[int(draw.integers(len(others)))]
    if not chosen:
        return None
    names = sorted(chosen, key=lambda name: (-len(name), name))
    pattern = "|".join(rf"\b{re.escape(name)}\b" if name.isascii() else re.escape(name) for name in names)
    return re.sub(pattern, lambda match: chosen[match.group()], text)


def _in(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None if name.isascii() else name in text
