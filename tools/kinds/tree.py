"""The elements of a document on their way from the national tables to a template."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Node:
    """An element: what the tables fix, what a field fills, and which row of the tables it comes from.

    `origin` is the number of its row, empty for an element that we add. `bound` are the bindings (`text`, `value`, ...) with
    the full name of their field.
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)
    origin: str = ""
    label: str = ""
    text: str = ""
    bound: dict[str, str] = field(default_factory=dict)
    each: str = ""
    by: str = ""
    narrative: list[str] | None = None
    keep: bool = False  # the schema wants it: its missing value is said with a nullFlavor

    def walk(self) -> Iterator["Node"]:
        """This element and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def child(self, tag: str) -> "Node | None":
        """The first child of this name."""
        return next((c for c in self.children if c.tag == tag), None)

    def at(self, path: str) -> list["Node"]:
        """The elements at a path like `observation/code`."""
        head, _, rest = path.partition("/")
        found = [c for c in self.children if c.tag == head]
        return found if not rest else [deeper for c in found for deeper in c.at(rest)]

    def fields(self) -> list[str]:
        """The fields bound here and below, once each, in order."""
        return list(dict.fromkeys(name for node in self.walk() for name in node.bound.values()))


def forest(rows: Iterable[dict[str, str]]) -> list[Node]:
    """The trees that a table spells out row by row."""
    nodes: dict[str, Node] = {}
    roots: list[Node] = []
    for row in rows:
        fixed = dict(part.split("=", 1) for part in row["fixed_attributes"].split() if "=" in part)
        node = Node(row["element"], fixed, origin=row["node"], label=row.get("item_name_zh", ""))
        nodes[row["node"]] = node
        (nodes[row["parent_node"]].children if row["parent_node"] else roots).append(node)
    return roots


def observation(code: str, label: str, type_: str) -> Node:
    """A simple observation as the standard writes it."""
    named = {"code": code, "codeSystem": "2.16.156.10011.2.2.1", "displayName": label}
    return Node(
        "observation",
        {"classCode": "OBS", "moodCode": "EVN"},
        [Node("code", named), Node("value", {"xsi:type": type_})],
        label=label,
    )
