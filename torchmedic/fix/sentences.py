"""What a trial's end is told as: one sentence about one fix."""

from __future__ import annotations

from torchmedic.model import Text

RAN_STEPS = Text(
    "verified: ran past {place} and {steps} training step{s}",
    "검증됨: {place} 위치를 지나 학습 단계를 {steps}번 실행했습니다",
)
RAN_TO_END = Text(
    "verified: ran past {place} and to the end",
    "검증됨: {place} 위치를 지나 끝까지 실행했습니다",
)
RAN_SECONDS = Text(
    "verified: ran past {place} and {seconds} s more",
    "검증됨: {place} 위치를 지나 {seconds}초 더 실행했습니다",
)
MORE_STEPS = Text(
    "verified: made {steps} training step{s}; the unmended copy crashed after {before}",
    "검증됨: 학습 단계를 {steps}번 실행했습니다. 고치지 않은 사본은 {before}번 뒤에 멈췄습니다",
)
TO_END = Text(
    "verified: ran to the end; the unmended copy crashed",
    "검증됨: 끝까지 실행했습니다. 고치지 않은 사본은 도중에 멈췄습니다",
)
STILL_FAILS = Text(
    "not verified: the mended copy still fails: {error} {at}",
    "검증 안 됨: 고친 사본도 {at} 같은 오류를 냅니다: {error}",
)
FAILS_NEXT = Text(
    "not verified: it runs past {place}, but then fails with {error} {at}",
    "검증 안 됨: {place} 위치는 지나지만 그다음 {at} 다른 오류가 납니다: {error}",
)
FAILS_ELSEWHERE = Text(
    "not verified: the mended copy fails with another error: {error} {at}",
    "검증 안 됨: 고친 사본이 {at} 다른 오류를 냅니다: {error}",
)
AT = Text("at {file}:{line}", "{file}:{line} 위치에서")
NOWHERE = Text("outside your files", "사용자 파일 밖에서")
LIMIT_BEFORE = Text(
    "not verified: the time limit of {limit} s was reached before the failing line",
    "검증 안 됨: 오류가 난 줄에 닿기 전에 제한 시간 {limit}초가 지났습니다",
)
LIMIT_AFTER = Text(
    "not verified: it runs past {place}, but the time limit of {limit} s was reached after {steps} training step{s}",
    "검증 안 됨: {place} 위치는 지나지만 학습 단계 {steps}번 뒤에 제한 시간 {limit}초가 지났습니다",
)
LIMIT_STEPS = Text(
    "not verified: the time limit of {limit} s was reached after {steps} training step{s}; "
    "the unmended copy crashed after {before}",
    "검증 안 됨: 학습 단계 {steps}번 뒤에 제한 시간 {limit}초가 지났습니다. 고치지 않은 사본은 {before}번 뒤에 멈췄습니다",
)
ENDED_BEFORE = Text(
    "not verified: the mended copy ended without completing {place}",
    "검증 안 됨: 고친 사본이 {place} 위치를 마치지 않고 끝났습니다",
)
ENDED_COMPILED = Text(
    "not verified: the mended copy ended, but under `torch.compile` its lines can't be followed",
    "검증 안 됨: 고친 사본은 끝났지만 `torch.compile` 안에서는 어느 줄이 실행됐는지 알 수 없습니다",
)
EXIT_STATUS = Text(
    "not verified: the mended copy ended with exit status {status}",
    "검증 안 됨: 고친 사본이 종료 코드 {status} 값으로 끝났습니다",
)
SIGNALLED = Text(
    "not verified: the mended copy was ended by the signal {signal}",
    "검증 안 됨: 고친 사본이 {signal} 신호로 끝났습니다",
)
OUT_OF_MEMORY = Text(
    "not verified: the system ended the mended copy ({signal}), as it does when memory runs out",
    "검증 안 됨: 메모리가 모자랄 때처럼 시스템이 고친 사본을 끝냈습니다({signal})",
)
NO_CRASH = Text(
    "not verified: the unmended copy does not crash here",
    "검증 안 됨: 여기서는 고치지 않은 사본도 멈추지 않습니다",
)
OTHER_CRASH = Text(
    "not verified: the unmended copy fails differently here: {error} {at}",
    "검증 안 됨: 여기서는 고치지 않은 사본이 {at} 다른 오류를 냅니다: {error}",
)
CONTROL_ENDED = Text(
    "not verified: the unmended copy was ended by the signal {signal}",
    "검증 안 됨: 고치지 않은 사본이 {signal} 신호로 끝났습니다",
)
LIMIT_CONTROL = Text(
    "not verified: the time limit of {limit} s was reached before the unmended copy crashed",
    "검증 안 됨: 고치지 않은 사본이 멈추기 전에 제한 시간 {limit}초가 지났습니다",
)
HELD = {
    "write": Text(
        "not verified: the program tried to write {what}, which a trial holds back",
        "검증 안 됨: 프로그램이 {what} 파일을 쓰려고 했는데, 시험 실행에서는 막혀 있습니다",
    ),
    "remove": Text(
        "not verified: the program tried to remove {what}, which a trial holds back",
        "검증 안 됨: 프로그램이 {what} 파일을 지우려고 했는데, 시험 실행에서는 막혀 있습니다",
    ),
    "rename": Text(
        "not verified: the program tried to rename {what}, which a trial holds back",
        "검증 안 됨: 프로그램이 {what} 파일의 이름을 바꾸려고 했는데, 시험 실행에서는 막혀 있습니다",
    ),
    "connect": Text(
        "not verified: the program tried to connect to {what}, which a trial holds back",
        "검증 안 됨: 프로그램이 {what} 주소에 연결하려고 했는데, 시험 실행에서는 막혀 있습니다",
    ),
    "start": Text(
        "not verified: the program tried to start `{what}`, which a trial holds back",
        "검증 안 됨: 프로그램이 `{what}` 명령을 실행하려고 했는데, 시험 실행에서는 막혀 있습니다",
    ),
}
REFUSED = Text(
    "not verified: the trial refused the program access to a file: {error}",
    "검증 안 됨: 시험 실행이 프로그램의 파일 접근을 막았습니다: {error}",
)
LOADED_ELSEWHERE = Text(
    "not verified: the program loads {file} from its own folder, not from the trial's copy",
    "검증 안 됨: 프로그램이 시험용 사본이 아니라 원래 폴더에서 {file} 파일을 불러옵니다",
)
NO_PARSE = Text(
    "not verified: the mended file does not parse",
    "검증 안 됨: 고친 파일의 문법이 올바르지 않습니다",
)
NO_TRIAL = Text(
    "not verified: no trial could be made: {why}",
    "검증 안 됨: 시험 실행을 만들지 못했습니다: {why}",
)
NO_SYSTEM = Text(
    "not verified: trials need Linux or macOS",
    "검증 안 됨: 시험 실행은 Linux 또는 macOS 환경에서만 됩니다",
)
NO_FILE = Text(
    "not verified: a program from standard input can't be run again",
    "검증 안 됨: 표준 입력으로 받은 프로그램은 다시 실행할 수 없습니다",
)
STOPPED = Text("not verified: stopped by you", "검증 안 됨: 사용자가 멈췄습니다")
ALL_TIME = Text(
    "not verified: the {limit} s for all trials were used up",
    "검증 안 됨: 모든 시험 실행에 주어진 {limit}초를 다 썼습니다",
)


def filled(text: Text, **facts: object) -> Text:
    """The sentence with its holes filled; a fact that is a `Text` itself speaks the sentence's language."""
    if isinstance(steps := facts.get("steps"), int):
        facts["s"] = "" if steps == 1 else "s"
    en = {k: v.en if isinstance(v, Text) else v for k, v in facts.items()}
    ko = {k: v.ko if isinstance(v, Text) else v for k, v in facts.items()}
    return Text(text.show("en", en), text.show("ko", ko))
