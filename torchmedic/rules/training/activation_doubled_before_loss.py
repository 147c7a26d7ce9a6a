import ast
import math
from collections.abc import Iterator

from torchmedic.model import Diagnosis, Edit, Evidence, Fix, Rule, Severity, Text, Variant
from torchmedic.observed import Source
from torchmedic.observed.run import Run
from torchmedic.observed.source import argument
from torchmedic.observed.trace import Event, Trace
from torchmedic.rules._activations import (
    Activation,
    activations,
    call_of,
    classes_of,
    deleted,
    given_to,
    is_simple,
    is_weighted,
    losses_of,
    name_of_loss,
    of_loss,
    taken_out,
    without_layer,
)
from torchmedic.rules._loss_inputs import activation_of, seen

# A log_softmax before the cross entropy changes nothing: applied to its own result, it gives that result.
_APPLIES = {
    "CrossEntropyLoss": "softmax",
    "BCEWithLogitsLoss": "sigmoid",
    "MultiLabelSoftMarginLoss": "sigmoid",
}

rule = Rule(
    code="TM321",
    name="activation-doubled-before-loss",
    severity=Severity.ERROR,
    summary=Text(
        en="The model applies the softmax or sigmoid that the loss applies itself.",
        ko="손실 함수가 직접 적용하는 softmax나 sigmoid를 모델이 먼저 적용합니다.",
    ),
    title=Text(
        en="`{activation}` before `{loss}`: with {classes} classes no loss is below {floor}",
        ko="`{loss}` 앞의 `{activation}`: 클래스 {classes}개에서 손실이 {floor} 밑으로 내려가지 않습니다",
    ),
    why=Text(
        en="""
        `{loss}` takes logits and applies a softmax itself. Probabilities lie between 0 and 1, so the second
        softmax can't tell them apart: even a perfect prediction keeps a loss of {floor}, and the gradients are
        small. The program runs and learns, slowly and worse.
        """,
        ko="""
        `{loss}` 손실은 로짓을 받아 softmax를 직접 적용합니다. 확률은 0과 1 사이의 값이라 두 번째 softmax가 크게
        구별하지 못합니다. 완벽한 예측에도 손실 {floor} 값이 남고 기울기가 작습니다. 프로그램은 실행되고 학습도
        되지만 느리고 결과가 나쁩니다.
        """,
    ),
    help=Text(
        en="Give `{loss}` the logits. Apply `{activation}` only where probabilities are shown.",
        ko="`{loss}` 손실에는 로짓을 주고, `{activation}` 함수는 확률을 보여 줄 때만 적용하세요.",
    ),
    lesson=Text(
        en="""
        Compare the first loss with the one of a guess: log(classes) for cross entropy, 0.69 for the binary one. A loss
        that starts there and then stays on a plateau that lies high, 1.46 for ten classes, tells that the scores are
        squashed twice. Read in the documentation of a loss whether it takes logits, log-probabilities or
        probabilities, and let the model return logits: `argmax` gives the same class for both.
        """,
        ko="""
        첫 손실을 무작위 추측의 손실과 비교해 보세요. 교차 엔트로피는 log(클래스 수), 이진 교차 엔트로피는 0.69입니다.
        거기서 시작한 손실이 높은 곳, 클래스 10개라면 1.46 근처에서 멈추면 점수를 두 번 눌렀다는 뜻입니다. 손실
        함수가 로짓, 로그 확률, 확률 가운데 무엇을 받는지 문서에서 확인하고, 모델은 로짓을 돌려주게 하세요.
        `argmax` 결과는 어느 쪽이든 같습니다.
        """,
    ),
    example={"activation": "softmax", "floor": "1.46", "loss": "CrossEntropyLoss"},
    bad="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F


    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(20, 64)
            self.scores = nn.Linear(64, 10)

        def forward(self, x):
            x = self.scores(F.relu(self.hidden(x)))
            return F.softmax(x, dim=1)


    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = Classifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item(), (outputs.argmax(dim=1) == labels).float().mean().item())
    """,
    good="""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F


    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(20, 64)
            self.scores = nn.Linear(64, 10)

        def forward(self, x):
            x = self.scores(F.relu(self.hidden(x)))
            return x


    torch.manual_seed(0)
    inputs, labels = torch.randn(256, 20), torch.randint(0, 10, (256,))
    model = Classifier()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(3):
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        print(epoch, loss.item(), (outputs.argmax(dim=1) == labels).float().mean().item())
    """,
    variants=(
        Variant(
            "plain",
            Text(
                en="`{activation}` before `{loss}`, which applies it itself",
                ko="`{loss}` 손실이 직접 적용하는 `{activation}` 함수를 그 앞에서 또 적용합니다",
            ),
            Text(
                en="""
                `{loss}` takes logits and applies `{activation}` itself. Values that lie between 0 and 1 already are
                squashed once more: the loss can't come near to 0, and the gradients are small.
                """,
                ko="""
                `{loss}` 손실은 로짓을 받아 `{activation}` 함수를 직접 적용합니다. 이미 0과 1 사이인 값을 한 번 더
                누르므로 손실이 0에 가까워지지 못하고 기울기가 작습니다.
                """,
            ),
        ),
        Variant(
            "sigmoid",
            Text(
                en="`{activation}` before `{loss}`: no label of 0 costs less than {floor}",
                ko="`{loss}` 앞의 `{activation}`: 레이블 0의 손실이 {floor} 밑으로 내려가지 않습니다",
            ),
            Text(
                en="""
                `{loss}` takes logits and applies a sigmoid itself. A probability lies between 0 and 1, so the second
                sigmoid gives 0.5 to 0.73: a sample of label 0 keeps a loss of {floor}, one of label 1 a loss of 0.31, and
                the gradients are small.
                """,
                ko="""
                `{loss}` 손실은 로짓을 받아 sigmoid를 직접 적용합니다. 확률은 0과 1 사이라 두 번째 sigmoid의 결과가
                0.5에서 0.73 사이에 머뭅니다. 레이블 0인 샘플에는 손실 {floor} 값이, 레이블 1인 샘플에는 0.31이 남고
                기울기가 작습니다.
                """,
            ),
        ),
    ),
    innocent=(
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F


        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 4)

            def forward(self, x):
                logits = self.fc(x)
                return logits, F.softmax(logits, dim=1)


        torch.manual_seed(0)
        inputs, labels = torch.randn(32, 8), torch.randint(0, 4, (32,))
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(2):
            optimizer.zero_grad()
            logits, probabilities = model(inputs)
            loss = F.cross_entropy(logits, labels, label_smoothing=0.1)
            loss = loss + F.nll_loss(probabilities.log(), labels)
            loss.backward()
            optimizer.step()
            print(probabilities.max().item())
        """,
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F

        torch.manual_seed(0)
        teacher, student = nn.Linear(8, 4), nn.Linear(8, 4)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        inputs, temperature = torch.randn(32, 8), 4.0
        for step in range(2):
            with torch.no_grad():
                soft = F.softmax(teacher(inputs) / temperature, dim=1)
            logits = student(inputs)
            distilled = F.kl_div(F.log_softmax(logits / temperature, dim=1), soft, reduction="batchmean")
            loss = distilled * temperature**2 + F.cross_entropy(logits, soft)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        """,
        """
        import torch
        import torch.nn as nn
        import torch.nn.functional as F


        class Likelihood:
            def cross_entropy(self, probabilities, labels):
                return -torch.log(probabilities[torch.arange(len(labels)), labels]).mean()


        torch.manual_seed(0)
        model, own = nn.Linear(8, 4), Likelihood()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        inputs, labels = torch.randn(32, 8), torch.randint(0, 4, (32,))
        for step in range(2):
            optimizer.zero_grad()
            logits = model(inputs)
            loss = own.cross_entropy(F.softmax(logits, dim=1), labels)
            loss = loss + F.cross_entropy(F.log_softmax(logits, dim=1), labels)
            loss.backward()
            optimizer.step()
        """,
    ),
    search=(
        "pytorch softmax before CrossEntropyLoss",
        "sigmoid with BCEWithLogitsLoss",
        "cross entropy loss stuck at 1.46",
        "loss does not decrease softmax output layer",
    ),
    links=(
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html",
    ),
)


@rule.on(Trace)
def doubled(trace: Trace) -> Iterator[Diagnosis]:
    known = activations(trace)
    told = set()
    for loss in trace.of("loss"):
        kind = _APPLIES.get(str(loss.facts["loss"]))
        if kind is None or loss.facts["through"] != (kind,):
            continue
        one = of_loss(trace, loss, known)
        if one is None or one.kind != kind or one.at in told:
            continue
        told.add(one.at)
        yield _told(trace, loss, one)


@rule.on(Run)
def doubled_in_run(run: Run) -> Iterator[Diagnosis]:
    for loss in seen(run, "cross_entropy", "binary_cross_entropy_with_logits"):
        data, kind = loss.run, _APPLIES.get(loss.kind)
        one = activation_of(loss) if data.activation == kind else None
        is_sure = 0 < data.looked == (data.sums_to_one if kind == "softmax" else data.in_unit)
        if one is not None and is_sure:
            yield _told(loss.trace, loss.event, one)


def _told(trace: Trace, loss: Event, one: Activation) -> Diagnosis:
    facts: dict[str, object] = {"activation": one.kind, "loss": name_of_loss(trace, loss)}
    classes = classes_of(loss)
    name = "plain"
    if not is_weighted(trace, loss):
        if one.kind == "sigmoid" and loss.facts["loss"] == "BCEWithLogitsLoss":
            facts["floor"], name = f"{math.log(2):.2f}", "sigmoid"
        elif one.kind == "softmax" and classes:
            # The least value of logsumexp(p) - p[k] over probabilities p is the one at p[k] = 1.
            facts |= {"classes": classes, "floor": f"{math.log(math.e + classes - 1) - 1:.2f}"}
            name = ""
    text = Text(
        en="`{code}` applies `{activation}` once more",
        ko="`{code}` 안에서 `{activation}`을 다시 적용합니다",
    ).fill(code=_shown(trace, loss), **facts)
    fix = _fix(trace, loss, one)
    return Diagnosis(
        rule,
        one.at,
        facts,
        (Evidence(text, loss.at),),
        (fix,) if fix else (),
        variant=rule.variant(name) if name else None,
    )


def _shown(trace: Trace, loss: Event) -> str:
    call = call_of(trace.source_of(loss.at), loss)
    return ast.unparse(call.func) + "(…)" if call is not None else str(loss.facts["loss"])


def _fix(trace: Trace, loss: Event, one: Activation) -> Fix | None:
    title = Text(en="give the loss what `{code}` is applied to", ko="`{code}`의 입력을 손실에 주기")
    if one.is_layer_in_container and one.made is not None:
        edit = taken_out(one.source, one.made) if _is_free(trace, one) else None
        title = Text(en="remove `{code}`", ko="`{code}` 제거")
        return Fix((edit,), title.fill(code=one.source.code(one.made))) if edit else None
    call = one.call
    given = given_to(call) if call is not None else None
    if call is None or given is None:
        return None
    shown = title.fill(code=one.source.code(call))
    statement = one.source.statement(call)
    if isinstance(statement, ast.Assign) and statement.value is call:
        name = ast.unparse(statement.targets[0])
        if name != ast.unparse(given) and isinstance(statement.targets[0], ast.Name):
            edits = _at_the_loss(trace, loss, one, statement, given)
            if edits:
                return Fix(edits, shown)
    if not _is_free(trace, one):
        return None
    return _removed(one.source, call, given, one.made, shown)


def _removed(
    source: Source, call: ast.Call, given: ast.expr, made: ast.Call | None, title: Text
) -> Fix | None:
    """The call gives way to its input, and its layer's construction to nothing."""
    statement = source.statement(call)
    is_same_name = isinstance(statement, ast.Assign) and statement.value is call
    if (
        is_same_name
        and isinstance(statement, ast.Assign)
        and ast.unparse(statement.targets[0]) == ast.unparse(given)
    ):
        edit = deleted(source, statement)
        if edit is None:
            return None
    else:
        parent = source.parent(call)
        is_bare = is_simple(given) or isinstance(parent, (ast.Return, ast.Assign, ast.Call))
        text = source.code(given)
        edit = source.replace(call, text if is_bare else f"({text})")
    rest = without_layer(source, call, made)
    return Fix((rest, edit) if rest else (edit,), title)


