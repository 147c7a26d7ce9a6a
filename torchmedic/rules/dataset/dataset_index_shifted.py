import ast
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Span, Text, Variant
from torchmedic.observed import Failure, Source
from torchmedic.observed.run import Run
from torchmedic.observed.trace import Reading, Trace
from torchmedic.rules._dataset import OUT_OF_RANGE, Access
from torchmedic.rules._indexing import Place
from torchmedic.rules._promises import Promise, promises, reaching_past, wrapped
from torchmedic.rules._verdict import told_by_line, usual, verdict
from torchmedic.rules._walked import asked, is_whole, walked

rule = Rule(
    code="TM102",
    name="dataset-index-shifted",
    severity=Severity.ERROR,
    summary=Text(
        en="`__getitem__` reads its data at another index than the one it was asked for.",
        ko="`__getitem__`이 요청받은 인덱스가 아닌 다른 인덱스의 데이터를 읽습니다.",
    ),
    title=Text(
        en="`{expression}` reads index {index} of `{container}`, which holds {held}",
        ko="`{expression}` 식이 항목 {held}개짜리 `{container}` 컨테이너의 {index}번을 읽습니다",
    ),
    why=Text(
        en="""
        A DataLoader asks for the items 0 to `len(dataset) - 1`, and Python counts from 0 as well. With a constant
        added, the first item is never used and the last one reaches past the end. Where only the inputs or only the
        labels are shifted, every input is paired with the label of its neighbour.
        """,
        ko="""
        DataLoader는 0번부터 `len(dataset) - 1`번까지의 항목을 요청하고, Python도 0부터 셉니다. 상수를 더하면 첫
        항목은 한 번도 쓰이지 않고 마지막 항목은 끝을 넘어갑니다. 입력이나 레이블 한쪽만 밀리면 모든 입력이 이웃한
        항목의 레이블과 짝지어집니다.
        """,
    ),
    help=Text(
        en="Index `{container}` with the index that `__getitem__` was given.",
        ko="`{container}` 컨테이너는 `__getitem__`이 받은 인덱스 그대로 읽으세요.",
    ),
    lesson=Text(
        en="""
        Compare `dataset[0]` with the first row of the data, and `dataset[len(dataset) - 1]` with the last row:
        inputs and labels have to belong together in both. An index of -1 raises no error, it reads the last item, so a
        shift in the other direction stays unseen. Where numbers in a table begin at 1, subtract 1 once, in the place
        where the table is read. A target that is the next step needs a shift, and a `__len__` that is smaller
        by as much.
        """,
        ko="""
        `dataset[0]`을 데이터의 첫 행과, `dataset[len(dataset) - 1]`을 마지막 행과 비교해 보세요. 두 곳 모두 입력과
        레이블이 서로 맞아야 합니다. 인덱스 -1은 오류 없이 마지막 항목을 읽으므로 반대 방향으로 밀린 것은 눈에
        띄지 않습니다. 표의 번호가 1부터 시작하면 표를 읽는 곳에서 한 번만 1을 빼세요. 다음 시점을 정답으로 쓸 때는
        인덱스를 미는 것이 맞고, 그만큼 `__len__` 값이 작아야 합니다.
        """,
    ),
    example={"container": "self.inputs"},
    bad="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0).unsqueeze(1)
            self.targets = self.inputs**2

        def __len__(self):
            return len(self.inputs)

        def __getitem__(self, index):
            return self.inputs[index + 1], self.targets[index]


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    good="""
    import torch
    from torch.utils.data import DataLoader, Dataset


    class Squares(Dataset):
        def __init__(self):
            self.inputs = torch.arange(90.0).unsqueeze(1)
            self.targets = self.inputs**2

        def __len__(self):
            return len(self.inputs)

        def __getitem__(self, index):
            return self.inputs[index], self.targets[index]


    for inputs, targets in DataLoader(Squares(), batch_size=20):
        print(inputs.shape)
    """,
    variants=(
        Variant(
            "past",
            Text(
                en="`{expression}` reads past the last item of `{container}`",
                ko="`{expression}` 식이 `{container}` 컨테이너의 마지막 항목을 넘어갑니다",
            ),
            messages=OUT_OF_RANGE,
        ),
        Variant(
            "wraps",
            Text(
                en="`{expression}` is {index} for item 0, which reads the end of `{container}`",
                ko="항목 0에서는 `{expression}` 값이 {index}이므로 `{container}` 컨테이너의 끝을 읽습니다",
            ),
            why=Text(
                en="""
                A negative index raises no error in Python, NumPy and PyTorch: it counts from the end. Here `{container}` is
                read one place before `{other}`, so every item joins what belongs to two samples, and the first
                one joins the first with the last.
                """,
                ko="""
                Python, NumPy, PyTorch에서 음수 인덱스는 오류 없이 끝에서부터 셉니다. 여기서는 `{container}` 컨테이너를
                `{other}` 컨테이너보다 앞자리에서 읽으므로 모든 항목이 서로 다른 샘플의 값을 묶고, 첫 항목은 처음과
                마지막을 묶습니다.
                """,
            ),
        ),
        Variant(
            "ids",
            Text(
                en="`{expression}` counts from 1: `{container}` has no index {index}",
                ko="`{expression}` 번호는 1부터 시작하는데 `{container}` 안에는 {index}번이 없습니다",
            ),
            why=Text(
                en="""
                The numbers that are looked up run from 1 to N, while the N places of `{container}` are numbered 0 to
                N - 1. The last number reaches past the end, and all others read their neighbour's place.
                """,
                ko="""
                찾아 쓰는 번호는 1부터 N까지인데 `{container}` 컨테이너의 자리 N개는 0부터 N - 1까지입니다. 마지막
                번호는 끝을 넘어가고, 나머지는 모두 이웃의 자리를 읽습니다.
                """,
            ),
            help=Text(
                en="Subtract 1 from the number before it is used as an index of `{container}`.",
                ko="`{container}` 컨테이너의 인덱스로 쓰기 전에 번호에서 1을 빼세요.",
            ),
        ),
    ),
    innocent=(
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class NextStep(Dataset):
            def __init__(self, series):
                self.series = series

            def __len__(self):
                return len(self.series) - 1

            def __getitem__(self, index):
                return self.series[index], self.series[index + 1]


        for now, after in DataLoader(NextStep(torch.arange(12.0)), batch_size=4):
            print(now, after)
        """,
        """
        import torch
        from torch.utils.data import DataLoader, Dataset


        class Table(Dataset):
            def __init__(self):
                self.rows = [["x", "y"]] + [[float(n), n % 2] for n in range(30)]

            def __len__(self):
                return len(self.rows) - 1

            def __getitem__(self, index):
                x, y = self.rows[index + 1]
                return torch.tensor([x]), y


        for x, y in DataLoader(Table(), batch_size=8):
            print(x.shape, y)
        """,
    ),
    says=(
        "IndexError: Caught IndexError in DataLoader worker process 0.\n"
        "Original Traceback (most recent call last):\n"
        '  File "/opt/conda/lib/python3.9/site-packages/torch/utils/data/_utils/worker.py", line 302, in _worker_loop\n'
        "    data = fetcher.fetch(index)\n"
        '  File "/opt/conda/lib/python3.9/site-packages/torch/utils/data/_utils/fetch.py", line 49, in <listcomp>\n'
        "    data = [self.dataset[idx] for idx in possibly_batched_index]\n"
        '  File "/home/lee/data.py", line 27, in __getitem__\n'
        "    label = self.labels[idx + 1]\n"
        "IndexError: index 500 is out of bounds for dimension 0 with size 500\n",
    ),
    search=(
        "pytorch dataset index off by one",
        "IndexError index is out of bounds __getitem__ idx + 1",
        "inputs and labels misaligned dataset",
    ),
    links=("https://docs.pytorch.org/docs/stable/data.html#map-style-datasets",),
)


@rule.on(Failure)
def shifted(failure: Failure) -> Iterator[Diagnosis]:
    access = usual(failure)
    if access is not None:
        found = verdict(failure, access)
        if found == "shift" and access.position.shift is not None:
            yield _off_by_constant(failure, access, access.position.shift)
        elif found == "ids" and access.position.lookup is not None:
            yield _counted_from_one(failure, access, access.position.lookup)
    elif (line := told_by_line(failure)) is not None and line.expression:
        facts = {**line.numbers, "container": line.container, "expression": line.expression}
        yield Diagnosis(
            rule,
            failure.raised_at,
            facts,
            variant=None if {"index", "held"} <= facts.keys() else rule.variant("past"),
            raised_at=failure.raised_at,
        )


def _off_by_constant(failure: Failure, access: Access, shift: Place) -> Diagnosis:
    facts: dict[str, object] = {**access.facts, "expression": shift.code}
    promised = access.length.number if access.length else None
    if (
        access.number is None
        and access.position.offset == 1
        and promised == access.held is not None
    ):
        facts["index"] = access.held  # of all items that were asked for, only the last can fail
    is_known = "index" in facts and "held" in facts
    fix = _without_shift(shift)
    return Diagnosis(
        rule,
        shift.at,
        facts,
        tuple(_evidence(access)),
        (fix,) if fix else (),
        variant=None if is_known else rule.variant("past"),
        raised_at=failure.raised_at,
    )


def _without_shift(shift: Place) -> Fix | None:
    """The bare index, in every place of the function that shifts it as the failing one does."""
    source, node = shift
    if isinstance(node, ast.AugAssign):
        title = Text(en="delete `{code}`", ko="`{code}` 문장 삭제").fill(code=shift.code)
        edit = _deleted(source, node)
        return Fix((edit,), title) if edit else None
    if not isinstance(node, ast.BinOp):
        return None
    bare = node.left if isinstance(node.right, ast.Constant) else node.right
    name = source.code(bare)
    statement = source.statement(node)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if [ast.unparse(t) for t in targets] == [name] and isinstance(statement, ast.Assign):
        title = Text(en="delete `{code}`", ko="`{code}` 문장 삭제")
        edit = _deleted(source, statement)
        return Fix((edit,), title.fill(code=source.code(statement))) if edit else None
    title = Text(en="write `{name}` instead of `{code}`", ko="`{code}` 대신 `{name}` 쓰기")
    edits = tuple(source.replace(other, name) for other in _alike(source, node))
    return Fix(edits, title.fill(name=name, code=shift.code))


def _alike(source: Source, node: ast.expr) -> list[ast.expr]:
    """The expression, and those of the same text that are indices in the same function."""
    same = [
        other
        for other in ast.walk(source.function_of(node) or node)
        if isinstance(other, type(node))
        and ast.unparse(other) == ast.unparse(node)
        and (other is node or getattr(source.parent(other), "slice", None) is other)
    ]
    return sorted(same, key=lambda other: (other.lineno, other.col_offset))


def _deleted(source: Source, statement: ast.stmt) -> Edit | None:
    """The statement's lines taken out, where it stands alone on them and its block keeps another one."""
    here = source.span(statement)
    alone = source.line(here.line)[: here.column].strip() == ""
    alone = alone and source.line(here.end_line)[here.end_column :].strip() == ""
    if not alone or len(getattr(source.parent(statement), "body", ())) < 2:
        return None
    return Edit(Span(source.path, here.line, 0, here.end_line + 1, 0), "")


def _counted_from_one(failure: Failure, access: Access, lookup: Place) -> Diagnosis:
    facts: dict[str, object] = {**access.facts, "expression": lookup.code}
    facts.setdefault("index", access.held)
    fixes = tuple[Fix, ...]()
    if isinstance(lookup.node, ast.expr):
        title = Text(en="subtract 1 from `{code}`", ko="`{code}` 값에서 1 빼기")
        same = _alike(lookup.source, lookup.node)
        edits = tuple(lookup.source.insert_after(node, " - 1") for node in same)
        fixes = (Fix(edits, title.fill(code=lookup.code)),)
    return Diagnosis(
        rule,
        lookup.at,
        facts,
        tuple(_evidence(access)),
        fixes,
        variant=rule.variant("ids"),
        raised_at=failure.raised_at,
    )


def _evidence(access: Access) -> Iterator[Evidence]:
    length = access.length
    if length is not None and length.number is not None:
        yield Evidence(
            Text(
                en="`__len__` returns {number}: items 0 to {last} may be asked for",
                ko="`__len__` 값은 {number}이므로 0번부터 {last}번까지 요청될 수 있습니다",
            ).fill(number=length.number, last=length.number - 1),
            length.source.span(length.returned),
        )
    if access.item is not None:
        yield Evidence(
            Text(
                en="`__getitem__` was asked for item {item}",
                ko="`__getitem__`이 {item}번 항목을 요청받았습니다",
            ).fill(item=access.item)
        )
    if access.held is not None:
        yield Evidence(
            Text(
                en="`{container}` holds {held}, with the indices 0 to {last}",
                ko="`{container}` 안에는 0번부터 {last}번까지 {held}개가 있습니다",
            ).fill(container=access.shown, held=access.held, last=access.held - 1),
            access.place.at,
        )


@rule.on(Trace)
def reads_elsewhere(trace: Trace) -> Iterator[Diagnosis]:
    """What needs no crash: an index that wraps around, and one that reaches past the end in an item not asked for."""
    for promise in promises(trace):
        yield from _judged(trace, promise)


@rule.on(Run)
def read_elsewhere(run: Run) -> Iterator[Diagnosis]:
    """The same of the datasets that a DataLoader walked: an index of -1 read the last item, without any error."""
    for walk in walked(run):
        for told in _judged(walk.trace, walk.promise):
            seen = (asked(walk),) if is_whole(walk) else ()
            yield told._replace(evidence=(*told.evidence, *seen))


def _judged(trace: Trace, promise: Promise) -> Iterator[Diagnosis]:
    past, back = reaching_past(trace, promise), wrapped(trace, promise)
    if past is not None:
        read, shift = past
        facts = _facts(promise.dataset, read, shift)
        if read.held is not None:
            facts["index"] = read.held + (read.offset or 1) - 1 - (read.spare or 0)
        yield _told(read, shift, facts, "" if "index" in facts else "past")
    elif back is not None:
        yield _wrapped(promise, *back)


def _wrapped(promise: Promise, read: Reading, shift: Place, other: Reading) -> Diagnosis:
    facts = _facts(promise.dataset, read, shift)
    return _told(read, shift, {**facts, "index": read.offset, "other": other.container}, "wraps")


def _facts(dataset: str, read: Reading, shift: Place) -> dict[str, object]:
    facts: dict[str, object] = {
        "dataset": dataset,
        "container": read.container,
        "expression": shift.code,
    }
    if read.held is not None:
        facts["held"] = read.held
    return facts


def _told(read: Reading, shift: Place, facts: dict[str, object], name: str) -> Diagnosis:
    fix = _without_shift(shift)
    text = Text(
        en="`{container}` is read here for every item",
        ko="모든 항목에서 `{container}` 컨테이너를 여기서 읽습니다",
    ).fill(container=read.container)
    return Diagnosis(
        rule,
        shift.at,
        facts,
        (Evidence(text, read.at),),
        (fix,) if fix else (),
        variant=rule.variant(name) if name else None,
    )
