# SPDX-License-Identifier: Apache-2.0
"""Tokens to tree: the grammar of docs/spec/rules.md, every production a part of CEL's.

Operators are joined on a stack, not by recursion, and both the nesting of the text and the height of the tree
are counted as they grow: no text, however made, can exhaust the interpreter's stack here or in a later walk.
"""

from __future__ import annotations

from typing import Any, NamedTuple, NoReturn, TypeAlias, cast

from rules.engine.language.errors import LanguageError, place
from rules.engine.language.tokens import Token, shown, tokens
from rules.engine.language.tree import (
    BINDING,
    PREFIX,
    RELATION,
    Among,
    Binary,
    Call,
    Choice,
    Expr,
    Name,
    Number,
    Operator,
    Prefix,
    Text,
    Truth,
)

DEPTH_MAX = 32
"""Levels of a tree: a parenthesis, a call, a prefix, a `?:` and each operator of a chain is one."""
NODES_MAX = 500
"""Parts of a tree, the choices of `in` included."""

_OPERAND = "60, 'word', name, (, !, -"
_JOINS = "+ - * < <= > >= == != in && ||"
_AFTER_OPERAND = f"{_JOINS} ?"
_Placed: TypeAlias = tuple[Expr, int]
"""A tree and its height."""


class _Pending(NamedTuple):
    """An operator that waits for its right operand."""

    token: Token
    binding: int