def _is_free(trace: Trace, one: Activation) -> bool:
    """Every use of the values is a loss that would have applied the same, or only their order."""
    return one.is_only_for_losses and all(
        _APPLIES.get(str(loss.facts["loss"])) == one.kind for loss in losses_of(trace, one)
    )


def _at_the_loss(
    trace: Trace, loss: Event, one: Activation, statement: ast.Assign, given: ast.expr
) -> tuple[Edit, ...]:
    """`probs = softmax(scores); criterion(probs, y)`: the loss gets `scores`; `probs` stays where it is read."""
    source = one.source
    function = source.function_of(statement)
    call = call_of(source, loss)
    fed = argument(call, 0, "input") if call is not None else None
    target = statement.targets[0]
    if fed is None or loss.at.path != source.path or not isinstance(target, ast.Name):
        return ()
    if not isinstance(given, ast.Name) or ast.unparse(fed) != target.id:
        return ()
    if call is None or source.function_of(call) is not function:
        return ()
    inside = [
        n
        for n in ast.walk(function or source.tree)
        if isinstance(n, ast.Name) and n.id in (given.id, target.id)
    ]
    lines = range(statement.lineno + 1, fed.lineno + 1)
    if any(isinstance(n.ctx, ast.Store) and n.lineno in lines for n in inside):
        return ()
    read = [n for n in inside if n.id == target.id and isinstance(n.ctx, ast.Load)]
    edit = source.replace(fed, given.id)
    if len(read) > 1:
        return (edit,)
    gone = deleted(source, statement)
    return (gone, edit) if gone else (edit,)