def parse(text: str) -> Expr:
    """The tree of an expression; LanguageError for everything that is none."""
    parser = _Parser(text)
    expr, _height = parser.expression(1)
    if parser.token.kind != "end":
        parser.unexpected(_AFTER_OPERAND)
    return expr


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.index = 0
        self.nodes = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def expression(self, depth: int) -> _Placed:
        """expression = joined [ "?" joined ":" expression ]"""
        if depth > DEPTH_MAX:
            self.refuse(self.token, "too_deep", str(depth), str(DEPTH_MAX))
        condition, height = self.joined(depth)
        question = self.token
        if not self.takes("?"):
            return condition, height
        then, then_height = self.joined(depth)
        if not self.takes(":"):
            self.unexpected(f"{_JOINS} :")  # as in CEL: a choice between ? and : needs parentheses
        otherwise, otherwise_height = self.expression(depth + 1)
        made = Choice(condition, then, otherwise, **self.at(condition.offset, otherwise.end))
        return self.counted(made, max(height, then_height, otherwise_height) + 1, question)

    def joined(self, depth: int) -> _Placed:
        """Operands and the operators between them, grouped by how tightly the operators bind."""
        operands: list[_Placed] = []
        pending: list[_Pending] = []
        compared: Token | None = None  # the comparison since the last && or ||: there may be only one
        while True:
            self.prefixes(pending)
            operands.append(self.operand(depth))
            while True:
                operator = self.token
                binding = BINDING.get(operator.text, 0) if operator.kind in ("sign", "name") else 0
                while pending and pending[-1].binding >= max(binding, 1):
                    self.join(operands, pending.pop())
                if not binding:
                    assert len(operands) == 1
                    return operands[0]
                if binding == RELATION and compared:
                    self.refuse(operator, "chained_comparison", f"a {compared.text} b {operator.text} c",
                                f"a {compared.text} b && b {operator.text} c")  # fmt: skip
                compared = operator if binding == RELATION else compared if binding > RELATION else None
                self.step()
                if operator.text != "in":
                    pending.append(_Pending(operator, binding))
                    break
                operands.append(self.among(operands.pop()))

    def prefixes(self, pending: list[_Pending]) -> None:
        first = self.token
        while self.token.kind == "sign" and self.token.text in ("!", "-"):
            if self.token.text != first.text:  # CEL repeats a prefix but does not mix them
                self.unexpected("60, name, (")
            pending.append(_Pending(self.step(), PREFIX))

    def join(self, operands: list[_Placed], pending: _Pending) -> None:
        token = pending.token
        right, height = operands.pop()
        if pending.binding == PREFIX:
            made = Prefix(cast(Any, token.text), right, **self.at(token.offset, right.end))
        else:
            left, left_height = operands.pop()
            made = Binary(cast(Operator, token.text), left, right, **self.at(left.offset, right.end))
            height = max(height, left_height)
        operands.append(self.counted(made, height + 1, token))

    def operand(self, depth: int) -> _Placed:
        token = self.token
        if token.kind == "number":
            self.step()
            return self.counted(Number(int(token.text), **self.at(token.offset, token.end)), 1, token)
        if token.kind == "text":
            self.step()
            return self.counted(Text(token.text, **self.at(token.offset, token.end)), 1, token)
        if token.kind == "name" and token.text != "in":
            self.step()
            if token.text in ("true", "false"):
                return self.counted(Truth(token.text == "true", **self.at(token.offset, token.end)), 1, token)
            if self.takes("("):
                return self.call(token, depth)
            return self.counted(Name(token.text, **self.at(token.offset, token.end)), 1, token)
        if self.takes("("):
            inner = self.expression(depth + 1)
            if not self.takes(")"):
                self.unexpected(f"{_AFTER_OPERAND} )")
            return inner
        self.unexpected(_OPERAND)

    def call(self, function: Token, depth: int) -> _Placed:
        arguments: list[Expr] = []
        height = 0
        if not self.takes(")"):
            while True:
                argument, argument_height = self.expression(depth + 1)
                arguments.append(argument)
                height = max(height, argument_height)
                if self.takes(")"):
                    break
                if not self.takes(","):
                    self.unexpected(f"{_AFTER_OPERAND} , )")
        end = self.tokens[self.index - 1].end
        made = Call(function.text, tuple(arguments), **self.at(function.offset, end))
        return self.counted(made, height + 1, function)

    def among(self, item: _Placed) -> _Placed:
        """The list after `in`: at least one number or word, written out."""
        opening = self.token
        if not self.takes("["):
            self.unexpected("[")
        choices: list[Number | Text] = []
        while True:
            choices.append(self.choice())
            if self.takes("]"):
                break
            if not self.takes(","):
                self.unexpected(", ]")
        expr, height = item
        made = Among(expr, tuple(choices), **self.at(expr.offset, self.tokens[self.index - 1].end))
        return self.counted(made, height + 1, opening)

    def choice(self) -> Number | Text:
        first = self.token
        sign = -1 if self.takes("-") else 1
        token = self.token
        made: Number | Text
        if token.kind == "number":
            made = Number(sign * int(token.text), **self.at(first.offset, token.end))
        elif token.kind == "text" and sign == 1:
            made = Text(token.text, **self.at(token.offset, token.end))
        else:
            self.unexpected("60, 'word'" if sign == 1 else "60")
        self.step()
        self.counted(made, 1, token)
        return made

    def at(self, offset: int, end: int) -> dict[str, int]:
        line, column = place(self.text, offset)
        return {"offset": offset, "end": end, "line": line, "column": column}

    def counted(self, expr: Expr, height: int, token: Token) -> _Placed:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            self.refuse(token, "too_many_parts", f"> {NODES_MAX}", str(NODES_MAX))
        if height > DEPTH_MAX:
            self.refuse(token, "too_deep", str(height), str(DEPTH_MAX))
        return expr, height

    def step(self) -> Token:
        token = self.token
        self.index += 1
        return token

    def takes(self, sign: str) -> bool:
        """Whether that sign stands here; if so it is passed."""
        here = self.token.kind == "sign" and self.token.text == sign
        self.index += here
        return here

    def unexpected(self, allowed: str) -> NoReturn:
        token = self.token
        found = "…" if token.kind == "end" else self.text[token.offset : token.end]
        self.refuse(token, "unexpected", found, allowed)

    def refuse(self, token: Token, code: str, found: str, allowed: str) -> NoReturn:
        line, column = place(self.text, token.offset)
        raise LanguageError(code, line, column, shown(found), allowed)
